import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../../support/net.js';
import type { NotifySocket } from '../../support/notify-socket.js';
import { descendants } from '../../support/proc.js';
import { plainEnvironment, signalPid } from '../../support/process.js';
import { waitFor } from '../../support/wait.js';
import { type Contender, readyLine } from './contenders.js';

/** A contender that serves. */
export interface Service {
  readonly url: string;
  /** From just before the spawn to its word that it is ready, ms: see StartOptions. */
  readonly tookToReady: number;
  /**
   * Master and workers, which stay the same. Not asked for before each load: a look at all of /proc has a bearing on where
   * the kernel then runs whom.
   */
  readonly pids: readonly number[];
  stop(): Promise<void>;
}

/** How long a start or a stop may take, ms, unless told. */
const usualPatience = 15_000;

export interface StartOptions {
  readonly patience?: number;
  /** The binary that runs it, the one of this process unless told. */
  readonly node?: string;
  /** Where READY=1 is waited for; without it, or for one that says no such thing, it is the ready line. */
  readonly notify?: NotifySocket;
}

export async function startService(
  contender: Contender,
  { node = process.execPath, notify, patience = usualPatience }: StartOptions = {},
): Promise<Service> {
  const port = await freePort();
  const notified = contender.notifies ? notify : undefined;
  const before = notified?.datagrams.length ?? 0;
  const startedAt = performance.now();
  const child = spawn(node, contender.args(port), {
    // Not in the repository: a .env there would be read.
    cwd: tmpdir(),
    env: {
      ...plainEnvironment(),
      ...contender.env(port),
      ...(notified === undefined ? {} : { NOTIFY_SOCKET: notified.path }),
    },
    detached: true,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const pid = child.pid ?? fail(`${contender.name} did not start`);
  running.add(pid);
  const line = await seeReady(child, contender, patience);
  const readyAt = notified === undefined ? line : await readyDatagram(notified, before, patience);
  return {
    url: `http://127.0.0.1:${port}/api/info`,
    tookToReady: readyAt - startedAt,
    pids: [pid, ...(await descendants(pid))],
    stop: () => stop(child, pid, patience),
  };
}

/** When the first READY=1 came after so many datagrams, ms. */
async function readyDatagram(socket: NotifySocket, before: number, timeout: number): Promise<number> {
  const find = () => socket.datagrams.slice(before).find(({ text }) => /^READY=1$/m.test(text));
  const found = await waitFor('READY=1', find, { timeout });
  return found?.at ?? fail('no READY=1 came');
}

async function seeReady(child: ChildProcess, { name }: Contender, patience: number): Promise<number> {
  let output = '';
  const ready = new Promise<number>((resolve, reject) => {
    child.stdout?.on('data', (chunk: Buffer) => {
      const arrivedAt = performance.now();
      output += chunk.toString();
      if (readyLine.test(output)) resolve(arrivedAt);
    });
    child.once('exit', () => reject(new Error(`${name} ended before it was ready:\n${output}`)));
  });
  const late = sleep(patience, undefined, { ref: false }).then(() =>
    fail(`${name} was not ready within ${patience} ms:\n${output}`),
  );
  return Promise.race([ready, late]);
}

async function stop(child: ChildProcess, pid: number, patience: number): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) {
    const exited = once(child, 'exit', { signal: AbortSignal.timeout(patience) });
    signalPid(pid, 'SIGTERM');
    await exited;
  }
  signalPid(-pid, 'SIGKILL');
  running.delete(pid);
}

function fail(message: string): never {
  throw new Error(message);
}

const running = new Set<number>();

// The process groups are their own, so that a Ctrl-C reaches only us.
process.once('SIGINT', () => process.exit(130));
process.on('exit', () => {
  for (const pid of running) signalPid(-pid, 'SIGKILL');
});
