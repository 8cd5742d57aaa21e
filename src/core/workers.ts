import type { Millis } from '../protocol/limits.js';
import type { WorkerKey } from '../protocol/messages.js';
import { type Draining, freshVitals, type State, type Worker } from './state.js';

/** What it is in every phase. */
type Identity = Omit<Worker, 'phase'>;

interface Birth {
  readonly key: WorkerKey;
  readonly slot: number;
  readonly generation: number;
  readonly now: Millis;
  readonly bootTimeout: Millis;
}

export function newWorker({ key, slot, generation, now, bootTimeout }: Birth): Worker {
  return {
    key,
    slot,
    generation,
    pid: null,
    forkedAt: now,
    placedAt: now,
    vitals: freshVitals,
    failure: null,
    beat: null,
    phase: 'starting',
    deadline: now + bootTimeout,
  };
}

/** A spare that is to listen in a slot: from here on it is a worker that starts. */
export function promoted(
  spare: Worker,
  { slot, now, bootTimeout }: { slot: number; now: Millis; bootTimeout: Millis },
): Worker {
  const { excusedUntil } = spare.vitals;
  const vitals = { ...freshVitals, excusedUntil };
  return {
    ...identity(spare),
    slot,
    placedAt: now,
    vitals,
    phase: 'starting',
    deadline: now + bootTimeout,
  };
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

/** Starts, waits or serves. */
export function isUp({ phase }: Worker): boolean {
  return phase === 'starting' || phase === 'spare' || phase === 'ready';
}

/** How the log calls it. */
export function nameOf({ slot }: Pick<Worker, 'slot'>): string {
  return slot === 0 ? 'a spare' : `worker ${slot}`;
}

function identity(worker: Worker): Identity {
  const { key, slot, generation, pid, forkedAt, placedAt, vitals, failure, beat } = worker;
  return { key, slot, generation, pid, forkedAt, placedAt, vitals, failure, beat };
}

export function findWorker(state: State, key: WorkerKey): Worker | undefined {
  return state.workers.find((worker) => worker.key === key);
}

export function replaceWorker(state: State, changed: Worker): State {
  const place = state.workers.findIndex(({ key }) => key === changed.key);
  return place === -1 ? state : { ...state, workers: state.workers.with(place, changed) };
}

export function removeWorker(state: State, key: WorkerKey): State {
  return { ...state, workers: state.workers.filter((worker) => worker.key !== key) };
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

/** One of whom beats are expected. */
export type Speaking = Extract<Worker, { phase: 'spare' | 'ready' }>;

/** While it is excused a worker is not silent, whatever it does. */
export function silentSince({ beatAt, vitals }: Pick<Speaking, 'beatAt' | 'vitals'>): Millis {
  return Math.max(beatAt, vitals.excusedUntil);
}

export function seconds(ms: Millis): string {
  return `${Math.round(ms / 100) / 10} s`;
}
