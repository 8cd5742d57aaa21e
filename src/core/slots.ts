import { killGrace, type Millis } from '../protocol/limits.js';
import { fillSlot, findSlot } from './fork.js';
import type { Slot, State, Worker } from './model.js';
import { drainingPerSlot, ownPolicy, type Policy } from './policy.js';
import { note } from './record.js';
import { chain, chainAll, findWorker, log, type Result, replaceWorker, unchanged } from './result.js';
import { draining, isUp, killed, nameOf } from './worker.js';

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

/** The workers of a slot, in the order in which they came to it. */
export function workersIn({ workers }: State, id: number): readonly Worker[] {
  return bySlot(workers).get(id) ?? [];
}

type Places = ReadonlyMap<number, readonly Worker[]>;

/** Kept for each list of workers, which never changes: every slot asks, several times after each event. */
const places = new WeakMap<readonly Worker[], Places>();

function bySlot(workers: readonly Worker[]): Places {
  const known = places.get(workers);
  if (known !== undefined) return known;
  const grouped = new Map<number, Worker[]>();
  for (const worker of workers) {
    const here = grouped.get(worker.slot);
    if (here === undefined) grouped.set(worker.slot, [worker]);
    else here.push(worker);
  }
  places.set(workers, grouped);
  return grouped;
}

/** Until the canary has proved itself, what is new is there beside the workers of the slots. */
export function isExtra({ reload }: State, { generation }: Worker): boolean {
  if (reload === null || generation !== reload.target) return false;
  return reload.stage.name === 'canary' || reload.stage.name === 'soak';
}

/** It is filled again only once its worker is gone: see pressure.ts. */
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
