import type { Millis, Slot, State, Worker } from './model.js';
import type { Policy } from './policy.js';
import { note } from './record.js';
import { chain, chainAll, type Result } from './result.js';

/** Fills a slot with a new worker, of the proven generation unless told. */
export function forkSlot(
  state: State,
  { slot, generation = state.generation }: { slot: number; generation?: number },
  now: Millis,
  policy: Policy,
): Result {
  const worker: Worker = {
    key: state.nextKey,
    slot,
    generation,
    pid: null,
    forkedAt: now,
    failure: null,
    beat: null,
    phase: 'starting',
    deadline: now + policy.bootTimeout,
  };
  const next = changeSlot(state, slot, { forkAt: null });
  const forked: Result = [
    { ...next, nextKey: state.nextKey + 1, workers: [...state.workers, worker] },
    [{ type: 'fork', key: worker.key, slot, generation }],
  ];
  return chain(forked, (state) => note(state, now, { step: 'forked', worker }));
}

/** Fills the slots whose time has come. */
export function forkDue(state: State, now: Millis, policy: Policy): Result {
  const due = state.slots.filter(({ forkAt }) => forkAt !== null && forkAt <= now);
  return chainAll(
    state,
    due.map(
      ({ id }) =>
        (next) =>
          forkSlot(next, { slot: id }, now, policy),
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
