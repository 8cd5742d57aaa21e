import type { Millis, Slot, State, Worker } from './model.js';
import type { Policy } from './policy.js';
import { chainAll, type Result } from './result.js';

/** Fills a slot with a new worker of the proven generation. */
export function forkSlot(state: State, slot: number, now: Millis, policy: Policy): Result {
  const worker: Worker = {
    key: state.nextKey,
    slot,
    generation: state.generation,
    pid: null,
    forkedAt: now,
    failure: null,
    beat: null,
    phase: 'starting',
    deadline: now + policy.bootTimeout,
  };
  const next = changeSlot(state, slot, { forkAt: null });
  return [
    { ...next, nextKey: state.nextKey + 1, workers: [...state.workers, worker] },
    [{ type: 'fork', key: worker.key, slot, generation: worker.generation }],
  ];
}

/** Fills the slots whose time has come. */
export function forkDue(state: State, now: Millis, policy: Policy): Result {
  const due = state.slots.filter(({ forkAt }) => forkAt !== null && forkAt <= now);
  return chainAll(
    state,
    due.map(
      ({ id }) =>
        (next) =>
          forkSlot(next, id, now, policy),
    ),
  );
}

export function changeSlot(state: State, id: number, change: Partial<Omit<Slot, 'id'>>): State {
  return { ...state, slots: state.slots.map((slot) => (slot.id === id ? { ...slot, ...change } : slot)) };
}

export function findSlot(state: State, id: number): Slot {
  const slot = state.slots.find((candidate) => candidate.id === id);
  if (slot === undefined) throw new Error(`no slot ${id}`);
  return slot;
}
