import type { Millis } from '../protocol/limits.js';
import type { Effect } from './effects.js';
import type { Event } from './events.js';
import type { Policy } from './policy.js';
import { log, type Result, unchanged } from './result.js';
import type { State, Worker } from './state.js';
import { count } from './status.js';
import { findWorker, replaceWorker, workersIn } from './workers.js';

/** A proof holds for so many pings: one that is lost is no sign of death. */
const pingsPerProof = 2;
/** The last part of the interval is for the proofs. */
const proofsShare = 1 / 3;

/** The worker has answered a request of its own. */
export function proved(state: State, { key }: Extract<Event, { type: 'proved' }>, now: Millis): Result {
  const worker = findWorker(state, key);
  if (worker?.phase !== 'ready') return unchanged(state);
  return unchanged(replaceWorker(state, { ...worker, vitals: { ...worker.vitals, provedAt: now } }));
}

/** Shortly before the ping those without traffic are asked to prove that they would answer. */
export function proveDue(state: State, now: Millis, { pingInterval }: Policy): Result {
  const { proveAt } = state.timers;
  if (pingInterval === null || proveAt === null || now < proveAt) return unchanged(state);
  const next = { ...state, timers: { ...state.timers, proveAt: null } };
  if (state.life.phase !== 'serving') return unchanged(next);
  const timeout = proofTime(pingInterval);
  const since = now - (pingInterval - timeout);
  const asked = state.workers.filter((worker) => worker.phase === 'ready' && provedAt(worker) < since);
  return [next, asked.map(({ key }): Effect => ({ type: 'prove', key, timeout }))];
}

/** The ping says that requests are answered, not that a timer fires. */
export function pingDue(state: State, now: Millis, policy: Policy): Result {
  const { pingInterval } = policy;
  if (pingInterval === null || now < state.timers.pingAt) return unchanged(state);
  const pingAt = now + pingInterval;
  const timers = { ...state.timers, pingAt, proveAt: pingAt - proofTime(pingInterval) };
  const answering = answeringSlots(state, now, pingInterval);
  const hasQuorum = answering >= Math.ceil(state.slots.length / 2);
  const quorumAt = hasQuorum ? now : state.watchdog.quorumAt;
  const isAlive = state.life.phase !== 'serving' || hasQuorum || isComingBack(state, now, policy);
  const next: State = { ...state, timers, watchdog: { quorumAt, withheld: !isAlive } };
  const said = `${answering} of ${count(state.slots.length, 'worker')} ${answering === 1 ? 'answers' : 'answer'}`;
  const { withheld } = state.watchdog;
  if (!isAlive) return [next, withheld ? [] : [log('warn', `watchdog pings are withheld: ${said}`)]];
  const resumed = withheld ? [log('info', `watchdog pings go on: ${said}`)] : [];
  return [next, [{ type: 'notify', watchdog: true }, ...resumed]];
}

export function pingDeadlines({ timers }: State, { pingInterval }: Policy): readonly Millis[] {
  if (pingInterval === null) return [];
  return timers.proveAt === null ? [timers.pingAt] : [timers.proveAt, timers.pingAt];
}

/** When the first proofs are asked for, after a start at `now`. */
export function firstPing(now: Millis, { pingInterval }: Policy): { pingAt: Millis; proveAt: Millis | null } {
  if (pingInterval === null) return { pingAt: now, proveAt: null };
  return { pingAt: now + pingInterval, proveAt: now + pingInterval - proofTime(pingInterval) };
}

function proofTime(pingInterval: Millis): Millis {
  return Math.round(pingInterval * proofsShare);
}

function answeringSlots(state: State, now: Millis, pingInterval: Millis): number {
  const isProven = (worker: Worker) =>
    worker.phase === 'ready' && now - provedAt(worker) <= pingInterval * pingsPerProof;
  return state.slots.filter(({ id }) => workersIn(state, id).some(isProven)).length;
}

/** Whom somebody keeps from its work on demand is not asked for proofs. */
function provedAt({ vitals }: Worker): Millis {
  return Math.max(vitals.provedAt ?? Number.NEGATIVE_INFINITY, vitals.excusedUntil);
}

/** A replacement is on its way, and within the time that it may take. */
function isComingBack(state: State, now: Millis, { hangTimeout, bootTimeout }: Policy): boolean {
  if (now - state.watchdog.quorumAt > hangTimeout + bootTimeout) return false;
  return state.slots.some(
    ({ id, forkAt }) => forkAt !== null || workersIn(state, id).some(({ phase }) => phase === 'starting'),
  );
}
