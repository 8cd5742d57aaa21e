import { backoff, intensity } from './backoff.js';
import type { Event } from './events.js';
import { changeSlot, findSlot, forkDue } from './fork.js';
import type { Failure, Millis, State, Worker } from './model.js';
import { killGrace, lastAnswers, type Policy } from './policy.js';
import { random } from './random.js';
import { closeRecord, countRequests, note, replacedBy } from './record.js';
import { chain, findWorker, log, type Result, removeWorker, replaceWorker, unchanged } from './result.js';
import { rollBack, trialOf } from './rollback.js';
import { draining, isFilled } from './slots.js';
import { tellStatus } from './status.js';
import { beginStop, workerLeft } from './stop.js';

type Exited = Extract<Event, { type: 'exited' }>;
/** V8 aborts when the heap limit is reached; it prints why to standard error itself. */
const aborted = 'aborted: most likely it reached its heap limit (max_old_space_size)';

interface Death {
  readonly worker: Worker;
  readonly kind: 'boot' | 'crash';
  readonly cause: string;
  readonly exit: Pick<Exited, 'code' | 'signal'>;
}

/** A worker's process is gone. One that is not known any more (its fork failed) is ignored. */
export function exited(state: State, event: Exited, now: Millis, policy: Policy): Result {
  const worker = findWorker(state, event.key);
  if (worker === undefined) return unchanged(state);
  const buried = bury(state, worker);
  if (wasDraining(worker)) {
    return chain(workerLeft(buried, { worker, event, now }), (next) => leaveRecord(next, worker));
  }
  if (state.life.phase === 'stopping') return workerLeft(buried, { worker, event, now });
  const fatal = state.life.phase === 'starting' ? fatalFailure(worker, event, policy) : null;
  if (fatal !== null) return giveUpStart(buried, { failure: fatal, now, policy });
  return died(buried, { death: describe(worker, event), now, policy });
}

/**
 * A worker says why it is about to die. One that serves goes on to answer what it has, for a short time: for the others
 * it is dead from now on. Of one that starts or drains its exit decides.
 */
export function failed(
  state: State,
  { key, failure }: Extract<Event, { type: 'failed' }>,
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
  const leaving = draining(told, { now, deadline: now + lastAnswers + killGrace, reload });
  const death = describe(told, { code: null, signal: null });
  return died(replaceWorker(state, leaving), { death, now, policy });
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
  const exit = { code: null, signal: null };
  return died(buried, { death: { worker, kind: 'boot', cause: failure.message, exit }, now, policy });
}

/** Others stand in for it already. */
function wasDraining(worker: Worker): boolean {
  return worker.phase === 'draining' || (worker.phase === 'dying' && worker.was === 'draining');
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
  if (worker.phase === 'dying' && worker.was === 'starting') {
    return { message: `worker ${worker.slot} ${worker.why}`, exitCode: exits.bootTimeout };
  }
  if (worker.phase !== 'starting') return null;
  if (worker.failure !== null) return worker.failure;
  if (signal === 'SIGABRT')
    return { message: `worker ${worker.slot} ${aborted}`, exitCode: exits.noResources };
  if (code === null) return null;
  return { message: `the app ended with code ${code} before it listened`, exitCode: exits.appFailed };
}

function giveUpStart(
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

/** A death that nobody asked for. That of a generation on trial is the end of the trial, and counts nowhere else. */
function died(state: State, { death, now, policy }: { death: Death; now: Millis; policy: Policy }): Result {
  const reload = trialOf(state, death.worker);
  if (reload === null) return replace(state, { death, now, policy });
  const noted = chain([state, [deathEntry(death, now, null)]], (next) =>
    note(next, now, { step: 'died', worker: death.worker, detail: death.cause }),
  );
  const counted = chain(noted, (next) =>
    // One that still answers what it has is counted at its end.
    findWorker(next, death.worker.key) !== undefined
      ? unchanged(next)
      : countRequests(next, reload.target, { lost: death.worker.beat?.inFlight ?? 0 }),
  );
  const what = death.kind === 'boot' ? 'could not start' : 'died';
  const reason = `worker ${death.worker.slot} of generation ${reload.target} ${what}: ${death.cause}`;
  return chain(counted, (next) => rollBack(next, reason, now));
}

/** Another worker after the backoff, or the end where there were too many deaths. */
function replace(
  state: State,
  { death, now, policy }: { death: Death; now: Millis; policy: Policy },
): Result {
  const { deaths, exceeded } = intensity(state.deaths, { now, restart: policy.restart });
  if (exceeded) return tooMany({ ...state, deaths }, { death, now, policy });
  const slot = findSlot(state, death.worker.slot);
  // Without a way back the next try is due though the old worker still serves.
  const again = state.reload?.rollback === false && death.worker.generation === state.reload.target;
  // It was being replaced, or is not wanted any more.
  if (slot === undefined || (isFilled(state, slot.id) && !again)) {
    return [{ ...state, deaths }, [deathEntry(death, now, null)]];
  }
  const failures = (wasStable(death, now, policy) ? 0 : countOf(slot, death.kind)) + 1;
  const [value, seed] = random(state.seed);
  const delay = backoff(death.kind, { failures, random: value, restart: policy.restart });
  const next = changeSlot({ ...state, deaths, seed, restarts: state.restarts + 1 }, slot.id, {
    restarts: slot.restarts + 1,
    forkAt: now + delay,
    ...(death.kind === 'crash' ? { crashes: failures } : { bootFailures: failures }),
  });
  const told = chain([next, [deathEntry(death, now, delay)]], (state) => forkDue(state, now, policy));
  return chain(told, (state) => tellStatus(state, now, {}));
}

function tooMany(
  state: State,
  { death, now, policy }: { death: Death; now: Millis; policy: Policy },
): Result {
  const within = Math.round(policy.restart.window / 1000);
  const why = `too many restarts: ${state.deaths.length} within ${within} s; the last: ${death.cause}`;
  const stopped = beginStop(state, { why, exitCode: policy.exits.tooManyRestarts, now, policy });
  return chain([state, [deathEntry(death, now, null), log('error', why)]], () => stopped);
}

/** A worker that ran for longer than the window makes the next crash a first one. */
function wasStable({ kind, worker }: Death, now: Millis, policy: Policy): boolean {
  return kind === 'crash' && now - worker.forkedAt >= policy.restart.window;
}

function countOf(slot: { crashes: number; bootFailures: number }, kind: Death['kind']): number {
  return kind === 'crash' ? slot.crashes : slot.bootFailures;
}

function describe(worker: Worker, { code, signal }: Pick<Exited, 'code' | 'signal'>): Death {
  const was = worker.phase === 'dying' ? worker.was : worker.phase;
  const exit = { code, signal };
  return { worker, kind: was === 'starting' ? 'boot' : 'crash', cause: causeOf(worker, exit), exit };
}

function causeOf(worker: Worker, { code, signal }: Death['exit']): string {
  if (worker.phase === 'dying') return worker.why;
  if (worker.failure !== null) return worker.failure.message;
  if (signal === 'SIGABRT') return aborted;
  return signal === null ? `ended by itself with code ${code}` : `ended by ${signal}`;
}

function deathEntry({ worker, kind, cause, exit }: Death, now: Millis, delay: Millis | null) {
  const what = kind === 'boot' ? 'died before it listened' : 'crashed';
  return log('error', `worker ${worker.slot} ${what}: ${cause}`, {
    workerPid: worker.pid,
    // Of one that still answers what it has the exit is yet to come.
    ...(exit.code === null && exit.signal === null ? {} : exit),
    uptime: Math.round((now - worker.forkedAt) / 1000),
    inFlight: worker.beat?.inFlight ?? 0,
    ...(delay === null ? {} : { restartIn: delay }),
    ...(worker.failure?.stack === undefined ? {} : { stack: worker.failure.stack }),
  });
}
