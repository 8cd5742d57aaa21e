import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connectControl } from '../../../src/control/client.js';
import type { ControlEvent } from '../../../src/protocol/control-api.js';
import { startLoad } from '../../support/load.js';
import { freePort } from '../../support/net.js';
import { repoRoot, signalPid, startDaemon } from '../../support/process.js';
import { waitFor } from '../../support/wait.js';
import type { Machine } from '../../system/systemd/booted-machine.js';
import { place, type Subject, workers } from './subject.js';

/** How long it takes from kill -9 of a worker to one that serves in its place. */
export interface Figure {
  readonly title: string;
  readonly who: string;
  /** ms, once a round; an Error where it could not be measured. */
  readonly times: readonly number[] | Error;
  /** Of the median; null: none. */
  readonly target: number | null;
}

const rounds = 11;
const patience = 20_000;
/** Answers before the kill: of processes that have just booted everything is slow. */
const warm = 500;
const title = 'kill -9 to the replacement serving';

/** The daemon as a plain process, without and with a spare, and PM2 in its unit. Every round of the daemon's is a first crash. */
export async function replacement(machine: Machine, pm2: Subject | null): Promise<Figure[]> {
  const own = (spares: number) => repeat(() => killOne(spares)).catch(asError);
  return [
    { title, who: 'rom-agent', times: await own(0), target: 150 },
    { title: `${title}, with a spare`, who: 'rom-agent', times: await own(1), target: 10 },
    ...(pm2 === null
      ? []
      : [{ title, who: pm2.name, times: await pm2Times(machine, pm2).catch(asError), target: null }]),
  ];
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}

async function repeat(round: () => Promise<number>): Promise<number[]> {
  const times: number[] = [];
  for (let nth = 0; nth < rounds; nth += 1) times.push(await round());
  return times;
}

async function killOne(spares: number): Promise<number> {
  const directory = mkdtempSync(join(tmpdir(), 'rom-agent-faults-'));
  const path = join(directory, 'control.sock');
  const port = await freePort('127.0.0.1');
  const daemon = startDaemon({
    args: ['serve', join(repoRoot, 'test', 'bench', 'faults', 'peers', 'app.cjs')],
    cwd: directory,
    env: {
      PORT: String(port),
      HOST: '127.0.0.1',
      WORKERS: String(workers),
      ROM_AGENT_SPARES: String(spares),
      PLACE: directory,
      ROM_AGENT_STATE_DIR: directory,
      ROM_AGENT_CONTROL_SOCKET: path,
    },
  });
  try {
    await daemon.waitForLine(/"msg":"serving with/, patience);
    const control = connectControl({ path });
    const { workers: all } = await waitFor('the spare', () => control.status(), {
      timeout: patience,
      until: (stats) => stats.spares.ready === spares,
    });
    const old = new Set(all.filter(({ phase }) => phase === 'ready').map(({ pid }) => pid));
    const [victim] = old;
    if (victim === undefined || victim === null) throw new Error('no worker');
    const over = new AbortController();
    const ready = new Promise<number>((resolve) => {
      const look = (event: ControlEvent) => {
        const isNew = event.type === 'worker' && event.phase === 'ready' && !old.has(event.pid);
        if (isNew) resolve(performance.now());
      };
      void control.events(look, over.signal);
    });
    const kill = () => signalPid(victim, 'SIGKILL');
    return await timed({ port, old, kill, ready }).finally(() => over.abort());
  } finally {
    daemon.kill('SIGTERM');
    await daemon.waitForExit(patience).catch(() => daemon.killGroup('SIGKILL'));
    rmSync(directory, { recursive: true, force: true });
  }
}

/** From the kill to the first answer of a process that is new, or to the word that it is ready. */
async function timed({ port, old, kill, ready }: Timed): Promise<number> {
  let answered: (at: number) => void = () => {};
  const first = new Promise<number>((resolve) => {
    answered = resolve;
  });
  const watch = {
    answered: (body: string) => {
      const pid = Number(/"pid":(\d+)/.exec(body)?.[1]);
      if (!old.has(pid)) answered(performance.now());
    },
  };
  const clients = [{ kind: 'per-connection', count: 3, pauseMs: 3 }] as const;
  const load = startLoad({ port, path: '/work?ms=1', clients, watch, maxMs: patience });
  try {
    await load.reached(warm, patience);
    const killed = performance.now();
    kill();
    const late = sleep(patience, undefined, { ref: false }).then(() => Number.NaN);
    return (await Promise.race([first, late, ...(ready === undefined ? [] : [ready])])) - killed;
  } finally {
    await load.stop();
  }
}

interface Timed {
  readonly port: number;
  readonly old: ReadonlySet<number | null>;
  readonly kill: () => void;
  /** When its manager says so. */
  readonly ready?: Promise<number>;
}

/** It restarts at once however often a process dies, as long as each lives for a second. */
async function pm2Times(machine: Machine, pm2: Subject): Promise<number[]> {
  await machine.must(['mkdir', '-p', '-m', '1777', place]);
  const service = await pm2.start({});
  try {
    return await repeat(async () => {
      const { workers: all } = await waitFor('all of PM2', () => service.cast(), {
        timeout: patience,
        until: (cast) => cast.workers.length === workers,
      });
      const [victim] = all;
      if (victim === undefined) throw new Error('PM2 has no workers');
      await sleep(1_500);
      const old = new Set(all.map(({ pid }) => pid));
      return timed({ port: service.port, old, kill: () => signalPid(victim.hostPid, 'SIGKILL') });
    });
  } finally {
    await service.stop();
  }
}
