import type { Millis } from '../protocol/limits.js';
import type { WorkerKey } from '../protocol/messages.js';
import type { Event, ReloadRequest } from './events.js';
import {
  counted,
  describeTally,
  emptyTally,
  fewestPairs,
  finalFault,
  heapFault,
  inDoubt,
  type Mirror,
  mirrorFault,
} from './mirror.js';
import type { Policy } from './policy.js';
import { note } from './reload-record.js';
import { promote } from './slots.js';
import type { Reload, State, Worker } from './state.js';
import { notifyIfChanged } from './status.js';
import type { Transaction } from './transaction.js';
import { seconds } from './workers.js';

/*
 * The stage of a reload in which a canary is judged before it takes a client (`[reload] mirror = "safe"`). The canary has
 * booted as a spare does, without listening. The old workers tell which safe requests they answer, the canary is asked them
 * once more, and mirror.ts judges the pairs.
 *
 * - The canary first says whether it can be asked (`mirror-opened`). If it cannot, the reload goes on without a mirror.
 * - The order to the old workers (`mirror`) is a lease, which is renewed once a second: whatever becomes of the master or of
 *   the reload, they end by themselves.
 * - The stage is over once enough pairs are compared, once its time is over, or where no old worker serves any more. Too few
 *   pairs to judge by are no fault: an idle service is reloaded as it would be without a mirror.
 */

/** How often the old workers' order is renewed, and for how long it holds: a tick may be late. */
const renewInterval: Millis = 1_000;
const lease: Millis = 3_000;
/** Pairs are compared from here on only: the first requests make connections, fill caches and compile. */
const warmUpTime: Millis = 2_000;
const warmUpPairs = 10;
/** While it is not clear whether the canary does worse, so many times as many requests are asked. */
const mostInDoubt = 5;

/** Whether a reload has its canary judged by mirrored requests: one that is not to be watched is not mirrored either. */
export function mirrors(
  { kind, reload }: Policy,
  { soak, rollback }: Pick<ReloadRequest, 'soak' | 'rollback'>,
): boolean {
  return reload.mirror === 'safe' && kind === 'server' && soak && rollback;
}

/** The canary has booted. It takes no client yet, and is told to get ready for requests of ours. */
export function beginMirror(t: Transaction, reload: Reload, canary: Worker): void {
  const { mirror, mirrorTime, mirrorRequests } = t.policy.reload;
  // The configuration that came with the reload may have turned it off.
  if (mirror === 'off') return serve(t, reload, canary);
  const { key } = canary;
  const until = t.now + mirrorTime;
  const stage: Mirror = { name: 'mirror', key, openedAt: null, until, renewAt: t.now, tally: emptyTally };
  t.update({ reload: { ...reload, stage } });
  note(t, { step: 'mirror', detail: `at most ${mirrorRequests} requests or ${seconds(mirrorTime)}` });
  t.emit({ type: 'mirror-open', key, timeout: mirrorTime });
  notifyIfChanged(t);
}

/** The canary can be asked, or `failure` says why not. */
export function mirrorOpened(
  t: Transaction,
  { key, failure }: Extract<Event, { type: 'mirror-opened' }>,
): void {
  const { reload } = t.state;
  if (reload?.stage.name !== 'mirror' || reload.stage.key !== key || reload.stage.openedAt !== null) return;
  if (failure !== null) return endMirror(t, reload, `it cannot be asked: ${failure}`);
  const until = t.now + t.policy.reload.mirrorTime;
  const stage: Mirror = { ...reload.stage, openedAt: t.now, until, renewAt: t.now + renewInterval };
  t.update({ reload: { ...reload, stage } });
  sample(t, stage, t.policy.reload.mirrorRate);
}

/**
 * A request that both were asked. @returns what is wrong with the canary; null: nothing that is known so far, or it is not on
 * trial here (any more)
 */
export function mirrored(t: Transaction, { key, pair }: Extract<Event, { type: 'mirrored' }>): string | null {
  const { reload } = t.state;
  if (reload?.stage.name !== 'mirror' || reload.stage.key !== key) return null;
  const { openedAt, tally: before } = reload.stage;
  if (openedAt === null) return null;
  const { outcome } = pair.canary;
  const isCold = t.now - openedAt < warmUpTime || before.warmUp < warmUpPairs;
  const warmsUp = isCold && outcome !== 'refused' && outcome !== 'late';
  const tally = warmsUp ? { ...before, warmUp: before.warmUp + 1 } : counted(before, pair, t.policy.reload);
  t.update({ reload: { ...reload, stage: { ...reload.stage, tally } } });
  return mirrorFault(tally, t.policy.reload) ?? heapFaultOf(t.state, key);
}

/**
 * Takes the stage on: to its end, once nothing more is to come of it. @returns what is wrong with the canary by all that was
 * asked; null: nothing, or it goes on
 */
export function advanceMirror(t: Transaction, reload: Reload, stage: Mirror): string | null {
  const { tally, until, openedAt } = stage;
  const { mirrorRequests: enough } = t.policy.reload;
  const isOver = t.state.tickedAt >= until;
  const asksOn =
    tally.pairs < enough || (tally.pairs < enough * mostInDoubt && inDoubt(tally, t.policy.reload));
  const isAlone = openedAt !== null && askedWorkers(t.state).length === 0;
  if (asksOn && !isOver && !isAlone) return null;
  const fault = finalFault(tally, t.policy.reload);
  if (fault !== null) return fault;
  endMirror(t, reload, whyNothing(stage, isAlone));
  return null;
}

function whyNothing({ openedAt, tally }: Mirror, isAlone: boolean): string | null {
  if (openedAt === null) return 'it was not ready to be asked in time';
  if (tally.pairs >= fewestPairs) return null;
  const few = `too few requests: ${describeTally(tally)}`;
  return isAlone ? `no old worker serves that it could be compared with; ${few}` : few;
}

/** The old workers go on telling of requests, those that are new among them. */
export function renewMirror(t: Transaction): void {
  const { reload } = t.state;
  if (reload?.stage.name !== 'mirror') return;
  const { stage } = reload;
  if (stage.openedAt === null || t.now < stage.renewAt || t.now >= stage.until) return;
  t.update({ reload: { ...reload, stage: { ...stage, renewAt: t.now + renewInterval } } });
  sample(t, stage, t.policy.reload.mirrorRate);
}

/** The old workers tell of no more requests: the stage is left, whichever way. */
export function stopSampling(t: Transaction): void {
  const { reload } = t.state;
  if (reload?.stage.name !== 'mirror' || reload.stage.openedAt === null) return;
  sample(t, reload.stage, 0);
}

export function mirrorDeadlines({ until, renewAt, openedAt }: Mirror): readonly Millis[] {
  return openedAt === null ? [until] : [until, renewAt];
}

/** Time that the master missed is no time in which requests were mirrored. */
export function mirrorPostponed(stage: Mirror, missed: Millis): Mirror {
  const { until, openedAt } = stage;
  return { ...stage, until: until + missed, openedAt: openedAt === null ? null : openedAt + missed };
}

/** The mirror has shown no fault, or nothing. */
function endMirror(t: Transaction, reload: Reload, why: string | null): void {
  if (reload.stage.name !== 'mirror') return;
  const { key, tally } = reload.stage;
  stopSampling(t);
  note(t, {
    step: 'mirrored',
    detail: why === null ? describeTally(tally) : `not judged, ${why}; it goes on as without a mirror`,
  });
  if (why !== null) t.log('warn', `the canary serves without a verdict of its mirror: ${why}`);
  const canary = t.worker(key);
  // Its death has ended the reload already.
  if (t.state.reload === null || canary?.phase !== 'spare') return;
  serve(t, t.state.reload, canary);
}

/** From here on the canary is what it would be without a mirror: it listens, is probed and soaked. */
function serve(t: Transaction, reload: Reload, canary: Worker): void {
  const [slot] = t.state.slots;
  if (slot === undefined) return;
  t.update({ reload: { ...reload, stage: { name: 'canary', key: canary.key } } });
  promote(t, canary, slot.id);
  notifyIfChanged(t);
}

function sample(t: Transaction, { key: to }: Mirror, rate: number): void {
  const asked = askedWorkers(t.state);
  const { mirrorRoutes: routes, mirrorCredentials } = t.policy.reload;
  const rules = { routes, credentials: mirrorCredentials === 'on' };
  for (const { key } of asked) {
    t.emit({ type: 'mirror', key, to, perSecond: rate / asked.length, for: lease, rules });
  }
}

/** Those that the canary is compared with. */
function askedWorkers({ workers, generation }: State): readonly Worker[] {
  return workers.filter((worker) => worker.phase === 'ready' && worker.generation === generation);
}

function heapFaultOf(state: State, key: WorkerKey): string | null {
  const own = state.workers.find((worker) => worker.key === key)?.heartbeat ?? null;
  if (own === null) return null;
  const old = Math.max(0, ...askedWorkers(state).map(({ heartbeat }) => heartbeat?.heapUsedBytes ?? 0));
  return heapFault({ used: own.heapUsedBytes, limit: own.heapLimitBytes, old });
}
