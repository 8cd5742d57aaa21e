import type { ReloadRecord, Verdict } from '../protocol/reload-record.js';
import { canaryFault, isSoakOver, soakIfReady } from './canary.js';
import type { Event, ReloadRequest } from './events.js';
import { advanceMirror, beginMirror, mirrored, mirrors, stopSampling } from './mirror-stage.js';
import { startingAtOnce } from './policy.js';
import { currentRecord, note, replacedBy } from './reload-record.js';
import { letGo } from './scaling.js';
import { applyScale, changeSlot, fillSlot, forkWorker, refusal } from './slots.js';
import type { Reload, Slot, Stage, State, Worker } from './state.js';
import { connectionsAccepted, notifyIfChanged, notifyStatus, verdictLine } from './status.js';
import type { Transaction } from './transaction.js';
import { becomeDyingCounted, isUp, readiness, slotOf, workersIn } from './workers.js';

/*
 * What a reload does. `reload` begins one, and `advanceReload`, which runs after every event, takes it from stage to stage:
 *
 *   canary ──▶ soak ──▶ rolling ──▶ end: done
 *    │  ▲        │         │
 *    ▼  │        │         │
 *   mirror       │         │
 *      └─────────┴─────────┴──▶ rollback ──▶ end: rolled-back
 *
 * - canary: a first worker of the new generation starts beside the old ones. With `mirror` it boots as a spare does, and
 *   listens only once it has been through that stage.
 * - mirror: it takes no client, and is asked what the others have answered (mirror-stage.ts).
 * - soak: it serves, and is compared with the others (canary.ts).
 * - rolling: slot by slot gets a worker of the new generation (`rollOn`); once that is ready, slots.ts drains the old one.
 * - rollback: a worker of the new generation died or the canary was at fault. What of it starts is killed, and slots.ts
 *   brings every slot back to the proven generation.
 *
 * Without a way back (`rollback: false`) it begins with rolling, and the new generation counts as proven from the start.
 * From each stage an abort, another reload (`supersede`, where this one is stuck) or a stop (`stopReload`) leads out. Every
 * way ends in `conclude`, which writes the record.
 */

/** Begins a rolling reload, unless one is under way that gets on. */
export function reload(t: Transaction, event: ReloadRequest): void {
  const stuck = stuckReload(t.state);
  const reason =
    refusal(stuck === null ? t.state : { ...t.state, reload: null }) ?? notNew(t.state, event.generation);
  if (reason !== null) return t.refuse(event, `reload: ${reason}`);
  if (stuck !== null) supersede(t, stuck, event.generation);
  begin(t, { ...event, soak: event.soak && t.policy.reload.soak > 0 });
  if (mirrors(t.policy, event)) forkWorker(t, { role: { kind: 'spare' }, generation: event.generation });
  else if (event.rollback) forkFirst(t);
  askHeartbeats(t);
}

/**
 * The operator thinks better of it: of the reload, which is rolled back, also one that was to have no way back; or of a
 * rollback, which then leaves the slots that are not back to the usual restarts.
 */
export function abort(t: Transaction, event: Extract<Event, { type: 'abort' }>): void {
  const { reload } = t.state;
  if (reload === null) return t.refuse(event, 'abort: no reload is under way');
  const why = `aborted by ${event.by}`;
  if (reload.stage.name === 'rollback') {
    t.accept(event, `the rollback to generation ${t.state.generation} is not waited for`);
    const reason = `${reload.stage.reason}; the rollback was ${why}`;
    return end(t, { reload, verdict: 'rolled-back', reason });
  }
  returnToProven(t, reload);
  t.accept(event, `rolling back to generation ${t.state.generation}`);
  rollBack(t, why);
}

/** Takes a reload as far as it can go now. */
export function advanceReload(t: Transaction): void {
  const { reload, life } = t.state;
  if (reload === null || life.phase !== 'serving') return;
  switch (reload.stage.name) {
    case 'canary': {
      const canary = t.worker(reload.stage.key);
      if (canary?.phase === 'spare') return beginMirror(t, reload, canary);
      return soakIfReady(t, { reload, stage: reload.stage });
    }
    case 'mirror': {
      const fault = advanceMirror(t, reload, reload.stage);
      return fault === null ? undefined : rollBack(t, fault);
    }
    case 'soak':
      return isSoakOver(t.state, reload.stage) ? roll(t, reload) : undefined;
    case 'rolling':
      return rollOn(t, reload);
    case 'rollback':
      if (!isBack(t.state, reload)) return;
      return end(t, { reload, verdict: 'rolled-back', reason: outcome(t.state, reload.stage) });
  }
}

/** Rolls back where the canary does not do as well as the others. */
export function judgeCanary(t: Transaction): void {
  const { reload } = t.state;
  const fault = reload === null ? null : canaryFault(t.state, reload, t.policy);
  if (fault !== null) rollBack(t, fault);
}

/** The canary's answer to a request of its own. */
export function probed(t: Transaction, { key, failure, tookMs }: Extract<Event, { type: 'probed' }>): void {
  const { reload } = t.state;
  if (reload?.stage.name !== 'soak' || reload.stage.key !== key) return;
  if (failure !== null) return rollBack(t, `the canary failed its probe: ${failure}`);
  const worker = t.worker(key);
  t.update({ reload: { ...reload, stage: { ...reload.stage, probeBy: null } } });
  note(t, {
    step: 'probed',
    ...(worker === undefined ? {} : { worker }),
    detail: `answered in ${Math.round(tookMs)} ms`,
  });
}

/** The canary's answer to a request that an old worker has answered. */
export function mirroredOnce(t: Transaction, event: Extract<Event, { type: 'mirrored' }>): void {
  const fault = mirrored(t, event);
  if (fault !== null) rollBack(t, fault);
}

/** A reload whose workers do not start, and that has nothing to go back to: neither it nor a rollback may last for ever. */
export function stuckReload({ reload, slots }: State): Reload | null {
  if (reload === null || (reload.rollback && reload.stage.name !== 'rollback')) return null;
  return slots.some(falters) ? reload : null;
}

/** What was to serve here died before it listened, and nothing has listened here since. */
function falters({ bootFailures }: Slot): boolean {
  return bootFailures > 0;
}

/** The reload that ends in a rollback should this worker fail; null where it is a worker like any other. */
export function trialOf({ reload }: State, { generation }: Worker): Reload | null {
  return reload?.rollback === true && generation === reload.target ? reload : null;
}

/**
 * Back to the proven generation: what starts or does not listen yet is killed, what serves stays until its slot is served without it. Of several
 * reasons the first one counts.
 */
export function rollBack(t: Transaction, reason: string): void {
  const { reload } = t.state;
  if (reload === null) return;
  const { target } = reload;
  stopSampling(t);
  if (reload.stage.name !== 'rollback') {
    const stage: Stage = { name: 'rollback', reason };
    t.update({ reload: { ...reload, stage } });
    t.log('error', `generation ${target} is rolled back: ${reason}`, { release: reload.record.release });
    note(t, { step: 'rollback', detail: reason });
  }
  const onTrial = t.state.workers.filter(({ generation }) => generation === target);
  for (const worker of onTrial.filter(({ phase }) => phase === 'starting' || phase === 'spare')) {
    t.put(
      becomeDyingCounted(worker, {
        now: t.now,
        replacedIn: target,
        why: `rolled back before ${readiness(t.policy)}`,
      }),
    );
    t.emit({ type: 'kill', key: worker.key });
  }
  notifyIfChanged(t);
}

/** The service ends while a reload is under way. */
export function stopReload(t: Transaction, why: string): void {
  const { reload } = t.state;
  if (reload === null) return;
  t.update({ pendingScale: null });
  conclude(t, { reload, verdict: 'stopped', reason: why });
}

/** Another reload takes over. What is proven is what was before it. */
function supersede(t: Transaction, reload: Reload, by: number): void {
  returnToProven(t, reload);
  end(t, { reload, verdict: 'superseded', reason: `superseded by the reload to generation ${by}` });
}

/**
 * A reload without a way back has declared its generation proven from the start. Where it comes to nothing that is taken
 * back: slots that the generation before still serves need nothing more.
 */
function returnToProven(t: Transaction, reload: Reload): void {
  if (reload.rollback) return;
  const generation = reload.record.from;
  const isServed = ({ id }: Slot): boolean =>
    workersIn(t.state, id).some((worker) => worker.phase === 'ready' && worker.generation === generation);
  const slots = t.state.slots.map((slot) =>
    isServed(slot) ? { ...slot, forkAt: null, forkAfter: null, bootFailures: 0 } : slot,
  );
  t.update({ generation, reload: { ...reload, rollback: true }, slots });
}

/** Generations tell workers, and what is counted about them, apart for ever. */
function notNew({ generation, reload, lastReload }: State, target: number): string | null {
  const last = Math.max(generation, reload?.target ?? 0, lastReload?.generation ?? 0);
  return target > last ? null : `generation ${target}; expected one above ${last}`;
}

function begin(t: Transaction, event: ReloadRequest): void {
  const { serial, generation: target, release, by, at, rollback, soak } = event;
  const { generation: from, nextKey } = t.state;
  const record: ReloadRecord = {
    serial,
    generation: target,
    from,
    release,
    by,
    atMs: at,
    tookMs: null,
    steps: [],
    accepted: 0,
    moved: 0,
    lost: 0,
    verdict: null,
    reason: null,
  };
  const reload: Reload = {
    target,
    startedAt: t.now,
    rollback,
    soak,
    stage: rollback ? { name: 'canary', key: nextKey } : { name: 'rolling' },
    acceptedBefore: connectionsAccepted(t.state),
    record,
  };
  // Without a way back the new generation is what a crashed worker is replaced with from now on.
  t.update({ reload, generation: rollback ? from : target });
  t.accept(event, `generation ${target}`);
  notifyStatus(t, { reloading: true });
  t.log('info', `reload to generation ${target}`, { by, release, soak, rollback });
  note(t, { step: 'begun', detail: release });
}

/** The canary, and where it is not watched the next one with it, which saves the time of a start. */
function forkFirst(t: Transaction): void {
  const { reload, slots } = t.state;
  if (reload === null) return;
  for (const { id, forkAt, forkAfter } of slots.slice(0, atOnce(reload))) {
    fillSlot(t, { slot: id, generation: reload.target });
    // It does not fill its slot yet: where a worker of the proven generation is due there, it stays due.
    changeSlot(t, id, { forkAt, forkAfter });
  }
}

/** From here on what is new fills its slot: no worker of the proven generation is due there any more. */
function roll(t: Transaction, reload: Reload): void {
  const taken = new Set(ofTarget(t.state, reload).map(slotOf));
  const slots = t.state.slots.map((slot) =>
    taken.has(slot.id) ? { ...slot, forkAt: null, forkAfter: null } : slot,
  );
  t.update({ slots, reload: { ...reload, stage: { name: 'rolling' } } });
  note(t, { step: 'soaked' });
  notifyIfChanged(t);
}

/** Few at a time: a start costs CPU and memory that those who serve need. */
function rollOn(t: Transaction, reload: Reload): void {
  const there = ofTarget(t.state, reload);
  const starting = there.filter(({ phase }) => phase === 'starting').length;
  if (starting >= atOnce(reload)) return;
  const left = t.state.slots.filter(({ id }) => !there.some((worker) => slotOf(worker) === id));
  const [first] = left;
  if (first === undefined) {
    return starting > 0 ? undefined : end(t, { reload, verdict: 'done', reason: null });
  }
  // One that failed to start is tried again when its slot's time has come.
  if (!reload.rollback && left.some(({ forkAt }) => forkAt !== null)) return;
  fillSlot(t, { slot: first.id, generation: reload.target });
}

function atOnce({ soak }: Reload): number {
  return soak ? 1 : startingAtOnce;
}

function ofTarget({ workers }: State, { target }: Reload): readonly Worker[] {
  return workers.filter((worker) => worker.generation === target && isUp(worker));
}

/**
 * Every slot is served by the proven generation alone. Where that cannot start any more either, the rollback is as far as
 * it gets: who serves there stays, and the usual restarts go on.
 */
function isBack(state: State, { target }: Reload): boolean {
  const faltering: ReadonlySet<number | null> = new Set(state.slots.filter(falters).map(({ id }) => id));
  const left = state.workers.some(
    (worker) => worker.generation === target && isUp(worker) && !faltering.has(slotOf(worker)),
  );
  const served = state.slots.every(
    ({ id }) =>
      faltering.has(id) ||
      workersIn(state, id).some(
        ({ phase, generation }) => phase === 'ready' && generation === state.generation,
      ),
  );
  return served && !left;
}

/** Why it was rolled back, and where the proven generation does not start any more either. */
function outcome({ slots, generation }: State, { reason }: { readonly reason: string }): string {
  const ids = slots.filter(falters).map(({ id }) => id);
  if (ids.length === 0) return reason;
  const where = `${ids.length === 1 ? 'worker' : 'workers'} ${ids.join(', ')}`;
  return `${reason}; generation ${generation} does not start any more either (${where})`;
}

interface Ending {
  readonly reload: Reload;
  readonly verdict: Verdict;
  readonly reason: string | null;
}

/** The verdict, with the READY=1 that ends a reload for systemd; then what had to wait for it. A stop ends it without. */
function end(t: Transaction, ending: Ending): void {
  const { reload, verdict } = ending;
  if (verdict === 'done') t.update({ generation: reload.target });
  conclude(t, ending);
  notifyStatus(t, { ready: true });
  askHeartbeats(t);
  const { pendingScale } = t.state;
  // The number that an operator asked for before holds for one release.
  if (verdict === 'done' && pendingScale === null) letGo(t);
  // What supersedes it is the next reload that a scale waits for.
  if (pendingScale === null || verdict === 'superseded') return;
  t.update({ pendingScale: null });
  applyScale(t, pendingScale);
}

function conclude(t: Transaction, { reload, verdict, reason }: Ending): void {
  stopSampling(t);
  note(t, { step: 'verdict', detail: reason === null ? verdict : `${verdict}: ${reason}` });
  const record: ReloadRecord = {
    ...currentRecord(t.state, t.state.reload ?? reload),
    tookMs: t.now - reload.startedAt,
    verdict,
    reason,
  };
  const drains = t.state.workers.some((worker) => replacedBy(worker) === reload.target);
  t.update({ reload: null, lastReload: record, acceptedBefore: drains ? reload.acceptedBefore : null });
  t.emit({ type: 'record', record });
  t.log(verdict === 'done' ? 'info' : 'warn', verdictLine(record), { by: record.by });
}

/** So that the counts of a reload's beginning and end are not a second old. */
function askHeartbeats(t: Transaction): void {
  for (const { key, phase } of t.state.workers) if (phase === 'ready') t.emit({ type: 'ask-heartbeat', key });
}
