import type { Millis } from '../protocol/limits.js';
import { count } from '../protocol/words.js';
import type { Event } from './events.js';
import type { Policy } from './policy.js';
import type { State, Worker } from './state.js';
import type { Transaction } from './transaction.js';
import { workersIn } from './workers.js';

/** A proof holds for so many pings: one that is lost is no sign of death. */
const pingsPerProof = 2;
/** The last part of the interval is for the proofs. */
const proofsShare = 1 / 3;

/** The worker has answered a request of its own. */
export function proved(t: Transaction, { key }: Extract<Event, { type: 'proved' }>): void {
  const worker = t.worker(key);
  if (worker?.phase !== 'ready') return;
  t.put({ ...worker, vitals: { ...worker.vitals, provedAt: t.now } });
}

/** Shortly before the ping those without traffic are asked to prove that they would answer. */
export function proveDue(t: Transaction): void {
  const { pingInterval } = t.policy;
  const { timers } = t.state;
  if (pingInterval === null || timers.proveAt === null || t.now < timers.proveAt) return;
  t.update({ timers: { ...timers, proveAt: null } });
  if (t.state.life.phase !== 'serving') return;
  const timeout = proofTime(pingInterval);
  const since = t.now - (pingInterval - timeout);
  for (const worker of t.state.workers) {
    if (worker.phase !== 'ready' || provedAt(worker) >= since) continue;
    t.emit({ type: 'prove', key: worker.key, timeout });
  }
}

/** The ping says that requests are answered, not that a timer fires. */
export function pingDue(t: Transaction): void {
  const { now, policy, state } = t;
  const { pingInterval } = policy;
  if (pingInterval === null || now < state.timers.pingAt) return;
  const pingAt = now + pingInterval;
  const answering = answeringSlots(state, now, pingInterval);
  const hasQuorum = answering >= Math.ceil(state.slots.length / 2);
  const isAlive = state.life.phase !== 'serving' || hasQuorum || isComingBack(state, now, policy);
  const { quorumAt, withheld } = state.watchdog;
  t.update({
    timers: { ...state.timers, pingAt, proveAt: pingAt - proofTime(pingInterval) },
    watchdog: { quorumAt: hasQuorum ? now : quorumAt, withheld: !isAlive },
  });
  const said = `${answering} of ${count(state.slots.length, 'worker')} ${answering === 1 ? 'answers' : 'answer'}`;
  if (isAlive) t.emit({ type: 'notify', watchdog: true });
  if (withheld && isAlive) t.log('info', `watchdog pings go on: ${said}`);
  if (!withheld && !isAlive) t.log('warn', `watchdog pings are withheld: ${said}`);
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
