import type { Millis } from '../protocol/limits.js';
import type { ReloadRecord, Verdict } from '../protocol/reload-record.js';
import { canaryStage, servedByOthers, soakOver, worse } from './canary.js';
import type { Event, ReloadRequest } from './events.js';
import { type Policy, startingAtOnce } from './policy.js';
import { currentRecord, note, replacedBy } from './record.js';
import { answer, chain, chainAll, log, type Result, refusal, refused, unchanged } from './result.js';
import { applyScale, changeSlot, fillSlot } from './slots.js';
import type { Reload, Slot, Stage, State, Worker } from './state.js';
import { connectionsAccepted, statusLine, tellStatus, verdictLine } from './status.js';
import { draining, findWorker, isUp, killed, replaceWorker, workersIn } from './workers.js';
/** Begins a rolling reload, unless one is under way that gets on. */
export function reload(state: State, event: ReloadRequest, now: Millis, policy: Policy): Result {
  const stuck = stuckReload(state);
  const reason =
    refusal(stuck === null ? state : { ...state, reload: null }) ?? notNew(state, event.generation);
  if (reason !== null) return refused(state, event, `reload: ${reason}`);
  const soak = event.soak && policy.reload.soak > 0;
  const free =
    stuck === null ? unchanged(state) : supersede(state, stuck, { by: event.generation, now, policy });
  const begun = chain(free, (next) => begin(next, { ...event, soak }, now));
  const forked = event.rollback ? chain(begun, (next) => forkFirst(next, now, policy)) : begun;
  return chain(forked, askBeats);
}

/**
 * The operator thinks better of it: of the reload, which is rolled back, also one that was to have no way back; or of a
 * rollback, which then leaves the slots that are not back to the usual restarts.
 */
export function abort(
  state: State,
  event: Extract<Event, { type: 'abort' }>,
  now: Millis,
  policy: Policy,
): Result {
  const { reload } = state;
  if (reload === null) return refused(state, event, 'abort: no reload is under way');
  const why = `aborted by ${event.by}`;
  const accept = (message: string) => answer(state, event.request, { accepted: true, message });
  if (reload.stage.name === 'rollback') {
    const reason = `${reload.stage.reason}; the rollback was ${why}`;
    return chain(accept(`the rollback to generation ${state.generation} is not waited for`), (next) =>
      end(next, { reload, verdict: 'rolled-back', reason, now, policy }),
    );
  }
  const back = onProven(state, reload);
  return chain(accept(`rolling back to generation ${back.generation}`), () => rollBack(back, why, now));
}

/** Takes a reload as far as it can go by now. */
export function advanceReload(state: State, now: Millis, policy: Policy): Result {
  const { reload, life } = state;
  if (reload === null || life.phase !== 'serving') return unchanged(state);
  switch (reload.stage.name) {
    case 'canary':
      return canaryStage(state, { reload, stage: reload.stage }, now, policy);
    case 'soak':
      return soakOver(state, reload.stage) ? roll(state, reload, now) : unchanged(state);
    case 'rolling':
      return rollOn(state, reload, now, policy);
    case 'rollback':
      return isBack(state, reload)
        ? end(state, { reload, verdict: 'rolled-back', reason: outcome(state, reload.stage), now, policy })
        : unchanged(state);
  }
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

/** The service ends while a reload is under way. */
export function stopReload(state: State, why: string, now: Millis): Result {
  const { reload } = state;
  if (reload === null) return unchanged(state);
  return conclude({ ...state, pendingScale: null }, { reload, verdict: 'stopped', reason: why, now });
}

/** Another reload takes over. What is proven is what was before it. */
function supersede(
  state: State,
  reload: Reload,
  { by, now, policy }: { by: number; now: Millis; policy: Policy },
): Result {
  const reason = `superseded by the reload to generation ${by}`;
  return end(onProven(state, reload), { reload, verdict: 'superseded', reason, now, policy });
}

/**
 * A reload without a way back has declared its generation proven from the start. Where it comes to nothing that is taken
 * back: slots that the generation before still serves need nothing more.
 */
function onProven(state: State, reload: Reload): State {
  if (reload.rollback) return state;
  const back: State = { ...state, generation: reload.record.from, reload: { ...reload, rollback: true } };
  const isServed = ({ id }: Slot): boolean =>
    workersIn(back, id).some(({ phase, generation }) => phase === 'ready' && generation === back.generation);
  const slots = back.slots.map((slot) =>
    isServed(slot) ? { ...slot, forkAt: null, forkAfter: null, bootFailures: 0 } : slot,
  );
  return { ...back, slots };
}

/** Generations tell workers, and what is counted about them, apart for ever. */
function notNew({ generation, reload, lastReload }: State, target: number): string | null {
  const last = Math.max(generation, reload?.target ?? 0, lastReload?.generation ?? 0);
  return target > last ? null : `generation ${target}; expected one above ${last}`;
}

function begin(state: State, event: ReloadRequest, now: Millis): Result {
  const { serial, generation: target, release, by, at, rollback, soak } = event;
  const record: ReloadRecord = {
    serial,
    generation: target,
    from: state.generation,
    release,
    by,
    at,
    took: null,
    steps: [],
    accepted: 0,
    moved: 0,
    lost: 0,
    verdict: null,
    reason: null,
  };
  const reload: Reload = {
    target,
    startedAt: now,
    rollback,
    soak,
    stage: rollback ? { name: 'canary', key: state.nextKey } : { name: 'rolling' },
    acceptedBefore: connectionsAccepted(state),
    record,
  };
  // Without a way back the new generation is what a crashed worker is replaced with from now on.
  const next: State = { ...state, reload, generation: rollback ? state.generation : target };
  const status = statusLine(next, now);
  const begun: Result = [
    { ...next, status },
    [
      { type: 'answer', request: event.request, answer: { accepted: true, message: `generation ${target}` } },
      { type: 'notify', reloading: true, status },
      log('info', `reload to generation ${target}`, { by, release, soak, rollback }),
    ],
  ];
  return chain(begun, (next) => note(next, now, { step: 'begun', detail: release }));
}

/** The canary, and where it is not watched the next one with it, which saves the time of a start. */
function forkFirst(state: State, now: Millis, policy: Policy): Result {
  const { reload, slots } = state;
  if (reload === null) return unchanged(state);
  const first = slots.slice(0, reload.soak ? 1 : startingAtOnce);
  return chainAll(
    state,
    first.map(({ id, forkAt, forkAfter }) => (next) => {
      const forked = fillSlot(next, { slot: id, generation: reload.target }, now, policy);
      // It does not fill its slot yet: where a worker of the proven generation is due there, it stays due.
      return chain(forked, (after) => unchanged(changeSlot(after, id, { forkAt, forkAfter })));
    }),
  );
}

/** From here on what is new fills its slot: no worker of the proven generation is due there any more. */
function roll(state: State, reload: Reload, now: Millis): Result {
  const taken = new Set(ofTarget(state, reload).map(({ slot }) => slot));
  const slots = state.slots.map((slot) =>
    taken.has(slot.id) ? { ...slot, forkAt: null, forkAfter: null } : slot,
  );
  const filled: State = { ...state, slots };
  const rolling: State = { ...filled, reload: { ...reload, stage: { name: 'rolling' } } };
  const noted = note(rolling, now, { step: 'soaked' });
  return chain(noted, (next) => tellStatus(next, now, {}));
}

/** Few at a time: a start costs CPU and memory that those who serve need. */
function rollOn(state: State, reload: Reload, now: Millis, policy: Policy): Result {
  const there = ofTarget(state, reload);
  const starting = there.filter(({ phase }) => phase === 'starting').length;
  if (starting >= (reload.soak ? 1 : startingAtOnce)) return unchanged(state);
  const left = state.slots.filter(({ id }) => !there.some(({ slot }) => slot === id));
  if (left.length === 0 && starting > 0) return unchanged(state);
  if (left.length === 0) return end(state, { reload, verdict: 'done', reason: null, now, policy });
  // One that failed to start is tried again when its slot's time has come.
  const waits = left.some(({ forkAt }) => forkAt !== null && !reload.rollback);
  const [first] = left;
  if (waits || first === undefined) return unchanged(state);
  return fillSlot(state, { slot: first.id, generation: reload.target }, now, policy);
}

function ofTarget({ workers }: State, { target }: Reload): readonly Worker[] {
  return workers.filter((worker) => worker.generation === target && isUp(worker));
}

/**
 * Every slot is served by the proven generation alone. Where that cannot start any more either, the rollback is as far as
 * it gets: who serves there stays, and the usual restarts go on.
 */
function isBack(state: State, { target }: Reload): boolean {
  const faltering = new Set(state.slots.filter(falters).map(({ id }) => id));
  const left = state.workers.some(
    (worker) => worker.generation === target && isUp(worker) && !faltering.has(worker.slot),
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
  readonly now: Millis;
}

/** The verdict, with the one READY of a reload; then what had to wait for it. */
function end(state: State, ending: Ending & { readonly policy: Policy }): Result {
  const { reload, verdict, now, policy } = ending;
  const generation = verdict === 'done' ? reload.target : state.generation;
  const concluded = conclude({ ...state, generation }, ending);
  const told = chain(concluded, (next) => {
    const status = statusLine(next, now);
    return [{ ...next, status }, [{ type: 'notify', ready: true, status }]];
  });
  const asked = chain(told, askBeats);
  return chain(asked, (next) => {
    const { pendingScale } = next;
    // What supersedes it is the next reload that a scale waits for.
    if (pendingScale === null || verdict === 'superseded') return unchanged(next);
    return applyScale({ ...next, pendingScale: null }, pendingScale, now, policy);
  });
}

function conclude(state: State, { reload, verdict, reason, now }: Ending): Result {
  const noted = note(state, now, {
    step: 'verdict',
    detail: reason === null ? verdict : `${verdict}: ${reason}`,
  });
  return chain(noted, (next) => {
    const record: ReloadRecord = {
      ...currentRecord(next, next.reload ?? reload),
      took: now - reload.startedAt,
      verdict,
      reason,
    };
    const drains = next.workers.some((worker) => replacedBy(worker) === reload.target);
    const acceptedBefore = drains ? reload.acceptedBefore : null;
    return [
      { ...next, reload: null, lastReload: record, acceptedBefore },
      [
        { type: 'record', record },
        log(verdict === 'done' ? 'info' : 'warn', verdictLine(record), { by: record.by }),
      ],
    ];
  });
}

/** So that the counts of a reload's beginning and end are not a second old. */
function askBeats(state: State): Result {
  const ready = state.workers.filter(({ phase }) => phase === 'ready');
  return [state, ready.map(({ key }) => ({ type: 'ask-beat', key }))];
}

/** The reload that ends in a rollback should this worker fail; null where it is a worker like any other. */
export function trialOf({ reload }: State, { generation }: Worker): Reload | null {
  return reload?.rollback === true && generation === reload.target ? reload : null;
}

/**
 * Back to the proven generation: what starts is killed, what serves stays until its slot is served without it. Of several
 * reasons the first one counts.
 */
export function rollBack(state: State, reason: string, now: Millis): Result {
  const { reload } = state;
  if (reload === null) return unchanged(state);
  const { target, stage } = reload;
  const begun = stage.name === 'rollback' ? unchanged(state) : beginRollback(state, { reload, reason, now });
  const onTrial = state.workers.filter(({ generation }) => generation === target);
  const dismissed = chain(begun, (next) =>
    chainAll(
      next,
      onTrial.map((worker) => (next) => dismiss(next, worker, { now, reload: target })),
    ),
  );
  return chain(dismissed, (next) => tellStatus(next, now, {}));
}

function beginRollback(
  state: State,
  { reload, reason, now }: { reload: Reload; reason: string; now: Millis },
): Result {
  const stage: Stage = { name: 'rollback', reason };
  const { release } = reload.record;
  const begun: Result = [
    { ...state, reload: { ...reload, stage } },
    [log('error', `generation ${reload.target} is rolled back: ${reason}`, { release })],
  ];
  return chain(begun, (next) => note(next, now, { step: 'rollback', detail: reason }));
}

/** From here on its death is no news, as that of a worker that drains. */
function dismiss(state: State, worker: Worker, { now, reload }: { now: Millis; reload: number }): Result {
  if (worker.phase !== 'starting') return unchanged(state);
  const leaving = killed(draining(worker, { now, deadline: now, reload }), 'rolled back before it listened');
  return [replaceWorker(state, leaving), [{ type: 'kill', key: worker.key }]];
}

/** The canary's answer to a request of its own. */
export function probed(
  state: State,
  { key, failure, took }: Extract<Event, { type: 'probed' }>,
  now: Millis,
): Result {
  const { reload } = state;
  if (reload?.stage.name !== 'soak' || reload.stage.key !== key) return unchanged(state);
  const worker = findWorker(state, key);
  if (failure !== null) return rollBack(state, `the canary failed its probe: ${failure}`, now);
  const next: State = { ...state, reload: { ...reload, stage: { ...reload.stage, probeBy: null } } };
  return note(next, now, {
    step: 'probed',
    ...(worker === undefined ? {} : { worker }),
    detail: `answered in ${Math.round(took)} ms`,
  });
}

/** Rolls back where the probe is overdue, or the beats show the canary out of line with the others. */
export function judgeCanary(state: State, now: Millis, { reload: limits }: Policy): Result {
  const { reload } = state;
  if (reload?.stage.name !== 'soak') return unchanged(state);
  const { probeBy } = reload.stage;
  if (probeBy !== null && state.tickedAt >= probeBy)
    return rollBack(state, 'the canary did not answer its probe', now);
  const canary = findWorker(state, reload.stage.key)?.beat ?? null;
  if (canary === null) return unchanged(state);
  const reason = worse(canary, servedByOthers(state, reload, reload.stage), limits);
  return reason === null ? unchanged(state) : rollBack(state, reason, now);
}
