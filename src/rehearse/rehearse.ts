import { realpathSync } from 'node:fs';
import { workingDirectoryOf } from '../config/app.js';
import type { Loaded } from '../config/load.js';
import { connectControl } from '../control/client.js';
import { RomAgentError } from '../errors.js';
import { boundsOf } from '../settings/worker-count.js';
import { boot } from './acts/boot.js';
import { cut } from './acts/cut.js';
import { hang, kill, memory, scale } from './acts/harm.js';
import { leak } from './acts/leak.js';
import { reload } from './acts/reload.js';
import { sigterm } from './acts/sigterm.js';
import { stop } from './acts/stop.js';
import { traffic } from './acts/traffic.js';
import { type Sample, send } from './load.js';
import { measureMachine } from './machine.js';
import { type Act, acts, type Boot, type Observation } from './observations.js';
import { type DependencyProxy, openProxy } from './proxy.js';
import type { RehearsalReport } from './report.js';
import { createSandbox, type Running, type Sandbox } from './sandbox.js';
import { answerLimit, atFullStrength, type Happened, type Scene, until } from './scene.js';
import { judge } from './verdict.js';

export interface RehearsalInput {
  /** As it was given. */
  readonly app: string;
  readonly loaded: Loaded;
  /** Of the app's file. */
  readonly readFile: (path: string) => string;
  readonly cwd: string;
  /** The script of this program. */
  readonly script: string;
  readonly env: NodeJS.ProcessEnv;
  readonly workers: number;
  /** null: the root, and the health route. */
  readonly samples: readonly Sample[] | null;
  readonly only: ReadonlySet<Act>;
  /** How long a load runs by itself, ms. */
  readonly loadMs: number;
  /** The variable whose URL names what is cut off; null: none. */
  readonly cut: string | null;
  /** Hears of each act before it is played. */
  readonly onAct: (act: Act) => void;
  /** Aborted: the rehearsal ends early. */
  readonly signal: AbortSignal;
}

/** Plays all acts, whatever comes of each, and leaves nothing behind. */
export async function rehearse(input: RehearsalInput): Promise<RehearsalReport> {
  const began = performance.now();
  const { config } = input.loaded;
  const { path: workingDirectory } = workingDirectoryOf({
    configured: config.workingDirectory,
    app: config.app,
    cwd: input.cwd,
    readFile: input.readFile,
    realpath: realpathSync.native,
  });
  const proxy =
    input.cut === null ? null : await openProxy(input.cut, { ...config.dotenv, ...input.env }[input.cut]);
  const machineFactor = await measureMachine();
  const drainTimeoutMs = Math.round(usualDrain * machineFactor);
  const { loaded, script, env, workers } = input;
  const replaced = proxy === null ? {} : { [proxy.variable]: proxy.url };
  const sandbox = await createSandbox({
    ...{ loaded, script, env, workers, workingDirectory, drainTimeoutMs, replaced },
  });
  const verdicts: RehearsalReport['verdicts'][number][] = [];
  const over = new AbortController();
  const playAll = async (): Promise<void> => {
    for await (const { observation, tookMs } of play(input, {
      ...{ sandbox, proxy, machineFactor, drainTimeoutMs, signal: over.signal },
    }))
      verdicts.push({ ...judge(observation, workingDirectory), tookMs });
  };
  const aborted = new Promise<void>((resolve) => input.signal.addEventListener('abort', () => resolve()));
  try {
    await Promise.race([playAll(), aborted]);
  } finally {
    over.abort();
    await sandbox.end();
    proxy?.close();
  }
  return {
    app: input.app,
    workers,
    node: process.versions.node,
    tookMs: performance.now() - began,
    verdicts,
  };
}

/** A draining worker that has not ended by then never would, ms. */
const usualDrain = 10_000;

interface Stage {
  readonly sandbox: Sandbox;
  readonly proxy: DependencyProxy | null;
  /** As in Boot. */
  readonly machineFactor: number;
  readonly drainTimeoutMs: number;
  /** Aborted: it is over. */
  readonly signal: AbortSignal;
}

interface Timed {
  readonly observation: Observation;
  readonly tookMs: number;
}

/** The acts in their order. A boot is always played: the others need what it starts. */
async function* play(input: RehearsalInput, stage: Stage): AsyncGenerator<Timed> {
  const { only, onAct, loaded } = input;
  const { sandbox, proxy, signal, machineFactor } = stage;
  const { config } = loaded;
  const wanted = (act: Act): boolean => only.has(act) && !signal.aborted;
  onAct('boot');
  const daemon = sandbox.startDaemon();
  const scene = await open(input, { ...stage, daemon });
  if (scene === null) {
    yield { observation: failedBoot(daemon), tookMs: 0 };
    for (const act of acts) if (act !== 'boot' && only.has(act)) yield skip(act, 'the app does not serve');
    return;
  }
  const play = (act: Act, run: () => Promise<Observation>) => timed(act, { run, daemon });
  const booted = await play('boot', () =>
    boot(scene, { configuredWorkers: boundsOf(config.workers).max, machineFactor }),
  );
  if (wanted('boot')) yield booted;
  const all = input.samples ?? (await usualSamples(scene, input));
  const usable = await usableOf(scene, all);
  const set: Scene = { ...scene, samples: usable };
  const rest: readonly (readonly [Act, () => Promise<Observation>])[] = [
    ['load', () => traffic(set, all)],
    ['leak', () => leak(set)],
    ['reload', () => reload(set)],
    ['scale', () => scale(set)],
    ['kill', () => kill(set)],
    ['hang', () => hang(set, config.hangTimeout)],
    ['memory', () => memory(set)],
    ['cut', () => cut(set, proxy)],
    ['stop', () => stop(set)],
    ['sigterm', () => sigterm(set, { bootLimit: config.bootTimeout * machineFactor, machineFactor })],
  ];
  for (const [act, run] of rest) {
    if (!wanted(act)) continue;
    onAct(act);
    const isOver = daemon.ended() !== null && act !== 'sigterm';
    if (isOver) yield skip(act, 'the service has ended');
    else if (usable.length === 0 && act !== 'load') yield skip(act, 'no path is answered without an error');
    else yield await play(act, run);
    if (daemon.ended() === null) await atFullStrength(set).catch(() => false);
  }
}

function skip(act: Act, skipped: string): Timed {
  return { observation: { act, skipped }, tookMs: 0 };
}

async function timed(
  act: Act,
  { run, daemon }: { readonly run: () => Promise<Observation>; readonly daemon: Running },
): Promise<Timed> {
  const began = performance.now();
  const observation = await run().catch((error: unknown): Observation => {
    const lastLines = daemon.ended() === null ? null : wordsOf(daemon);
    if (lastLines === null && !(error instanceof RomAgentError)) throw error;
    return { act, broken: String(error), lastLines };
  });
  return { observation, tookMs: performance.now() - began };
}

/** Waits until all workers serve; null: they do not. */
async function open(
  { workers, loadMs, loaded: { config } }: RehearsalInput,
  { sandbox, daemon, drainTimeoutMs, signal }: Stage & { readonly daemon: Running },
): Promise<Scene | null> {
  const client = connectControl({ path: sandbox.controlSocket, timeout: answerLimit });
  const happened: Happened[] = [];
  const now = () => performance.now();
  const serves = await until(async () => {
    if (daemon.ended() !== null) return true;
    const stats = await client.status().catch(() => null);
    return stats?.status === 'serving' && stats.ready === workers;
  }, config.bootTimeout + spare);
  if (!serves || daemon.ended() !== null) return null;
  void client.events((event) => void happened.push({ at: now(), event }), signal).catch(() => {});
  return { sandbox, daemon, client, workers, samples: [], loadMs, happened, now, drainTimeoutMs, signal };
}

/** ms */
const spare = 60_000;

function failedBoot(daemon: Running): Boot {
  const output = wordsOf(daemon);
  return { act: 'boot', bootMs: null, output, shares: [], machineFactor: 1, configuredWorkers: 1 };
}

/** The last errors in its log, and what is no log. */
function wordsOf({ lines }: Running): readonly string[] {
  const said = lines.flatMap((line) => {
    try {
      const { level, msg } = JSON.parse(line) as { level?: unknown; msg?: unknown };
      const isBad = level === 'error' || level === 'fatal' || Number(level) >= 50;
      return isBad && typeof msg === 'string' ? [msg] : [];
    } catch {
      return [line];
    }
  });
  return said.slice(-5);
}

/** The root, what the configuration asks for, and the usual health routes that are there. */
async function usualSamples(
  scene: Scene,
  { loaded: { config } }: RehearsalInput,
): Promise<readonly Sample[]> {
  const configured = [config.start.probe, config.health.probe, config.health.check].filter(
    (path) => path !== null,
  );
  const isThere = async (path: string): Promise<boolean> => {
    const sending = { target: scene.sandbox.target, agent: false, timeout: answerLimit } as const;
    const outcome = await send({ method: 'GET', path }, sending);
    return outcome.kind === 'answered' && outcome.status < 300;
  };
  const healths: string[] = [];
  // An app that answers every path has no health route: each of its faults would be told three times.
  if (!(await isThere(nowhere))) {
    for (const path of ['/healthz', '/health']) if (await isThere(path)) healths.push(path);
  }
  return [...new Set(['/', ...configured, ...healths])].map((path) => ({ method: 'GET', path }));
}

/** A path that no app has. */
const nowhere = '/rom-agent-rehearsal-nowhere';

/** Those that are answered below 500 as things are. */
async function usableOf({ sandbox: { target } }: Scene, all: readonly Sample[]): Promise<readonly Sample[]> {
  const found: Sample[] = [];
  for (const sample of all) {
    const outcome = await send(sample, { target, agent: false, timeout: answerLimit });
    if (outcome.kind === 'answered' && outcome.status < 500) found.push(sample);
  }
  return found;
}
