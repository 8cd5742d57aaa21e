import type { Failure } from '../protocol/death-record.js';
import { type Beat, emptyLatency } from '../protocol/heartbeat.js';
import { killGrace, lastAnswers, type Millis } from '../protocol/limits.js';
import type { RequestNote } from '../protocol/requests.js';
import type { LogEffect } from './effects.js';
import type { Event } from './events.js';
import { beginStop, giveUpStart, workerLeft } from './lifecycle.js';
import { mark } from './poison.js';
import type { Policy, RestartPolicy } from './policy.js';
import { closeRecord, countRequests, note, replacedBy } from './record.js';
import { rollBack, trialOf } from './reload.js';
import { chain, log, type Result, unchanged } from './result.js';
import { changeSlot, findSlot, isFilled, waitingSpare } from './slots.js';
import type { KeptDeath, Reload, Slot, State, Worker } from './state.js';
import { servedSlots, tellStatus } from './status.js';
import { draining, findWorker, nameOf, removeWorker, replaceWorker } from './workers.js';

type Exited = Extract<Event, { type: 'exited' }>;
type Exit = Omit<Exited, 'type' | 'key'>;
/** V8 aborts when the heap limit is reached; it prints why to standard error itself. */
const aborted = 'aborted: most likely it reached its heap limit (max_old_space_size)';
const unknown: Exit = { code: null, signal: null };

/** A worker's process is gone. One that is not known any more (its fork failed) is ignored. */
export function exited(state: State, event: Exited, now: Millis, policy: Policy): Result {
  const worker = findWorker(state, event.key);
  if (worker === undefined) return unchanged(state);
  const buried = bury(state, worker);
  if (wasDraining(worker)) return left(buried, { worker, event, now, policy });
  if (state.life.phase === 'stopping') return workerLeft(buried, { worker, event, now });
  const fatal = state.life.phase === 'starting' ? fatalFailure(worker, event, policy) : null;
  if (fatal !== null) return giveUpStart(buried, { failure: fatal, now, policy });
  return died(buried, { death: describe(worker, event), now, policy });
}

/** What it had in flight at its end, by its own account: later than its last beat. */
export function current(
  state: State,
  { key, inFlight, requests }: Extract<Event, { type: 'current' }>,
): Result {
  const worker = findWorker(state, key);
  if (worker === undefined) return unchanged(state);
  const beat = { ...(worker.beat ?? noBeat()), inFlight, current: requests };
  const vitals = { ...worker.vitals, lastWord: requests };
  return unchanged(replaceWorker(state, { ...worker, beat, vitals }));
}

/**
 * A worker says why it is about to die. One that serves goes on to answer what it has, for a short time: for the others
 * it is dead from now on. One that is only of no use drains as if it were replaced. Of one that starts, waits or drains
 * its exit decides.
 */
export function failed(
  state: State,
  { key, failure, drains = false }: Extract<Event, { type: 'failed' }>,
  now: Millis,
  policy: Policy,
): Result {
  const worker = findWorker(state, key);
  if (worker === undefined) return unchanged(state);
  const told: Worker = { ...worker, failure };
  if (worker.phase !== 'ready' || state.life.phase !== 'serving') {
    return unchanged(replaceWorker(state, told));
  }
  const reload = trialOf(state, worker)?.target ?? null;
  const timeout = drains ? policy.drainTimeout : lastAnswers;
  const leaving = draining(told, { now, deadline: now + timeout + killGrace, reload });
  // What was in flight is not why it is of no use.
  const requests = drains ? [] : requestsOf(told);
  const death = { ...describe(told, unknown), requests, isOpen: true };
  const outcome = died(replaceWorker(state, leaving), { death, now, policy });
  if (!drains) return outcome;
  // Where it was one death too many, nobody goes on accepting.
  return chain(outcome, (next) => {
    const last = next.life.phase !== 'serving';
    return [next, [{ type: 'drain', key, timeout, last }]];
  });
}

export function forkFailed(
  state: State,
  { key, failure }: Extract<Event, { type: 'fork-failed' }>,
  now: Millis,
  policy: Policy,
): Result {
  const worker = findWorker(state, key);
  if (worker === undefined) return unchanged(state);
  const buried = removeWorker(state, key);
  if (wasDraining(worker)) return leaveRecord(buried, worker);
  if (state.life.phase === 'stopping') return unchanged(buried);
  if (state.life.phase === 'starting') return giveUpStart(buried, { failure, now, policy });
  const death: Death = { ...describe({ ...worker, failure }, unknown), kind: 'boot', cause: failure.message };
  return died(buried, { death, now, policy });
}

/** Others stand in for it already. */
function wasDraining(worker: Worker): boolean {
  return worker.phase === 'draining' || (worker.phase === 'dying' && worker.was === 'draining');
}

/** One whose death was told before has left behind what it had in flight then, unless it answered it. */
function left(
  state: State,
  { worker, event, now, policy }: { worker: Worker; event: Exited; now: Millis; policy: Policy },
): Result {
  const death = state.lastDeaths.find(({ key, isOpen }) => key === worker.key && isOpen);
  const gone = workerLeft(completed(state, worker, event), { worker, event, now });
  const suspected =
    death === undefined
      ? gone
      : chain(gone, (next) => mark(next, worker.vitals.lastWord ?? death.requests, now, policy));
  return chain(suspected, (next) => leaveRecord(next, worker));
}

/** What a worker that was replaced has not answered by its end is lost. */
function leaveRecord(state: State, worker: Worker): Result {
  const reload = replacedBy(worker);
  const counted = countRequests(state, reload, { lost: worker.beat?.inFlight ?? 0 });
  return chain(counted, (next) => closeRecord(next, reload));
}

/** Its requests and connections stay in the sums. */
function bury(state: State, worker: Worker): State {
  const gone = state.traffic.gone + (worker.beat?.requests ?? 0);
  const acceptedGone = state.traffic.acceptedGone + (worker.beat?.accepted ?? 0);
  return { ...removeWorker(state, worker.key), traffic: { ...state.traffic, gone, acceptedGone } };
}

/**
 * What makes the very first start fail at once instead of by backoff: a failure that the next worker would
 * meet too. A worker that somebody else killed by a signal gets another try.
 */
function fatalFailure(worker: Worker, { code, signal }: Exited, { exits }: Policy): Failure | null {
  if (worker.phase !== 'starting') return null;
  if (worker.failure !== null) return worker.failure;
  if (signal === 'SIGABRT') return { message: `${nameOf(worker)} ${aborted}`, exitCode: exits.noResources };
  if (code === null) return null;
  return { message: `the app ended with code ${code} before it listened`, exitCode: exits.appFailed };
}

function describe(worker: Worker, exit: Exit): Death {
  const was = worker.phase === 'dying' ? worker.was : worker.phase;
  const { code, signal, oomKills = 0 } = exit;
  return {
    worker,
    kind: was === 'starting' ? 'boot' : 'crash',
    cause: causeOf(worker, exit),
    exit: { code, signal },
    oomKills,
    requests: requestsOf(worker),
    stack: worker.failure?.stack ?? null,
    detail: null,
    isOpen: false,
  };
}

function causeOf(worker: Worker, { code, signal, oomKills = 0 }: Exit): string {
  if (worker.phase === 'dying') return worker.why;
  if (worker.failure !== null) return worker.failure.message;
  if (signal === 'SIGABRT') return aborted;
  if (signal === 'SIGKILL' && oomKills > 0) return 'killed by the kernel for memory';
  return signal === null ? `ended by itself with code ${code}` : `ended by ${signal}`;
}

/** Of one that has not lived to send any. */
function noBeat(): Beat {
  return {
    requests: 0,
    inFlight: 0,
    connections: 0,
    accepted: 0,
    kept: 0,
    answers: 0,
    errors: 0,
    latency: emptyLatency(),
    bytesWritten: 0,
    rss: 0,
    heapUsed: 0,
    heapLimit: 0,
    eventLoopDelay: 0,
    eventLoopUtilization: 0,
    current: [],
  };
}

interface Dying {
  readonly death: Death;
  readonly now: Millis;
  readonly policy: Policy;
}

/** A death that nobody asked for. That of a generation on trial is the end of the trial, and counts nowhere else. */
export function died(state: State, dying: Dying): Result {
  const { death, now, policy } = dying;
  const reload = trialOf(state, death.worker);
  const kept = recorded(state, death, now);
  const told = reload === null ? replace(kept, dying) : endTrial(kept, reload, dying);
  // What kills workers that boot are not the requests.
  if (death.kind === 'boot' || death.isOpen || !isOwnFault(death)) return told;
  return chain(told, (next) => mark(next, death.requests, now, policy));
}

function endTrial(state: State, reload: Reload, { death, now }: Dying): Result {
  const { worker, cause, kind } = death;
  const noted = chain([state, [deathEntry(death, now, null)]], (next) =>
    note(next, now, { step: 'died', worker, detail: kind === 'hang' ? `hung: ${cause}` : cause }),
  );
  const counted = chain(noted, (next) =>
    // One that still answers what it has is counted at its end.
    findWorker(next, worker.key) !== undefined
      ? unchanged(next)
      : countRequests(next, reload.target, { lost: worker.beat?.inFlight ?? 0 }),
  );
  const what = { boot: 'could not start', crash: 'died', hang: 'hung' }[kind];
  const reason = `${nameOf(worker)} of generation ${reload.target} ${what}: ${cause}`;
  return chain(counted, (next) => rollBack(next, reason, now));
}

/** Another worker after the backoff, or the end where there were too many deaths. */
function replace(state: State, { death, now, policy }: Dying): Result {
  const isLasting = death.worker.failure?.lasting === true;
  // Another master would do better, but those that serve do better than none.
  if (isLasting && servedSlots(state) === 0) return giveUp(state, death.cause, { death, now, policy });
  const { deaths, exceeded } = isLasting
    ? { deaths: state.deaths, exceeded: false }
    : intensity(state.deaths, { now, restart: policy.restart });
  const counted = { ...state, deaths };
  if (exceeded) return tooMany(counted, { death, now, policy });
  if (death.worker.slot === 0) return spareLost(counted, { death, now, policy });
  const slot = findSlot(state, death.worker.slot);
  // Without a way back the next try is due though the old worker still serves.
  const again = state.reload?.rollback === false && death.worker.generation === state.reload.target;
  // It was being replaced, or is not wanted any more.
  if (slot === undefined || (isFilled(state, slot.id) && !again)) {
    return [counted, [deathEntry(death, now, null)]];
  }
  return refill(counted, slot, { death, now, policy });
}

function refill(state: State, slot: Slot, { death, now, policy }: Dying): Result {
  const kind = death.kind === 'boot' ? 'boot' : 'crash';
  const before = kind === 'crash' ? slot.crashes : slot.bootFailures;
  const failures = (wasStable(death, now, policy) ? 0 : before) + 1;
  const [value, seed] = random(state.seed);
  // A spare has booted already: what it saves is not to be waited for.
  const isAtOnce = kind === 'crash' && waitingSpare(state, state.generation) !== undefined;
  const delay = isAtOnce ? 0 : backoff(kind, { failures, random: value, restart: policy.restart });
  const next = changeSlot({ ...state, seed, restarts: state.restarts + 1 }, slot.id, {
    restarts: slot.restarts + 1,
    forkAt: now + delay,
    ...(kind === 'crash' ? { crashes: failures } : { bootFailures: failures }),
  });
  return chain([next, [deathEntry(death, now, delay)]], (state) => tellStatus(state, now, {}));
}

/** The next one waits as after a death before listening: nobody misses it that much. */
function spareLost(state: State, { death, now, policy }: Dying): Result {
  const isFirst = now - death.worker.forkedAt >= policy.restart.window;
  const failures = (isFirst ? 0 : state.spares.failures) + 1;
  const [value, seed] = random(state.seed);
  const delay = backoff('boot', { failures, random: value, restart: policy.restart });
  const spares = { ...state.spares, failures, forkAt: now + delay };
  const told: Result = [{ ...state, seed, spares }, [deathEntry(death, now, delay)]];
  return chain(told, (next) => tellStatus(next, now, {}));
}

function tooMany(state: State, { death, now, policy }: Dying): Result {
  const within = Math.round(policy.restart.window / 1000);
  const why = `too many restarts: ${state.deaths.length} within ${within} s; the last: ${lastOf(death)}`;
  return giveUp(state, why, { death, now, policy });
}

/** Ends the service: its service manager starts another master. */
function giveUp(state: State, why: string, { death, now, policy }: Dying): Result {
  const stopped = beginStop(state, { why, exitCode: policy.exits.tooManyRestarts, now, policy });
  return chain([state, [deathEntry(death, now, null), log('error', why)]], () => stopped);
}

function lastOf({ kind, cause }: Death): string {
  return kind === 'hang' ? `hung: ${cause}` : cause;
}

/** A worker that served for longer than the window makes the next crash a first one. */
function wasStable({ kind, worker }: Death, now: Millis, policy: Policy): boolean {
  return kind !== 'boot' && now - worker.placedAt >= policy.restart.window;
}

/** Signals that a process brings upon itself: signal(7). Others are sent, by an operator or by the kernel for memory. */
const faults: ReadonlySet<string> = new Set([
  'SIGABRT',
  'SIGBUS',
  'SIGFPE',
  'SIGILL',
  'SIGSEGV',
  'SIGSYS',
  'SIGTRAP',
]);

/** Whether the worker itself has caused its death, so that what it was doing may be to blame. */
export function isOwnFault({ kind, worker, exit: { signal }, oomKills }: Death): boolean {
  if (kind === 'hang') {
    const state = worker.vitals.silence?.capture?.state;
    return state !== 'stopped' && state !== 'starved';
  }
  if (worker.failure !== null) return true;
  return oomKills === 0 && (signal === null || faults.has(signal));
}

/** So many are kept. */
const mostDeaths = 10;

/** A death that nobody asked for. */
export interface Death {
  readonly worker: Worker;
  readonly kind: KeptDeath['kind'];
  readonly cause: string;
  readonly exit: { readonly code: number | null; readonly signal: string | null };
  readonly oomKills: number;
  readonly requests: readonly RequestNote[];
  readonly stack: string | null;
  readonly detail: string | null;
  /** See KeptDeath. */
  readonly isOpen: boolean;
}

/** Keeps it for the stats. */
export function recorded(state: State, death: Death, now: Millis): State {
  const { worker, kind, cause, exit, oomKills, requests, stack, isOpen } = death;
  const kept: KeptDeath = {
    key: worker.key,
    at: now,
    worker: worker.slot,
    pid: worker.pid,
    generation: worker.generation,
    kind,
    cause,
    ...exit,
    uptime: uptime(worker, now),
    lost: lostBy(death),
    requests,
    oomKills,
    stack,
    isOpen,
  };
  return { ...state, lastDeaths: [kept, ...state.lastDeaths].slice(0, mostDeaths) };
}

/** A worker whose death was told before it was gone is gone: how it ended, and what it left unanswered, is known now. */
export function completed(
  state: State,
  worker: Worker,
  { code, signal, oomKills = 0 }: Extract<Event, { type: 'exited' }>,
): State {
  if (!state.lastDeaths.some(({ key }) => key === worker.key)) return state;
  const lastDeaths = state.lastDeaths.map((death): KeptDeath => {
    if (death.key !== worker.key) return death;
    const left = death.isOpen
      ? {
          requests: worker.vitals.lastWord ?? death.requests,
          lost: worker.beat?.inFlight ?? 0,
          isOpen: false,
        }
      : {};
    return { ...death, code, signal, oomKills, ...left };
  });
  return { ...state, lastDeaths };
}

/** What it has in flight, as far as it is known. */
export function requestsOf({ vitals, beat }: Worker): readonly RequestNote[] {
  return vitals.lastWord ?? beat?.current ?? [];
}

const what: Readonly<Record<Death['kind'], (worker: Worker) => string>> = {
  boot: ({ slot }) => (slot === 0 ? 'died before it had booted' : 'died before it listened'),
  crash: () => 'crashed',
  hang: () => 'hung',
};

/** The one entry that says it all. */
export function deathEntry(death: Death, now: Millis, delay: Millis | null): LogEffect {
  const { worker, kind, cause, exit, oomKills, requests, stack, detail } = death;
  return log('error', `${nameOf(worker)} ${what[kind](worker)}: ${cause}`, {
    workerPid: worker.pid,
    // Of one that is about to end the exit is yet to come.
    ...(exit.code === null && exit.signal === null ? {} : exit),
    uptimeSeconds: uptime(worker, now),
    inFlight: lostBy(death),
    ...(requests.length === 0 ? {} : { requests: requests.map(inWords) }),
    ...(oomKills === 0 ? {} : { oomKills }),
    ...(delay === null ? {} : { restartInMs: delay }),
    ...(detail === null ? {} : { detail }),
    ...(stack === null ? {} : { stack }),
  });
}

function inWords({ method, path, age }: RequestNote): string {
  return `${method} ${path} ${Math.round(age / 100) / 10} s`;
}

function lostBy({ worker, requests }: Death): number {
  return Math.max(worker.beat?.inFlight ?? 0, requests.length);
}

function uptime({ forkedAt }: Worker, now: Millis): number {
  return Math.round((now - forkedAt) / 1000);
}

/**
 * The delay before a slot's next worker, ms. The first restart after a crash is at once, since the usual crash
 * is a single one; a worker that died before it listened always waits, since the next would fare the same.
 *
 * @param failures deaths of this kind in a row, this one included
 * @param random in [0, 1): the delay is between half and the whole of its exponential step, so that the
 *   slots of a service that crashes as one do not come back as one
 */
export function backoff(
  kind: 'crash' | 'boot',
  { failures, random, restart }: { failures: number; random: number; restart: RestartPolicy },
): Millis {
  if (kind === 'crash' && failures <= 1) return 0;
  const [first, longest, exponent] =
    kind === 'crash'
      ? [restart.crashDelay, restart.crashDelayMax, failures - 2]
      : [restart.bootDelay, restart.bootDelayMax, failures - 1];
  return Math.round(Math.min(longest, first * 2 ** exponent) * (0.5 + random / 2));
}

/** The deaths that still count, this one included, and whether they are too many. */
export function intensity(
  deaths: readonly Millis[],
  { now, restart }: { now: Millis; restart: RestartPolicy },
): { readonly deaths: readonly Millis[]; readonly exceeded: boolean } {
  const recent = [...deaths.filter((at) => now - at < restart.window), now];
  return { deaths: recent, exceeded: recent.length > restart.intensity };
}

/** One step of mulberry32: a number in [0, 1) and the next seed. Not for secrets. */
export function random(seed: number): readonly [value: number, seed: number] {
  const next = (seed + 0x6d2b79f5) | 0;
  let mixed = Math.imul(next ^ (next >>> 15), next | 1);
  mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
  return [((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296, next];
}
