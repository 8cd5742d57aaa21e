import type { Failure } from '../protocol/death-record.js';
import { emptyLatency, type Heartbeat } from '../protocol/heartbeat.js';
import type { Millis } from '../protocol/limits.js';
import { killGrace, lastAnswers } from '../protocol/limits.js';
import type { RequestNote } from '../protocol/requests.js';
import { giveBack, isOneTooMany } from './autoscale.js';
import { backoff, intensity, random } from './backoff.js';
import type { Event } from './events.js';
import { beginStop, giveUpStart, workerLeft } from './lifecycle.js';
import { suspect } from './poison.js';
import { ownPolicy, type Policy } from './policy.js';
import { rollBack, trialOf } from './reload.js';
import { closeReloadRecord, countRequests, note, replacedBy } from './reload-record.js';
import { changeSlot, findSlot, isFilled, waitingSpare } from './slots.js';
import type { KeptDeath, Reload, Slot, State, Worker } from './state.js';
import { notifyIfChanged, servedSlots } from './status.js';
import type { Transaction } from './transaction.js';
import { becomeDraining, isExitExpected, nameIn, nameOf, readiness, slotOf } from './workers.js';

/*
 * What happens when a worker dies. A death reaches the core in one of four ways:
 *
 * - `exited`: its process is gone, and its last message has been read (master/pool.ts posts the event);
 * - `failed`: it says that it is about to die, and answers what it has before (its exit only completes its entry in
 *   `lastDeaths`);
 * - `forkFailed`: there was no process in the first place;
 * - from timeouts.ts: the master kills it because it hangs, or did not listen in time. Its death counts from then on, and
 *   the `exited` that follows is expected (`isExitExpected`): it only completes its entry in `lastDeaths`.
 *
 * All four end in `died`, unless the worker was to go anyway (`workerLeft`) or the service is still starting
 * (`giveUpStart`). `died` keeps the death for the stats, writes the one log entry that says it all, and decides what
 * follows: a rollback, a new worker in the slot, or the end of the master where there were too many. The new worker comes
 * at once after a first crash, and after any crash or hang where a spare waits; else after a backoff (backoff.ts): `forkAt` has the time, and
 * `forkDue` in slots.ts forks once it has come, which may be in the same step (`reconcile` in step.ts calls it).
 *
 * Each event comes through master/mailbox.ts, which hands the turn to the record before it performs the effects. A death is
 * kept in four places: in `lastDeaths` (`keepDeath`), which the stats show; in the log (`tell`); in the record of decisions
 * (master/record.ts), which record/tell-workers.ts puts into words for `rom-agent why`; and in `newDeaths`, which alerts
 * (master/alerts.ts) and counters (master/metrics.ts) read.
 *
 * master/perform.ts carries out what follows: `fork` starts a process by the pool, with the settings of its generation
 * (master/launch.ts); `exit` ends the master, and its service manager starts another one.
 */

type Exited = Extract<Event, { type: 'exited' }>;
type Exit = Omit<Exited, 'type' | 'key'>;

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
  readonly awaitsExit: boolean;
}

/** So many are kept. */
const mostDeaths = 10;
/** V8 aborts when the heap limit is reached; it prints why to standard error itself. */
const aborted = 'aborted: most likely it reached its heap limit (max_old_space_size)';
const unknown: Exit = { code: null, signal: null };

/** A worker's process is gone. One that is not known any more (its fork failed) is ignored. */
export function exited(t: Transaction, event: Exited): void {
  const worker = t.worker(event.key);
  if (worker === undefined) return;
  removeWorker(t, worker);
  if (isExitExpected(worker)) return expectedExit(t, worker, event);
  const { life } = t.state;
  if (life.phase === 'stopping') return workerLeft(t, worker, event);
  const fatal = life.phase === 'starting' ? fatalFailure(worker, event, t.policy) : null;
  if (fatal !== null) return giveUpStart(t, fatal);
  died(t, describe(worker, event));
}

/**
 * A worker says why it is about to die. One that serves goes on to answer what it has, for a short time: for the others
 * it is dead from now on. One that runs but accepts no more (`drains`) drains as if it were replaced. Of one that starts,
 * waits or drains its exit decides.
 */
export function failed(
  t: Transaction,
  { key, failure, drains = false }: Extract<Event, { type: 'failed' }>,
): void {
  const worker = t.worker(key);
  if (worker === undefined) return;
  const told: Worker = { ...worker, failure };
  if (worker.phase !== 'ready' || t.state.life.phase !== 'serving') return t.put(told);
  const timeout = drains ? ownPolicy(t.policy, worker).drainTimeout : lastAnswers;
  const replacedIn = trialOf(t.state, worker)?.target ?? null;
  t.put(becomeDraining(told, { now: t.now, deadline: t.now + timeout + killGrace, replacedIn }));
  // What was in flight is not why it is of no use.
  const requests = drains ? [] : requestsOf(told);
  died(t, { ...describe(told, unknown), requests, awaitsExit: true });
  // Where it was one death too many, nobody goes on accepting.
  if (drains) t.emit({ type: 'drain', key, timeout, last: t.state.life.phase !== 'serving' });
}

export function forkFailed(t: Transaction, { key, failure }: Extract<Event, { type: 'fork-failed' }>): void {
  const worker = t.worker(key);
  if (worker === undefined) return;
  t.remove(key);
  if (isExitExpected(worker)) return countLost(t, worker);
  if (t.state.life.phase === 'stopping') return;
  if (t.state.life.phase === 'starting') return giveUpStart(t, failure);
  died(t, { ...describe({ ...worker, failure }, unknown), kind: 'boot', cause: failure.message });
}

/** What it had in flight at its end, by its own account: later than its last heartbeat. */
export function current(
  t: Transaction,
  { key, inFlight, requests }: Extract<Event, { type: 'current' }>,
): void {
  const worker = t.worker(key);
  if (worker === undefined) return;
  const heartbeat = { ...(worker.heartbeat ?? noHeartbeat()), inFlight, current: requests };
  t.put({ ...worker, heartbeat, vitals: { ...worker.vitals, lastWord: requests } });
}

/** Its requests and connections stay in the sums. */
function removeWorker(t: Transaction, { key, heartbeat }: Worker): void {
  t.remove(key);
  const { traffic } = t.state;
  const gone = traffic.gone + (heartbeat?.requests ?? 0);
  t.update({
    traffic: { ...traffic, gone, acceptedGone: traffic.acceptedGone + (heartbeat?.accepted ?? 0) },
  });
}

/** The exit of a worker that drains, or whose death was counted before: what it has not answered by now is lost. */
function expectedExit(t: Transaction, worker: Worker, event: Exited): void {
  const death = t.state.lastDeaths.find(({ key, awaitsExit }) => key === worker.key && awaitsExit);
  complete(t, worker, event);
  workerLeft(t, worker, event);
  if (death !== undefined) suspect(t, worker.vitals.lastWord ?? death.requests);
  countLost(t, worker);
}

/** What a worker that was replaced has not answered by its end is lost. */
function countLost(t: Transaction, worker: Worker): void {
  const generation = replacedBy(worker);
  countRequests(t, generation, { lost: worker.heartbeat?.inFlight ?? 0 });
  closeReloadRecord(t, generation);
}

/**
 * What makes the very first start fail at once instead of by backoff: a failure that the next worker would
 * meet too. A worker that somebody else killed by a signal gets another try.
 */
function fatalFailure(worker: Worker, { code, signal }: Exited, policy: Policy): Failure | null {
  if (worker.phase !== 'starting') return null;
  if (worker.failure !== null) return worker.failure;
  const { exits } = policy;
  if (signal === 'SIGABRT') return { message: `${nameOf(worker)} ${aborted}`, exitCode: exits.noResources };
  if (code === null) return null;
  const message = `the app ended with code ${code} before ${readiness(policy)}`;
  return { message, exitCode: exits.appFailed };
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
    awaitsExit: false,
  };
}

function causeOf(worker: Worker, { code, signal, oomKills = 0 }: Exit): string {
  if (worker.phase === 'dying') return worker.why;
  if (worker.failure !== null) return worker.failure.message;
  return endedBy({ code, signal, oomKills });
}

/** What its exit says of itself. */
export function endedBy({ code, signal, oomKills = 0 }: Exit): string {
  if (signal === 'SIGABRT') return aborted;
  if (signal === 'SIGKILL' && oomKills > 0) return 'killed by the kernel for memory';
  return signal === null ? `ended by itself with code ${code}` : `ended by ${signal}`;
}

/** The death of a worker that the master kills: its process has not exited yet. */
export function deathByTimeout(
  worker: Worker,
  death: Pick<Death, 'kind' | 'cause'> & Partial<Pick<Death, 'requests' | 'stack' | 'detail'>>,
): Death {
  const exit = { code: null, signal: null };
  return { worker, exit, oomKills: 0, requests: [], stack: null, detail: null, awaitsExit: false, ...death };
}

/** A death that nobody asked for. That of a generation on trial is the end of the trial, and counts nowhere else. */
export function died(t: Transaction, death: Death): void {
  keepDeath(t, death);
  const reload = trialOf(t.state, death.worker);
  if (reload === null) replace(t, death);
  else endTrial(t, reload, death);
  // Requests do not kill workers that boot.
  if (death.kind !== 'boot' && !death.awaitsExit && isOwnFault(death)) suspect(t, death.requests);
}

function endTrial(t: Transaction, reload: Reload, death: Death): void {
  const { worker, cause, kind } = death;
  tell(t, death, null);
  note(t, { step: 'died', worker, detail: kind === 'hang' ? `hung: ${cause}` : cause });
  // One that still answers what it has is counted at its end.
  if (t.worker(worker.key) === undefined) {
    countRequests(t, reload.target, { lost: worker.heartbeat?.inFlight ?? 0 });
  }
  const how = { boot: 'could not start', crash: 'died', hang: 'hung' }[kind];
  rollBack(t, `${nameIn(t.state, worker)} of generation ${reload.target} ${how}: ${cause}`);
}

/** Another worker after the backoff, or the end of the master where there were too many deaths. */
function replace(t: Transaction, death: Death): void {
  const { worker, cause } = death;
  const isLasting = worker.failure?.lasting === true;
  // Each further worker would fail of it, as the files on the disk are of another build. The next master would not; but
  // while some workers serve, they do better than none.
  if (isLasting && servedSlots(t.state) === 0) return giveUp(t, death, cause);
  if (!isLasting) {
    const { deaths, exceeded } = intensity(t.state.deaths, { now: t.now, restart: t.policy.restart });
    t.update({ deaths });
    if (exceeded) return giveUp(t, death, tooMany(t, death));
  }
  if (worker.role.kind === 'spare') return spareLost(t, death);
  const slot = findSlot(t.state, worker.role.slot);
  // Without a way back the next try is due though the old worker still serves.
  const { reload } = t.state;
  const again = reload?.rollback === false && worker.generation === reload.target;
  // It was being replaced, or is not wanted any more.
  if (slot === undefined || (isFilled(t.state, slot.id) && !again)) return tell(t, death, null);
  refill(t, slot, death);
}

function refill(t: Transaction, slot: Slot, death: Death): void {
  const kind = death.kind === 'boot' ? 'boot' : 'crash';
  const before = kind === 'crash' ? slot.crashes : slot.bootFailures;
  const failures = (wasStable(death, t) ? 0 : before) + 1;
  if (kind === 'boot' && isOneTooMany(t, failures)) {
    tell(t, death, null);
    return giveBack(t, slot, failures);
  }
  // From the second crash on there is a backoff; a spare has booted already and needs none.
  const isAtOnce = kind === 'crash' && waitingSpare(t.state, t.state.generation) !== undefined;
  const delay = backoffOf(t, kind, failures);
  const pause = isAtOnce ? 0 : delay;
  t.update({ restarts: t.state.restarts + 1 });
  changeSlot(t, slot.id, {
    restarts: slot.restarts + 1,
    forkAt: t.now + pause,
    ...(kind === 'crash' ? { crashes: failures } : { bootFailures: failures }),
  });
  tell(t, death, pause);
  notifyIfChanged(t);
}

/** The next one waits as after a death before listening: nobody misses a spare that much. */
function spareLost(t: Transaction, death: Death): void {
  const isFirst = t.now - death.worker.forkedAt >= t.policy.restart.window;
  const failures = (isFirst ? 0 : t.state.spares.failures) + 1;
  const delay = backoffOf(t, 'boot', failures);
  t.update({ spares: { ...t.state.spares, failures, forkAt: t.now + delay } });
  tell(t, death, delay);
  notifyIfChanged(t);
}

function backoffOf(t: Transaction, kind: 'crash' | 'boot', failures: number): Millis {
  const [value, seed] = random(t.state.seed);
  t.update({ seed });
  return backoff(kind, { failures, random: value, restart: t.policy.restart });
}

function tooMany({ state, policy }: Transaction, { kind, cause }: Death): string {
  const within = Math.round(policy.restart.window / 1000);
  const last = kind === 'hang' ? `hung: ${cause}` : cause;
  return `too many restarts: ${state.deaths.length} within ${within} s; the last: ${last}`;
}

/** Ends the service: its service manager starts another master. */
function giveUp(t: Transaction, death: Death, why: string): void {
  tell(t, death, null);
  t.log('error', why);
  beginStop(t, { why, exitCode: t.policy.exits.tooManyRestarts });
}

/** A worker that served for longer than the window makes the next crash a first one. */
function wasStable({ kind, worker }: Death, { now, policy }: Transaction): boolean {
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
function isOwnFault({ kind, worker, exit: { signal }, oomKills }: Death): boolean {
  if (kind === 'hang') {
    const state = worker.vitals.silence?.capture?.state;
    return state !== 'stopped' && state !== 'starved';
  }
  if (worker.failure !== null) return true;
  return oomKills === 0 && (signal === null || faults.has(signal));
}

/** Keeps it for the stats. */
function keepDeath(t: Transaction, death: Death): void {
  const { worker, kind, cause, exit, oomKills, requests, stack, awaitsExit } = death;
  const kept: KeptDeath = {
    key: worker.key,
    at: t.now,
    worker: slotOf(worker),
    pid: worker.pid,
    generation: worker.generation,
    kind,
    cause,
    ...exit,
    uptimeSeconds: uptime(worker, t.now),
    lost: lostBy(death),
    requests,
    oomKills,
    stack,
    awaitsExit,
  };
  t.update({ lastDeaths: [kept, ...t.state.lastDeaths].slice(0, mostDeaths) });
}

/** The deaths that came between two states, newest first. */
export function newDeaths(before: State, after: State): readonly KeptDeath[] {
  if (before.lastDeaths === after.lastDeaths) return [];
  const known = new Set(before.lastDeaths.map(({ key }) => key));
  return after.lastDeaths.filter(({ key }) => !known.has(key));
}

/** A worker whose death was told before has exited: how it ended, and what it left unanswered, is known now. */
function complete(t: Transaction, worker: Worker, { code, signal, oomKills = 0 }: Exited): void {
  const { lastDeaths } = t.state;
  if (!lastDeaths.some(({ key }) => key === worker.key)) return;
  const lost = worker.heartbeat?.inFlight ?? 0;
  t.update({
    lastDeaths: lastDeaths.map((death): KeptDeath => {
      if (death.key !== worker.key) return death;
      const requests = worker.vitals.lastWord ?? death.requests;
      const left = death.awaitsExit ? { requests, lost, awaitsExit: false } : {};
      return { ...death, code, signal, oomKills, ...left };
    }),
  });
}

/** What it has in flight, as far as it is known. */
export function requestsOf({ vitals, heartbeat }: Worker): readonly RequestNote[] {
  return vitals.lastWord ?? heartbeat?.current ?? [];
}

const verbOf: Readonly<Record<Death['kind'], (worker: Worker, policy: Policy) => string>> = {
  boot: ({ role }, policy) =>
    role.kind === 'spare' ? 'died before it had booted' : `died before ${readiness(policy)}`,
  crash: () => 'crashed',
  hang: () => 'hung',
};

/** The one entry that says it all. `delay`: until the next one is forked, null where none is. */
function tell(t: Transaction, death: Death, delay: Millis | null): void {
  const { worker, kind, cause, exit, oomKills, requests, stack, detail } = death;
  t.log('error', `${nameIn(t.state, worker)} ${verbOf[kind](worker, t.policy)}: ${cause}`, {
    workerPid: worker.pid,
    // Of one that is about to end the exit is yet to come.
    ...(exit.code === null && exit.signal === null ? {} : exit),
    uptimeSeconds: uptime(worker, t.now),
    inFlight: lostBy(death),
    ...(requests.length === 0 ? {} : { requests: requests.map(inWords) }),
    ...(oomKills === 0 ? {} : { oomKills }),
    ...(delay === null ? {} : { restartInMs: delay }),
    ...(detail === null ? {} : { detail }),
    ...(stack === null ? {} : { stack }),
  });
}

/** `GET /orders/:id 1.2 s`. */
export function inWords({ method, path, ageMs }: RequestNote): string {
  return `${method} ${path} ${Math.round(ageMs / 100) / 10} s`;
}

function lostBy({ worker, requests }: Death): number {
  return Math.max(worker.heartbeat?.inFlight ?? 0, requests.length);
}

function uptime({ forkedAt }: Worker, now: Millis): number {
  return Math.round((now - forkedAt) / 1000);
}

/** Of one that has not lived to send any. */
function noHeartbeat(): Heartbeat {
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
    rssBytes: 0,
    heapUsedBytes: 0,
    heapLimitBytes: 0,
    eventLoopDelayMs: 0,
    eventLoopUtilization: 0,
    current: [],
  };
}
