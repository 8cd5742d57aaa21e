import type { Failure } from '../protocol/death-record.js';
import { type Beat, emptyLatency } from '../protocol/heartbeat.js';
import { killGrace, lastAnswers, type Millis } from '../protocol/limits.js';
import { completed, type Death, requestsOf } from './deaths.js';
import { died } from './died.js';
import type { Event } from './events.js';
import type { State, Worker } from './model.js';
import { mark } from './poison.js';
import type { Policy } from './policy.js';
import { closeRecord, countRequests, replacedBy } from './record.js';
import { chain, findWorker, log, type Result, removeWorker, replaceWorker, unchanged } from './result.js';
import { trialOf } from './rollback.js';
import { beginStop, workerLeft } from './stop.js';
import { draining, nameOf } from './worker.js';

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

export function giveUpStart(
  state: State,
  { failure, now, policy }: { failure: Failure; now: Millis; policy: Policy },
): Result {
  const fields = failure.stack === undefined ? undefined : { stack: failure.stack };
  const stopped = beginStop(state, {
    why: failure.message,
    exitCode: failure.exitCode,
    ...(failure.errno === undefined ? {} : { errno: failure.errno }),
    now,
    policy,
  });
  return chain([state, [log('error', `cannot start: ${failure.message}`, fields)]], () => stopped);
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
