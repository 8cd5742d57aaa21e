import { type Millis, mostWorkers } from '../protocol/limits.js';
import { answer, refusal, refused } from './answers.js';
import type { Event } from './events.js';
import { fillSlot } from './fork.js';
import type { Slot, State } from './model.js';
import type { Policy } from './policy.js';
import { chain, chainAll, log, type Result, unchanged } from './result.js';
import { capDraining, retire, workersIn } from './slots.js';
import { count, tellStatus } from './status.js';
import { isUp } from './worker.js';

type Scale = Extract<Event, { type: 'scale' }>;
type Restart = Extract<Event, { type: 'restart' }>;

/** More or fewer workers. During a reload it waits for the verdict; of several that wait the last counts. */
export function scale(state: State, event: Scale, now: Millis, policy: Policy): Result {
  const reason = refusal({ ...state, reload: null });
  if (reason !== null) return refused(state, event, `scale: ${reason}`);
  const from = state.pendingScale ?? state.slots.length;
  const to = 'to' in event.change ? event.change.to : from + event.change.add;
  if (!Number.isInteger(to) || to < 1 || to > mostWorkers) {
    return refused(state, event, `scale: ${to} workers; expected 1 to ${mostWorkers}`);
  }
  if (state.reload !== null) {
    const message = `${count(to, 'worker')} once the reload is over`;
    return answer({ ...state, pendingScale: to }, event.request, { accepted: true, message });
  }
  const message = `from ${from} to ${count(to, 'worker')}`;
  return chain(answer(state, event.request, { accepted: true, message }), (next) =>
    applyScale(next, to, now, policy),
  );
}

export function applyScale(state: State, to: number, now: Millis, policy: Policy): Result {
  const from = state.slots.length;
  if (to === from) return unchanged(state);
  const entry = log('info', `scaled from ${from} to ${count(to, 'worker')}`);
  const scaled = chain([state, [entry]], (next) =>
    to > from ? grow(next, to) : shrink(next, to, now, policy),
  );
  return chain(scaled, (next) => tellStatus(next, now, {}));
}

/** Replaces one worker: a new one first. Where the new one dies, the old one stays. */
export function restart(state: State, event: Restart, now: Millis, policy: Policy): Result {
  const { slot } = event;
  const reason = refusal(state);
  if (reason !== null) return refused(state, event, `restart: ${reason}`);
  if (!state.slots.some(({ id }) => id === slot)) {
    const ids = state.slots.map(({ id }) => id).join(', ');
    return refused(state, event, `restart: there is no worker ${slot}; expected one of ${ids}`);
  }
  if (workersIn(state, slot).some(({ phase }) => phase === 'starting')) {
    return refused(state, event, `restart: worker ${slot} is starting already`);
  }
  const message = `worker ${slot} is being replaced`;
  const told = chain(answer(state, event.request, { accepted: true, message }), (next) => [
    next,
    [log('info', message, { by: event.by })],
  ]);
  return chain(told, (next) => fillSlot(next, { slot }, now, policy));
}

/** The lowest numbers that are free; settleSlots fills them. */
function grow(state: State, to: number): Result {
  const taken = new Set(state.slots.map(({ id }) => id));
  const free = Array.from({ length: to }, (_, index) => index + 1).filter((id) => !taken.has(id));
  const ids = free.slice(0, to - state.slots.length);
  const slots = [...state.slots, ...ids.map(emptySlot)].sort((a, b) => a.id - b.id);
  return chainAll(
    { ...state, slots },
    ids.map((id) => (next) => capDraining(next, id)),
  );
}

/** The slots with the highest numbers go. */
function shrink(state: State, to: number, now: Millis, policy: Policy): Result {
  const kept = state.slots.slice(0, to);
  const gone = state.slots.slice(to).flatMap(({ id }) => workersIn(state, id).filter(isUp));
  return chainAll(
    { ...state, slots: kept },
    gone.map((worker) => (next) => retire(next, worker, { now, policy, why: 'fewer workers are wanted' })),
  );
}

export function emptySlot(id: number): Slot {
  return {
    id,
    restarts: 0,
    crashes: 0,
    bootFailures: 0,
    forkAt: null,
    forkAfter: null,
    treatedAt: null,
    toldAgain: false,
    relievedAt: null,
  };
}
