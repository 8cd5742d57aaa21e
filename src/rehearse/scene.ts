import { setTimeout as sleep } from 'node:timers/promises';
import type { ControlClient } from '../control/client.js';
import type { ControlEvent } from '../protocol/control-api.js';
import { ownEndingCut } from '../protocol/limits.js';
import type { DeathSummary } from '../protocol/stats.js';
import { type Held, hold, type Load, type Sample, startLoad, type Target } from './load.js';
import type { Handler, HeldResult } from './observations.js';
import type { Running, Sandbox } from './sandbox.js';

/** What an act has to do with: the app under the daemon, and the requests for it. */
export interface Scene {
  readonly sandbox: Sandbox;
  readonly daemon: Running;
  readonly client: ControlClient;
  readonly workers: number;
  /** Never empty; those that answer with a status below 500 as long as nobody does harm. */
  readonly samples: readonly Sample[];
  /** How long a load runs by itself, ms. */
  readonly loadMs: number;
  /** What the daemon has told so far, with the time, ms. */
  readonly happened: readonly Happened[];
  /** ms, that only goes forward */
  readonly now: () => number;
  readonly drainTimeoutMs: number;
  /** Aborted: the rehearsal is over. */
  readonly signal: AbortSignal;
}

export interface Happened {
  readonly at: number;
  readonly event: ControlEvent;
}

/** How long a state is waited for, ms: a busy machine may be ten times slower than another. */
export const patience = 90_000;
/** How long an answer may take, ms. */
export const answerLimit = 30_000;
/** How long after the harm answers that are held back come, ms: less than what the briefest grace of a library allows. */
export const holdMs = 500;
const heldRequests = 4;
/** ms */
const longestHold = 150_000;

/** A few clients of each kind: the app is not measured, but must have requests in flight. */
export function loadOf({ sandbox: { target }, samples, signal }: Scene): Load {
  return startLoad({ target, samples, keepAlive: 4, perConnection: 2, timeout: answerLimit, signal });
}

/** Requests whose answers wait in the app. */
export interface HeldRequests {
  /** Has them answered, so many ms later. */
  release(afterMs: number): void;
  /** Of the processes that have them. */
  readonly pids: readonly number[];
  /** Once there is an outcome for each. */
  result(): Promise<HeldResult>;
}

/** Sends requests whose answers wait, and resolves once the app has them. */
export async function holdRequests(
  { sandbox, samples }: Pick<Scene, 'sandbox' | 'samples'>,
  target: Target = sandbox.target,
): Promise<HeldRequests> {
  const [sample = { method: 'GET', path: '/' }] = samples;
  const held = hold(sample, { target, count: heldRequests, timeout: longestHold });
  const ids = new Set(held.map(({ id }) => id));
  const begun = () =>
    sandbox.reports().flatMap((report) => (report.type === 'held' && ids.has(report.id) ? [report.pid] : []));
  await until(() => begun().length === ids.size, answerLimit);
  const pids = [...new Set(begun())];
  return {
    release: (afterMs) => {
      for (const pid of pids) void sandbox.order(pid, { do: 'release', afterMs });
    },
    pids,
    result: () => resultOf(held),
  };
}

async function resultOf(held: readonly Held[]): Promise<HeldResult> {
  const outcomes = await Promise.all(held.map(({ outcome }) => outcome));
  const lost = outcomes.flatMap((outcome) => {
    if (outcome.kind === 'lost') return [outcome.why];
    if (outcome.kind !== 'answered') return [outcome.kind];
    return outcome.status >= 500 ? [`status ${outcome.status}`] : [];
  });
  const sample = held[0]?.sample ?? { method: 'GET', path: '/' };
  return { sample, count: held.length, answered: held.length - lost.length, lost };
}

/** What kept workers running that were cut off after their own handlers, as Node names it: `Timeout, TCPSocketWrap`. */
export function cutEndings({ daemon }: Pick<Scene, 'daemon'>): readonly string[] {
  return daemon.lines.flatMap((line) => {
    if (!line.includes(ownEndingCut)) return [];
    const { open } = JSON.parse(line) as { open?: unknown };
    return [String(open ?? '')];
  });
}

/** Resolves to whether it became true in time. */
export async function until(
  isSo: () => boolean | Promise<boolean>,
  limit: number = patience,
): Promise<boolean> {
  const deadline = performance.now() + limit;
  while (!(await isSo())) {
    if (performance.now() >= deadline) return false;
    await sleep(interval);
  }
  return true;
}

const interval = 50;

/** Of the workers that serve. */
export async function readyPids({ client }: Pick<Scene, 'client'>): Promise<readonly number[]> {
  const { workers } = await client.status();
  return workers.flatMap(({ pid, phase }) => (phase === 'ready' && pid !== null ? [pid] : []));
}

/** As many workers as there are to be, and nobody else; `without`: and not this one. */
export function atFullStrength(scene: Scene, without: number | null = null): Promise<boolean> {
  return until(async () => {
    const { workers } = await scene.client.status();
    const ready = workers.filter(({ phase, pid }) => phase === 'ready' && pid !== without);
    return ready.length === scene.workers && workers.length === scene.workers;
  });
}

/** Deaths since so many ms. */
export async function deathsSince(scene: Scene, at: number): Promise<readonly DeathSummary[]> {
  const { deaths } = await scene.client.status();
  const age = (scene.now() - at) / 1000 + 1;
  return deaths.filter(({ agoSeconds }) => agoSeconds <= age);
}

export function eventsSince<T extends ControlEvent['type']>(
  { happened }: Scene,
  { type, at }: { readonly type: T; readonly at: number },
): readonly (Extract<ControlEvent, { type: T }> & { readonly happenedAt: number })[] {
  return happened.flatMap(({ at: happenedAt, event }) =>
    event.type === type && happenedAt >= at
      ? [{ ...(event as Extract<ControlEvent, { type: T }>), happenedAt }]
      : [],
  );
}

/** Handlers of the app's own, of the processes that this is true of. */
export function handlersOf(
  sandbox: Sandbox,
  isOne: (pid: number) => boolean = () => true,
): readonly Handler[] {
  return sandbox
    .reports()
    .filter(
      (report): report is Handler => report.type === 'handler' && report.at !== null && isOne(report.pid),
    );
}
