import type { Millis } from '../protocol/limits.js';
import type { Slot, State, Worker } from './model.js';
import { blockFor } from './poison.js';
import { ownPolicy, type Policy, spareDelay } from './policy.js';
import { note } from './record.js';
import { chain, chainAll, log, type Result } from './result.js';
import { newWorker, promoted } from './worker.js';

interface Place {
  readonly slot: number;
  readonly generation: number;
}

/** Fills a slot: with a spare where one waits, else with a new worker; of the proven generation unless told. */
export function fillSlot(
  state: State,
  { slot, generation = state.generation }: { slot: number; generation?: number },
  now: Millis,
  policy: Policy,
): Result {
  const next = changeSlot(state, slot, { forkAt: null, forkAfter: null });
  const spare = waitingSpare(next, generation);
  return spare === undefined
    ? forkWorker(next, { slot, generation }, now, policy)
    : promote(next, { spare, slot }, now, policy);
}

/** Slot 0: a spare. */
export function forkWorker(state: State, { slot, generation }: Place, now: Millis, policy: Policy): Result {
  const key = state.nextKey;
  const { bootTimeout } = ownPolicy(policy, { generation });
  const worker = newWorker({ key, slot, generation, now, bootTimeout });
  const forked: Result = [
    { ...state, nextKey: key + 1, workers: [...state.workers, worker] },
    [{ type: 'fork', key, slot, generation }, ...blockFor(state, [key], now)],
  ];
  return chain(forked, (state) => note(state, now, { step: 'forked', worker }));
}

/** One that is known to be well: a slot must not wait for a spare that hangs. */
export function waitingSpare({ workers }: State, generation: number): Worker | undefined {
  return workers.find(
    (worker) =>
      worker.phase === 'spare' && worker.generation === generation && worker.vitals.health === 'fit',
  );
}

/** Fills the slots whose time has come. */
export function forkDue(state: State, now: Millis, policy: Policy): Result {
  const due = state.slots.filter(({ forkAt }) => forkAt !== null && forkAt <= now);
  return chainAll(
    state,
    due.map(
      ({ id }) =>
        (next) =>
          fillSlot(next, { slot: id }, now, policy),
    ),
  );
}

export function changeSlot(state: State, id: number, change: Partial<Omit<Slot, 'id'>>): State {
  return { ...state, slots: state.slots.map((slot) => (slot.id === id ? { ...slot, ...change } : slot)) };
}

/** Undefined once the service has been scaled down past it. */
export function findSlot(state: State, id: number): Slot | undefined {
  return state.slots.find((candidate) => candidate.id === id);
}

/** It goes to the end of the list: of a slot's workers the later one is the newer one. */
function promote(
  state: State,
  { spare, slot }: { spare: Worker; slot: number },
  now: Millis,
  policy: Policy,
): Result {
  const { bootTimeout } = ownPolicy(policy, spare);
  const worker = promoted(spare, { slot, now, bootTimeout });
  const others = state.workers.filter(({ key }) => key !== spare.key);
  // A fork holds the master up for some milliseconds, which the take-over needs more than the next spare.
  const spares = { ...state.spares, failures: 0, forkAt: now + spareDelay };
  const taken: Result = [
    { ...state, spares, workers: [...others, worker] },
    [
      log('info', `a spare takes over as worker ${slot}`, { workerPid: worker.pid }),
      { type: 'promote', key: worker.key, slot },
    ],
  ];
  return chain(taken, (next) => note(next, now, { step: 'forked', worker, detail: 'a spare' }));
}
