import type { Millis } from '../protocol/limits.js';
import type { WorkerKey } from '../protocol/messages.js';
import { forkWorker } from './fork.js';
import type { State, Worker } from './model.js';
import type { Policy } from './policy.js';
import { isMemoryShort } from './pressure.js';
import { chain, chainAll, findWorker, log, type Result, replaceWorker, unchanged } from './result.js';
import { retire } from './slots.js';
import { tellStatus } from './status.js';
import { isUp } from './worker.js';

/** A spare has booted. Once it drains or dies, that comes too late to matter; and who has a slot is none. */
export function spareBooted(state: State, key: WorkerKey, now: Millis): Result {
  const worker = findWorker(state, key);
  if (worker?.phase !== 'starting' || worker.slot !== 0) return unchanged(state);
  const waits = replaceWorker(state, { ...worker, phase: 'spare', beatAt: now });
  const told: Result = [
    waits,
    [log('info', 'a spare is ready', { tookMs: now - worker.forkedAt, workerPid: worker.pid })],
  ];
  return chain(told, (next) => tellStatus(next, now, {}));
}

/**
 * As many spares as are wanted, of the proven generation. During a reload they stay as they are: the old generation may
 * still need them, and the CPU has other work.
 */
export function settleSpares(state: State, now: Millis, policy: Policy): Result {
  const counted = wanting(state, policy.spares);
  if (counted.life.phase !== 'serving' || counted.reload !== null) return unchanged(counted);
  const left = chainAll(
    counted,
    superfluous(counted).map(
      (worker) => (next) => retire(next, worker, { now, policy, why: 'it is not wanted any more' }),
    ),
  );
  return chain(left, (next) => (isDue(next, now) ? forkSpare(next, now, policy) : unchanged(next)));
}

/** When the next one may be forked, where one is missing. */
export function spareDeadlines(state: State): readonly Millis[] {
  const { forkAt } = state.spares;
  // Once it is past, something else is waited for.
  return forkAt === null || forkAt <= state.tickedAt || !isMissing(state) ? [] : [forkAt];
}

function wanting(state: State, wanted: number): State {
  return state.spares.wanted === wanted ? state : { ...state, spares: { ...state.spares, wanted } };
}

/** Of another generation, or too many. */
function superfluous(state: State): readonly Worker[] {
  const all = sparesOf(state);
  const current = all.filter(({ generation }) => generation === state.generation);
  return all.filter((worker) => !current.slice(0, state.spares.wanted).includes(worker));
}

/** One at a time, and after all who have a slot to fill. */
function isDue(state: State, now: Millis): boolean {
  const { forkAt } = state.spares;
  const starts = state.workers.some(({ phase }) => phase === 'starting');
  return isMissing(state) && !starts && !isMemoryShort(state) && (forkAt === null || now >= forkAt);
}

function isMissing(state: State): boolean {
  const there = state.workers.filter((worker) => worker.slot === 0 && isUp(worker));
  return there.length < state.spares.wanted;
}

function forkSpare(state: State, now: Millis, policy: Policy): Result {
  const next = { ...state, spares: { ...state.spares, forkAt: null } };
  return forkWorker(next, { slot: 0, generation: state.generation }, now, policy);
}

function sparesOf({ workers }: State): readonly Worker[] {
  return workers.filter((worker) => worker.slot === 0 && isUp(worker));
}
