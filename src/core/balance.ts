import { type Millis, settleTime } from '../protocol/limits.js';
import type { WorkerKey } from '../protocol/messages.js';
import type { Moved, Worker } from './state.js';
import type { Transaction } from './transaction.js';
import type { Ready } from './workers.js';

/** So many kept connections go from one worker to another. */
export interface Move {
  readonly from: WorkerKey;
  readonly to: WorkerKey;
  readonly count: number;
}

/** A worker that has been silent for longer is given nothing more to do. */
const silence: Millis = 2_500;
/** Who has as many more connections than another than this at least gives some away. */
const leastDifference = 2;
/** What is compared must be of one time: in a burst, heartbeats that are further apart tell of different numbers. */
const together: Millis = 200;

/**
 * Evens out the kept connections, which the kernel hands to whichever worker wakes up first. Not during a reload: it
 * compares a worker with others, and then empties those.
 */
export function balance(t: Transaction): void {
  const { now, policy, state } = t;
  if (!policy.evensOut || state.life.phase !== 'serving' || state.reload !== null) return;
  if (!isUneven(state.workers)) return;
  const ready = newestOfEachSlot(state.workers).filter(
    (worker) => isAwake(worker, now) && isWell(worker) && takesPart(worker),
  );
  // One that is in the middle of a move would be counted with what it no longer has.
  if (!ready.every((worker) => isSettled(worker, state.moved))) return;
  const moves = movesBetween(ready.map(({ key, heartbeat }) => ({ key, kept: heartbeat?.kept ?? 0 })));
  if (moves.length === 0) return;
  const old = ready.filter(({ heartbeatAt }) => now - heartbeatAt > together);
  if (old.length > 0) {
    for (const { key } of old) t.emit({ type: 'ask-heartbeat', key });
    return;
  }
  const busy = new Set(moves.flatMap(({ from, to }) => [from, to]));
  const known = new Set(state.workers.map(({ key }) => key));
  const others = state.moved.filter(({ key }) => known.has(key) && !busy.has(key));
  t.update({ moved: [...others, ...[...busy].map((key) => ({ key, at: now }))] });
  for (const { from, to, count } of moves) t.emit({ type: 'even-out', key: from, to, count });
}

/**
 * The moves that even out the numbers, each worker either giving or taking. None while nobody has two more than another,
 * or a tenth of the average where that is more: connections that come and go make up such a difference all the time.
 */
export function movesBetween(workers: readonly { readonly key: WorkerKey; readonly kept: number }[]): Move[] {
  const sorted = [...workers].sort((a, b) => b.kept - a.kept || a.key - b.key);
  const total = sorted.reduce((sum, { kept }) => sum + kept, 0);
  const most = sorted[0]?.kept ?? 0;
  const least = sorted.at(-1)?.kept ?? 0;
  if (most - least < Math.max(leastDifference, total / sorted.length / 10)) return [];
  const share = Math.floor(total / sorted.length);
  const surplus = sorted.map(({ key, kept }, place) => ({
    key,
    count: kept - share - (place < total % sorted.length ? 1 : 0),
  }));
  return match(surplus);
}

/** Lists of workers that are known to need no move. */
const even = new WeakSet<readonly Worker[]>();

/** A worker has said again what it had said before. Whatever need not be evened out before need not be now. */
export function keepEven(before: readonly Worker[], after: readonly Worker[]): void {
  if (even.has(before)) even.add(after);
}

/** Whether there can be a move at all. Looking at all workers with each heartbeat costs the square of their number. */
function isUneven(workers: readonly Worker[]): boolean {
  if (even.has(workers)) return false;
  let least = Number.POSITIVE_INFINITY;
  let most = 0;
  for (const { phase, heartbeat } of workers) {
    if (phase !== 'ready') continue;
    const kept = heartbeat?.kept ?? 0;
    if (kept < least) least = kept;
    if (kept > most) most = kept;
  }
  if (most - least >= leastDifference) return true;
  even.add(workers);
  return false;
}

function match(surplus: readonly { readonly key: WorkerKey; readonly count: number }[]): Move[] {
  const takers = surplus.filter(({ count }) => count < 0).map(({ key, count }) => ({ key, room: -count }));
  return surplus.flatMap(({ key, count }) => {
    const moves: Move[] = [];
    for (let left = count; left > 0; ) {
      const taker = takers.find(({ room }) => room > 0);
      if (taker === undefined) break;
      const moved = Math.min(left, taker.room);
      moves.push({ from: key, to: taker.key, count: moved });
      taker.room -= moved;
      left -= moved;
    }
    return moves;
  });
}

function isAwake(worker: Ready, now: Millis): boolean {
  return worker.heartbeat !== null && now - worker.heartbeatAt <= silence;
}

/** A worker that cannot move connections says so by having no number of them. */
function takesPart({ heartbeat }: Ready): boolean {
  return heartbeat?.kept !== null;
}

/** One that is late has enough to do, and may be replaced soon. */
function isWell({ vitals }: Ready): boolean {
  return vitals.slowSince === null && vitals.health !== 'unhealthy';
}

/** Has reported since it was last part of a move. */
function isSettled({ key, heartbeatAt }: Ready, moved: readonly Moved[]): boolean {
  const last = moved.find((move) => move.key === key);
  return last === undefined || heartbeatAt >= last.at + settleTime;
}

/** Of two that serve one slot the older is about to go. */
function newestOfEachSlot(workers: readonly Worker[]): Ready[] {
  const newest = new Map<number, Ready>();
  for (const worker of workers) {
    // A slot's workers are in the order in which they came to it.
    if (worker.phase === 'ready') newest.set(worker.role.slot, worker);
  }
  return [...newest.values()];
}
