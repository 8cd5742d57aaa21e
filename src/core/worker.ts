import type { Millis } from '../protocol/limits.js';
import type { WorkerKey } from '../protocol/messages.js';
import type { Draining, Worker } from './model.js';
import { freshVitals } from './vitals.js';

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
