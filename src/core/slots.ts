import { findSlot, forkSlot } from './fork.js';
import type { Draining, Millis, Slot, State, Worker } from './model.js';
import { drainingPerSlot, killGrace, type Policy } from './policy.js';
import { note } from './record.js';
import { chain, chainAll, log, type Result, replaceWorker, unchanged } from './result.js';

/**
 * The generation that a slot's worker should have. While a reload rolls, a slot changes over as soon as a worker of the
 * new generation is on its way; before and after, and in a rollback, the proven one is wanted everywhere.
 */
export function wantedGeneration(state: State, slot: number): number {
  const { reload, generation } = state;
  if (reload?.stage.name !== 'rolling') return generation;
  const present = workersIn(state, slot)
    .filter(holdsSlot)
    .map((worker) => worker.generation);
  return [reload.target, reload.record.from].find((candidate) => present.includes(candidate)) ?? generation;
}

/** Brings every slot to one worker of the generation that is wanted: new before old. */
export function settleSlots(state: State, now: Millis, policy: Policy): Result {
  if (state.life.phase !== 'serving') return unchanged(state);
  return chainAll(
    state,
    state.slots.map(
      ({ id }) =>
        (next) =>
          settle(next, id, { now, policy }),
    ),
  );
}

/** Whether somebody serves the slot, starts in it, or is about to leave it and be followed. */
export function isFilled(state: State, slot: number): boolean {
  const wanted = wantedGeneration(state, slot);
  return workersIn(state, slot).some((worker) => worker.generation === wanted && holdsSlot(worker));
}

export function workersIn({ workers }: State, id: number): readonly Worker[] {
  return workers.filter(({ slot }) => slot === id);
}

/** Starts or serves. */
export function isUp({ phase }: Worker): boolean {
  return phase === 'starting' || phase === 'ready';
}

/** Until the canary has proved itself, what is new is there beside the workers of the slots. */
export function isExtra({ reload }: State, { generation }: Worker): boolean {
  if (reload === null || generation !== reload.target) return false;
  return reload.stage.name === 'canary' || reload.stage.name === 'soak';
}

/** Ends a worker that others stand in for. */
export function retire(
  state: State,
  worker: Worker,
  { now, policy, why }: { now: Millis; policy: Policy; why: string },
): Result {
  if (!isUp(worker)) return unchanged(state);
  const reload = state.reload?.target ?? null;
  const deadline = now + policy.drainTimeout + killGrace;
  const drained: Result = [
    replaceWorker(state, draining(worker, { now, deadline, reload })),
    [
      log('debug', `worker ${worker.slot} drains: ${why}`, { workerPid: worker.pid }),
      { type: 'drain', key: worker.key, timeout: policy.drainTimeout, last: false },
    ],
  ];
  const noted = chain(drained, (next) => note(next, now, { step: 'draining', worker, detail: why }));
  return chain(noted, (next) => capDraining(next, worker.slot));
}

export function draining(
  worker: Worker,
  { now, deadline, reload }: { now: Millis; deadline: Millis; reload: number | null },
): Worker & Draining {
  const phase = 'draining';
  return { ...identity(worker), phase, beatAt: now, deadline, reload, closed: false, drained: false };
}

export function killed(worker: Worker, why: string): Worker {
  if (worker.phase === 'dying') return worker;
  const reload = worker.phase === 'draining' ? worker.reload : null;
  return { ...identity(worker), phase: 'dying', was: worker.phase, why, reload };
}

/** What it is in every phase. */
function identity({ key, slot, generation, pid, forkedAt, failure, beat }: Worker): Omit<Worker, 'phase'> {
  return { key, slot, generation, pid, forkedAt, failure, beat };
}

function settle(state: State, slot: number, { now, policy }: { now: Millis; policy: Policy }): Result {
  const { forkAt } = state.slots.find(({ id }) => id === slot) as Slot;
  if (forkAt === null && !isFilled(state, slot)) {
    return forkSlot(state, { slot, generation: wantedGeneration(state, slot) }, now, policy);
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

/** Who serves in a worker's place: a newer one of its generation, or one of the generation that is wanted instead. */
function betterThan(state: State, worker: Worker): Worker | undefined {
  if (!isUp(worker) || isExtra(state, worker)) return undefined;
  const wanted = wantedGeneration(state, worker.slot);
  return workersIn(state, worker.slot).find(({ key, generation, phase }) => {
    if (phase !== 'ready') return false;
    return generation === worker.generation ? key > worker.key : generation === wanted;
  });
}

/** One that is being killed still has its slot: its death decides what comes next. */
function holdsSlot(worker: Worker): boolean {
  return isUp(worker) || (worker.phase === 'dying' && worker.was !== 'draining');
}

/**
 * Long downloads and WebSockets must not pile up processes from release to release: the oldest is ended. Where a slot is
 * given up nothing can pile up.
 */
function capDraining(state: State, slot: number): Result {
  const draining = workersIn(state, slot).filter(({ phase }) => phase === 'draining');
  const [oldest] = draining;
  const isKept = findSlot(state, slot) !== undefined;
  if (oldest === undefined || !isKept || draining.length <= drainingPerSlot) return unchanged(state);
  const why = `${draining.length} workers ${slot} drain at once: the oldest is ended`;
  return [
    replaceWorker(state, killed(oldest, why)),
    [
      log('warn', why, { workerPid: oldest.pid, inFlight: oldest.beat?.inFlight ?? 0 }),
      { type: 'kill', key: oldest.key },
    ],
  ];
}
