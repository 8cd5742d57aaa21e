import { killGrace, mostWorkers } from '../protocol/limits.js';
import { count } from '../protocol/words.js';
import type { Event } from './events.js';
import { blockFor } from './poison.js';
import { drainingPerSlot, ownPolicy, spareDelay } from './policy.js';
import { note } from './reload-record.js';
import { hold, letGo, rulesOf } from './scaling.js';
import type { Role, Slot, State, Worker } from './state.js';
import { notifyIfChanged } from './status.js';
import type { Transaction } from './transaction.js';
import {
  becomeDraining,
  becomeDying,
  becomeSpare,
  becomeStarting,
  isEnding,
  isMirrored,
  isUp,
  nameOf,
  newWorker,
  workersIn,
} from './workers.js';

/*
 * The heart of the master: every slot is brought to one worker of the generation that is wanted there, the new one before
 * the old one goes. While the service serves, `settleSlots` runs after every event but most heartbeats (`reconcile` in
 * step.ts): it fills a slot that has no such worker and waits for none, and drains a worker that another one replaces.
 * `forkDue` runs in the same loop, during the start too: it fills a slot whose backoff is over.
 */

/**
 * The generation that a slot's worker should have.
 *
 * Without a reload, while a canary is still to prove itself, and in a rollback that is `state.generation`, the proven one:
 * the old one until the end of a reload, and with `rollback: false` the new one from its beginning. Only while a reload
 * rolls do slots differ. There it is the new generation where a worker of it starts or serves, else the old one where a
 * worker of that does, else, with nobody there, the proven one.
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
export function settleSlots(t: Transaction): void {
  if (t.state.life.phase !== 'serving') return;
  // What settles one slot changes no other.
  for (const slot of t.state.slots) settle(t, slot);
}

function settle(t: Transaction, place: Slot): void {
  const { id: slot } = place;
  if (place.forkAt === null && !isAwaited(t.state, place) && !isFilled(t.state, slot)) {
    fillSlot(t, { slot, generation: wantedGeneration(t.state, slot) });
    return;
  }
  for (const worker of workersIn(t.state, slot)) {
    const better = betterThan(t.state, slot, worker);
    if (better === undefined) continue;
    retire(t, worker, `worker ${slot} of generation ${better.generation} serves in its place`);
  }
}

/** Whether somebody of the generation that is wanted serves the slot, or starts in it. */
export function isFilled(state: State, slot: number): boolean {
  const wanted = wantedGeneration(state, slot);
  return workersIn(state, slot).some((worker) => worker.generation === wanted && isUp(worker));
}

/**
 * Whether a worker is there beside the one of its slot, and in nobody's way: the canary, until it has proved itself. It
 * neither makes the slot's worker superfluous nor is made superfluous by it.
 */
export function isExtra({ reload }: State, { generation }: Worker): boolean {
  if (reload === null || generation !== reload.target) return false;
  return reload.stage.name === 'canary' || reload.stage.name === 'soak';
}

/**
 * The worker that serves in the place of another, which can therefore go: a later one of the same generation (a restart
 * has brought it), or one of a generation that is wanted rather than the other's (a reload or a rollback has).
 */
function betterThan(state: State, slot: number, worker: Worker): Worker | undefined {
  if (!isUp(worker) || isExtra(state, worker)) return undefined;
  const here = workersIn(state, slot);
  const own = here.findIndex(({ key }) => key === worker.key);
  const isWanted = wantedRather(state, slot, worker);
  // A promoted spare may have a lower key than the worker that it follows, but it has a later place.
  return here.find(
    ({ generation, phase }, place) =>
      phase === 'ready' && (generation === worker.generation ? place > own : isWanted(generation)),
  );
}

/**
 * Which generations may take the place of a worker's own. In a rollback every other one may replace the one that is rolled
 * back. Otherwise the generation that the slot should have may; and a worker that an earlier reload left behind makes room
 * for the proven generation too, before the new one is there.
 */
function wantedRather(state: State, slot: number, { generation }: Worker): (other: number) => boolean {
  const wanted = wantedGeneration(state, slot);
  const { target, record, stage } = state.reload ?? {};
  if (stage?.name === 'rollback' && generation === target) return () => true;
  const isLeftBehind = generation !== target && generation !== record?.from;
  return (other) => other === wanted || (isLeftBehind && other === record?.from);
}

/** Whether the slot is filled again only once its worker is gone, for want of memory for both: see memory.ts. */
export function isAwaited({ workers }: State, { forkAfter }: Slot): boolean {
  return forkAfter !== null && workers.some(({ key }) => key === forkAfter);
}

/** Readings in a row that have to be too high: a burst is over sooner. */
const readingsToAct = 3;

/** More processes would make it worse: memory.ts counts the readings. */
export function isMemoryShort({ pressure }: State): boolean {
  return pressure.readings >= readingsToAct;
}

/** Drains a worker that others stand in for. */
export function retire(t: Transaction, worker: Worker, why: string): void {
  if (!isUp(worker)) return;
  const { drainTimeout } = ownPolicy(t.policy, worker);
  const deadline = t.now + drainTimeout + killGrace;
  const replacedIn = t.state.reload?.target ?? null;
  t.putLast(becomeDraining(worker, { now: t.now, deadline, replacedIn }));
  t.log('debug', `${nameOf(worker)} drains: ${why}`, { workerPid: worker.pid });
  t.emit({ type: 'drain', key: worker.key, timeout: drainTimeout, last: false });
  note(t, { step: 'draining', worker, detail: why });
  if (worker.role.kind === 'slot') capDraining(t, worker.role.slot);
}

/**
 * Long downloads and WebSockets must not pile up processes from release to release: the oldest is ended. Where a slot is
 * given up nothing can pile up, until it is taken up again.
 */
function capDraining(t: Transaction, slot: number): void {
  if (findSlot(t.state, slot) === undefined) return;
  const draining = workersIn(t.state, slot).filter(({ phase }) => phase === 'draining');
  for (let count = draining.length; count > drainingPerSlot; count--) {
    const oldest = draining[draining.length - count];
    if (oldest === undefined) return;
    const why = `${count} workers ${slot} drain at once: the oldest is ended`;
    t.put(becomeDying(oldest, why));
    t.log('warn', why, { workerPid: oldest.pid, inFlight: oldest.heartbeat?.inFlight ?? 0 });
    t.emit({ type: 'kill', key: oldest.key });
  }
}

/** Fills a slot: with a spare where one waits, else with a new worker; of the proven generation unless told. */
export function fillSlot(
  t: Transaction,
  { slot, generation = t.state.generation }: { slot: number; generation?: number },
): void {
  changeSlot(t, slot, { forkAt: null, forkAfter: null });
  const spare = waitingSpare(t.state, generation);
  if (spare === undefined) forkWorker(t, { role: { kind: 'slot', slot }, generation });
  else promote(t, spare, slot);
}

/**
 * Fills the slots whose time has come, with the proven generation: an old worker that crashes while a reload rolls comes
 * back as what it was, and is replaced later.
 */
export function forkDue(t: Transaction): void {
  const due = t.state.slots.filter(({ forkAt }) => forkAt !== null && forkAt <= t.now);
  for (const { id } of due) fillSlot(t, { slot: id });
}

export function forkWorker(
  t: Transaction,
  { role, generation }: { readonly role: Role; readonly generation: number },
): void {
  const key = t.state.nextKey;
  const { bootTimeout } = ownPolicy(t.policy, { generation });
  const worker = newWorker({ key, role, generation, now: t.now, bootTimeout });
  t.update({ nextKey: key + 1, workers: [...t.state.workers, worker] });
  t.emit({ type: 'fork', key, role, generation }, ...blockFor(t, [key]));
  note(t, { step: 'forked', worker });
}

/** A spare takes a slot, or a canary that is through its mirror its place beside the worker of a slot. */
export function promote(t: Transaction, spare: Worker, slot: number): void {
  const { bootTimeout } = ownPolicy(t.policy, spare);
  const worker = becomeStarting(spare, { slot, now: t.now, bootTimeout });
  t.putLast(worker);
  const isCanary = isMirrored(t.state, spare);
  // A fork holds the master up for some milliseconds, which the take-over needs more than the next spare.
  if (!isCanary) t.update({ spares: { ...t.state.spares, failures: 0, forkAt: t.now + spareDelay } });
  const what = isCanary ? 'the canary begins to listen' : 'a spare takes over';
  t.log('info', `${what} as worker ${slot}`, { workerPid: worker.pid });
  t.emit({ type: 'promote', key: worker.key, slot });
  note(t, { step: 'forked', worker, detail: isCanary ? 'the canary' : 'a spare' });
}

/** A spare that is known to be well: a slot must not wait for a spare that hangs. */
export function waitingSpare({ workers }: State, generation: number): Worker | undefined {
  return workers.find(
    (worker) =>
      worker.phase === 'spare' && worker.generation === generation && worker.vitals.health === 'healthy',
  );
}

export function changeSlot(t: Transaction, id: number, change: Partial<Omit<Slot, 'id'>>): void {
  t.update({ slots: t.state.slots.map((slot) => (slot.id === id ? { ...slot, ...change } : slot)) });
}

/** Undefined once the service has been scaled down past it. */
export function findSlot(state: State, id: number): Slot | undefined {
  return state.slots.find((candidate) => candidate.id === id);
}

/** A spare has booted. Once it drains or dies, that comes too late to matter; and a worker with a slot is no spare. */
export function spareBooted(t: Transaction, { key }: Extract<Event, { type: 'spare' }>): void {
  const worker = t.worker(key);
  if (worker?.phase !== 'starting' || worker.role.kind !== 'spare') return;
  t.put(becomeSpare(worker, { role: worker.role, now: t.now }));
  const what = isMirrored(t.state, worker) ? 'the canary has booted' : 'a spare is ready';
  t.log('info', what, { tookMs: t.now - worker.forkedAt, workerPid: worker.pid });
  notifyIfChanged(t);
}

/**
 * As many spares as are wanted, of the proven generation. During a reload they stay as they are: the old generation may
 * still need them, and the CPU has other work.
 */
export function settleSpares(t: Transaction): void {
  const wanted = t.policy.spares;
  if (t.state.spares.wanted !== wanted) t.update({ spares: { ...t.state.spares, wanted } });
  if (t.state.life.phase !== 'serving' || t.state.reload !== null) return;
  for (const worker of superfluous(t.state)) retire(t, worker, whySuperfluous(t.state, worker));
  if (!isSpareDue(t)) return;
  t.update({ spares: { ...t.state.spares, forkAt: null } });
  forkWorker(t, { role: { kind: 'spare' }, generation: t.state.generation });
}

/** When the next one may be forked, where one is missing. */
export function spareDeadlines(state: State): readonly number[] {
  const { forkAt } = state.spares;
  // Once it is past, something else is waited for.
  return forkAt === null || forkAt <= state.tickedAt || !isSpareMissing(state) ? [] : [forkAt];
}

/** Of another generation, or too many. */
function superfluous(state: State): readonly Worker[] {
  const all = sparesOf(state);
  const current = all.filter(({ generation }) => generation === state.generation);
  return all.filter((worker) => !current.slice(0, state.spares.wanted).includes(worker));
}

function whySuperfluous({ generation, spares }: State, worker: Worker): string {
  if (worker.generation !== generation) return `generation ${generation} has taken over`;
  return `${count(spares.wanted, 'spare')} ${spares.wanted === 1 ? 'is' : 'are'} wanted`;
}

/** One at a time, and after all who have a slot to fill. */
function isSpareDue({ state, now }: Transaction): boolean {
  const { forkAt } = state.spares;
  const starts = state.workers.some(({ phase }) => phase === 'starting');
  return isSpareMissing(state) && !starts && !isMemoryShort(state) && (forkAt === null || now >= forkAt);
}

function isSpareMissing(state: State): boolean {
  return sparesOf(state).length < state.spares.wanted;
}

function sparesOf({ workers }: State): readonly Worker[] {
  return workers.filter((worker) => worker.role.kind === 'spare' && isUp(worker));
}

/** Why nothing can be changed now; null where it can. */
export function refusal({ life, reload }: State): string | null {
  if (isEnding(life)) return 'the service is stopping';
  if (life.phase !== 'serving') return 'the service is still starting';
  return reload === null
    ? null
    : `a reload to generation ${reload.target} is under way (${reload.stage.name})`;
}

/** More or fewer workers. During a reload it waits for the verdict; of several that wait the last counts. */
export function scale(t: Transaction, event: Extract<Event, { type: 'scale' }>): void {
  const reason = refusal({ ...t.state, reload: null });
  if (reason !== null) return t.refuse(event, `scale: ${reason}`);
  if ('auto' in event.change) return followLoad(t, event);
  const from = t.state.pendingScale ?? t.state.slots.length;
  const to = 'to' in event.change ? event.change.to : from + event.change.add;
  if (!Number.isInteger(to) || to < 1 || to > mostWorkers) {
    return t.refuse(event, `scale: ${to} workers; expected 1 to ${mostWorkers}`);
  }
  hold(t);
  if (t.state.reload !== null) {
    t.update({ pendingScale: to });
    return t.accept(event, `${count(to, 'worker')} once the reload is over${beyondRange(t, to)}`);
  }
  t.accept(event, `from ${from} to ${count(to, 'worker')}${beyondRange(t, to)}`);
  applyScale(t, to);
}

/** It may be meant, and may be a slip of the finger: the answer says so. */
function beyondRange({ policy }: Transaction, to: number): string {
  const rules = rulesOf(policy);
  if (rules === null || (to >= rules.min && to <= rules.max)) return '';
  return `, outside of workers = "${rules.min}..${rules.max}", until rom-agent scale auto or a reload`;
}

/** Where `workers` is a range, a number that somebody asked for holds no longer. */
function followLoad(t: Transaction, event: Extract<Event, { type: 'scale' }>): void {
  const rules = rulesOf(t.policy);
  if (rules === null) {
    const { workers } = t.policy;
    return t.refuse(event, `scale: workers is ${workers}; expected a range such as "2..8" for scale auto`);
  }
  const message = `the number of workers follows the load, from ${rules.min} to ${rules.max}`;
  t.update({ pendingScale: null });
  letGo(t);
  t.accept(event, message);
  t.log('info', message, { by: event.by });
}

/** @param why the load asks for it; no operator does */
export function applyScale(t: Transaction, to: number, why?: string): void {
  const from = t.state.slots.length;
  if (to === from) return;
  t.log('info', `scaled from ${from} to ${count(to, 'worker')}${why === undefined ? '' : `: ${why}`}`);
  if (to > from) grow(t, to);
  else shrink(t, to);
  notifyIfChanged(t);
}

/** The lowest numbers that are free; settleSlots fills them. */
function grow(t: Transaction, to: number): void {
  const { slots } = t.state;
  const taken = new Set(slots.map(({ id }) => id));
  const free = Array.from({ length: to }, (_, index) => index + 1).filter((id) => !taken.has(id));
  const ids = free.slice(0, to - slots.length);
  t.update({ slots: [...slots, ...ids.map(emptySlot)].sort((a, b) => a.id - b.id) });
  for (const id of ids) capDraining(t, id);
}

/** The slots with the highest numbers go. */
function shrink(t: Transaction, to: number): void {
  for (const { id } of t.state.slots.slice(to)) removeSlot(t, id);
}

export function removeSlot(t: Transaction, id: number): void {
  const gone = workersIn(t.state, id).filter(isUp);
  t.update({ slots: t.state.slots.filter((slot) => slot.id !== id) });
  for (const worker of gone) retire(t, worker, 'fewer workers are wanted');
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
    recycledAt: null,
  };
}

/** Replaces one worker: a new one first. Where the new one dies, the old one stays. */
export function restart(t: Transaction, event: Extract<Event, { type: 'restart' }>): void {
  const { slot } = event;
  const reason = refusal(t.state);
  if (reason !== null) return t.refuse(event, `restart: ${reason}`);
  if (findSlot(t.state, slot) === undefined) {
    const ids = t.state.slots.map(({ id }) => id).join(', ');
    return t.refuse(event, `restart: there is no worker ${slot}; expected one of ${ids}`);
  }
  if (workersIn(t.state, slot).some(({ phase }) => phase === 'starting')) {
    return t.refuse(event, `restart: worker ${slot} is starting already`);
  }
  const message = `worker ${slot} is being replaced`;
  t.accept(event, message);
  t.log('info', message, { by: event.by });
  fillSlot(t, { slot });
}
