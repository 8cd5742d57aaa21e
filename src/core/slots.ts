import { killGrace, type Millis, mostWorkers } from '../protocol/limits.js';
import type { WorkerKey } from '../protocol/messages.js';
import type { Event } from './events.js';
import { isMemoryShort } from './memory.js';
import { blockFor } from './poison.js';
import { drainingPerSlot, ownPolicy, type Policy, spareDelay } from './policy.js';
import { note } from './record.js';
import { answer, chain, chainAll, log, type Result, refusal, refused, unchanged } from './result.js';
import type { Slot, State, Worker } from './state.js';
import { count, tellStatus } from './status.js';
import {
  draining,
  findWorker,
  isUp,
  killed,
  nameOf,
  newWorker,
  promoted,
  replaceWorker,
  workersIn,
} from './workers.js';
/**
 * The generation that a slot's worker should have. While a reload rolls, a slot changes over as soon as a worker of the
 * new generation is on its way; before and after, and in a rollback, the proven one is wanted everywhere.
 */
export function wantedGeneration(state: State, slot: number): number {
  const { reload, generation } = state;
  if (reload?.stage.name !== 'rolling') return generation;
  const present = workersIn(state, slot)
    .filter(isUp)
    .map((worker) => worker.generation);
  return [reload.target, reload.record.from].find((candidate) => present.includes(candidate)) ?? generation;
}

/** Brings every slot to one worker of the generation that is wanted: new before old. */
export function settleSlots(state: State, now: Millis, policy: Policy): Result {
  if (state.life.phase !== 'serving') return unchanged(state);
  // What settles one slot changes no other.
  return chainAll(
    state,
    state.slots.map((slot) => (next) => settle(next, slot, { now, policy })),
  );
}

/** Whether somebody of the generation that is wanted serves the slot, or starts in it. */
export function isFilled(state: State, slot: number): boolean {
  const wanted = wantedGeneration(state, slot);
  return workersIn(state, slot).some((worker) => worker.generation === wanted && isUp(worker));
}

/** Until the canary has proved itself, what is new is there beside the workers of the slots. */
export function isExtra({ reload }: State, { generation }: Worker): boolean {
  if (reload === null || generation !== reload.target) return false;
  return reload.stage.name === 'canary' || reload.stage.name === 'soak';
}

/** It is filled again only once its worker is gone: see memory.ts. */
export function isAwaited(state: State, { forkAfter }: Slot): boolean {
  return forkAfter !== null && findWorker(state, forkAfter) !== undefined;
}

/** Ends a worker that others stand in for. */
export function retire(
  state: State,
  worker: Worker,
  { now, policy, why }: { now: Millis; policy: Policy; why: string },
): Result {
  if (!isUp(worker)) return unchanged(state);
  const reload = state.reload?.target ?? null;
  const { drainTimeout } = ownPolicy(policy, worker);
  const deadline = now + drainTimeout + killGrace;
  // Those that drain are in the order in which they began to.
  const others = state.workers.filter(({ key }) => key !== worker.key);
  const drained: Result = [
    { ...state, workers: [...others, draining(worker, { now, deadline, reload })] },
    [
      log('debug', `${nameOf(worker)} drains: ${why}`, { workerPid: worker.pid }),
      { type: 'drain', key: worker.key, timeout: drainTimeout, last: false },
    ],
  ];
  const noted = chain(drained, (next) => note(next, now, { step: 'draining', worker, detail: why }));
  return chain(noted, (next) => capDraining(next, worker.slot));
}

/**
 * Long downloads and WebSockets must not pile up processes from release to release: the oldest is ended. Where a slot is
 * given up nothing can pile up, until it is taken up again.
 */
export function capDraining(state: State, slot: number): Result {
  const draining = workersIn(state, slot).filter(({ phase }) => phase === 'draining');
  const [oldest] = draining;
  const isKept = findSlot(state, slot) !== undefined;
  if (oldest === undefined || !isKept || draining.length <= drainingPerSlot) return unchanged(state);
  const why = `${draining.length} workers ${slot} drain at once: the oldest is ended`;
  const ended: Result = [
    replaceWorker(state, killed(oldest, why)),
    [
      log('warn', why, { workerPid: oldest.pid, inFlight: oldest.beat?.inFlight ?? 0 }),
      { type: 'kill', key: oldest.key },
    ],
  ];
  return chain(ended, (next) => capDraining(next, slot));
}

function settle(state: State, place: Slot, { now, policy }: { now: Millis; policy: Policy }): Result {
  const { id: slot } = place;
  if (place.forkAt === null && !isAwaited(state, place) && !isFilled(state, slot)) {
    return fillSlot(state, { slot, generation: wantedGeneration(state, slot) }, now, policy);
  }
  return chainAll(
    state,
    workersIn(state, slot).map((worker) => (next) => {
      const better = betterThan(next, worker);
      if (better === undefined) return unchanged(next);
      const why = `worker ${slot} of generation ${better.generation} serves in its place`;
      return retire(next, worker, { now, policy, why });
    }),
  );
}

/** Who serves in a worker's place: a newer one of its generation, or one of a generation that is wanted rather than its own. */
function betterThan(state: State, worker: Worker): Worker | undefined {
  if (!isUp(worker) || isExtra(state, worker)) return undefined;
  const here = workersIn(state, worker.slot);
  const own = here.findIndex(({ key }) => key === worker.key);
  const isWanted = wantedRather(state, worker);
  // A spare that was promoted may have a lower key than whom it follows, but it has a later place.
  return here.find(
    ({ generation, phase }, place) =>
      phase === 'ready' && (generation === worker.generation ? place > own : isWanted(generation)),
  );
}

/**
 * The generation that the slot should have is; before it is there, whatever another reload has left behind makes room for
 * the proven one, and one that is rolled back for anything else.
 */
function wantedRather(state: State, { slot, generation }: Worker): (other: number) => boolean {
  const wanted = wantedGeneration(state, slot);
  const { target, record, stage } = state.reload ?? {};
  if (stage?.name === 'rollback' && generation === target) return () => true;
  const isLeftBehind = generation !== target && generation !== record?.from;
  return (other) => other === wanted || (isLeftBehind && other === record?.from);
}

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
