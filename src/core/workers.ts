import type { Millis } from '../protocol/limits.js';
import type { WorkerKey } from '../protocol/messages.js';
import { workerName } from '../protocol/words.js';
import type { Policy } from './policy.js';
import {
  type Draining,
  freshVitals,
  type InSlot,
  type Life,
  type Role,
  type Spare,
  type State,
  type Worker,
} from './state.js';

/*
 * The life of a worker, as the master sees it. Every change of its phase is one of these functions:
 *
 *   starting ── becomeReady ──▶ ready ────┐
 *      ▲ │                                ├─ becomeDraining ──▶ draining ── becomeDying ──▶ dying ──▶ its process exits
 *      │ └────── becomeSpare ──▶ spare ───┘
 *      └── becomeStarting ─────────┘ (a spare is promoted into a slot)
 *
 * A worker that starts, waits or serves can be drained at once, and one in any phase can be killed (becomeDying). Its
 * process may exit in any phase: see deaths.ts.
 */

/** Whether the service has been told to stop. */
export function isEnding(life: Life): boolean {
  return life.phase === 'serving'
    ? life.leaving !== null
    : life.phase === 'stopping' || life.phase === 'ended';
}

/** What it is in every phase. */
type Identity = Omit<Worker, 'phase'>;

interface Birth {
  readonly key: WorkerKey;
  readonly role: Role;
  readonly generation: number;
  readonly now: Millis;
  readonly bootTimeout: Millis;
}

export function newWorker({ key, role, generation, now, bootTimeout }: Birth): Worker {
  return {
    key,
    role,
    generation,
    pid: null,
    forkedAt: now,
    placedAt: now,
    vitals: freshVitals,
    failure: null,
    heartbeat: null,
    phase: 'starting',
    deadline: now + bootTimeout,
    waitsFor: null,
  };
}

/** A spare gets a slot: from here on it is a worker that starts. */
export function becomeStarting(
  spare: Worker,
  { slot, now, bootTimeout }: { slot: number; now: Millis; bootTimeout: Millis },
): Worker {
  const vitals = { ...freshVitals, excusedUntil: spare.vitals.excusedUntil };
  return {
    ...identity(spare),
    role: { kind: 'slot', slot },
    placedAt: now,
    vitals,
    phase: 'starting',
    deadline: now + bootTimeout,
    waitsFor: null,
  };
}

/** It has booted and waits for a slot: it does not listen. */
export function becomeSpare(worker: Worker, { role, now }: { role: Spare; now: Millis }): Worker {
  return { ...identity(worker), role, phase: 'spare', heartbeatAt: now };
}

/** It listens. */
export function becomeReady(worker: Worker, { role, now }: { role: InSlot; now: Millis }): Worker {
  const vitals = { ...worker.vitals, provedAt: now };
  return { ...identity(worker), role, vitals, phase: 'ready', since: now, heartbeatAt: now };
}

/**
 * It takes no new connections, and ends once it has answered what it has. `replacedIn`: the generation of the reload that
 * replaces it; null where none does.
 */
export function becomeDraining(
  worker: Worker,
  { now, deadline, replacedIn }: { now: Millis; deadline: Millis; replacedIn: number | null },
): Worker & Draining {
  const phase = 'draining';
  return {
    ...identity(worker),
    phase,
    heartbeatAt: now,
    deadline,
    replacedIn,
    closed: false,
    drained: false,
  };
}

/** It is killed; only its exit is still to come. Of several reasons the first one counts. */
export function becomeDying(worker: Worker, why: string): Worker {
  if (worker.phase === 'dying') return worker;
  const replacedIn = worker.phase === 'draining' ? worker.replacedIn : null;
  return { ...identity(worker), phase: 'dying', was: worker.phase, why, replacedIn };
}

/**
 * It is killed, and its death counts from now on. It becomes a draining worker first, so that its exit is expected
 * (`isExitExpected`) and its slot may be filled before the exit, after the backoff. A process in an uninterruptible sleep
 * (state D) may never exit.
 */
export function becomeDyingCounted(
  worker: Worker,
  { now, replacedIn, why }: { now: Millis; replacedIn: number | null; why: string },
): Worker {
  return becomeDying(becomeDraining(worker, { now, deadline: now, replacedIn }), why);
}

/** Starts, waits or serves. */
export function isUp({ phase }: Worker): boolean {
  return phase === 'starting' || phase === 'spare' || phase === 'ready';
}

/** Whether its exit is expected and changes nothing: it drains, or its death was counted when it was killed. */
export function isExitExpected(worker: Worker): boolean {
  return worker.phase === 'draining' || (worker.phase === 'dying' && worker.was === 'draining');
}

/** When a worker is ready, behind `before`: a server once it listens. */
export function readiness({ kind }: Pick<Policy, 'kind'>): string {
  return kind === 'process' ? 'it was ready' : 'it listened';
}

/** How the log calls it. */
export function nameOf({ role }: Pick<Worker, 'role'>): string {
  return workerName(role.kind === 'spare' ? null : role.slot);
}

/** A canary that boots as a spare does, to be judged before it listens, is none: see mirror-stage.ts. */
export function isMirrored(
  { reload, lastReload }: State,
  { role, generation }: Pick<Worker, 'role' | 'generation'>,
): boolean {
  if (role.kind !== 'spare') return false;
  // One that was rolled back may still have to end.
  if (lastReload?.verdict === 'rolled-back' && generation === lastReload.generation) return true;
  return reload?.rollback === true && generation === reload.target;
}

/** As nameOf, and a canary without a slot by what it is. */
export function nameIn(state: State, worker: Pick<Worker, 'role' | 'generation'>): string {
  return isMirrored(state, worker) ? 'the canary' : nameOf(worker);
}

/** The number of its slot; null: a spare, which has none. */
export function slotOf({ role }: Pick<Worker, 'role'>): number | null {
  return role.kind === 'spare' ? null : role.slot;
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
    const slot = slotOf(worker);
    if (slot === null) continue;
    const here = grouped.get(slot);
    if (here === undefined) grouped.set(slot, [worker]);
    else here.push(worker);
  }
  places.set(workers, grouped);
  return grouped;
}

/** A worker that serves. */
export type Ready = Extract<Worker, { phase: 'ready' }>;

/** A worker of which heartbeats are expected. */
export type Speaking = Extract<Worker, { phase: 'spare' | 'ready' }>;

export function isSpeaking(worker: Worker | undefined): worker is Speaking {
  return worker?.phase === 'spare' || worker?.phase === 'ready';
}

/** While it is excused a worker is not silent, whatever it does. */
export function silentSince({ heartbeatAt, vitals }: Pick<Speaking, 'heartbeatAt' | 'vitals'>): Millis {
  return Math.max(heartbeatAt, vitals.excusedUntil);
}

export function seconds(ms: Millis): string {
  return `${Math.round(ms / 100) / 10} s`;
}

function identity(worker: Worker): Identity {
  const { key, role, generation, pid, forkedAt, placedAt, vitals, failure, heartbeat } = worker;
  return { key, role, generation, pid, forkedAt, placedAt, vitals, failure, heartbeat };
}
