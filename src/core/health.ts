import type { Heartbeat } from '../protocol/heartbeat.js';
import type { Millis } from '../protocol/limits.js';
import type { Health } from '../protocol/stats.js';
import { mebibytes } from '../protocol/words.js';
import { ownPolicy, type Policy } from './policy.js';
import { changeSlot, fillSlot, findSlot } from './slots.js';
import type { Pace, State, Vitals } from './state.js';
import type { Transaction } from './transaction.js';
import { isSpeaking, nameOf, type Ready, type Speaking, seconds, silentSince } from './workers.js';

/** Heartbeats that a worker may owe before it counts as degraded: one may be a little late. */
export const heartbeatsOwed = 2.5;
/** For so many heartbeats it has to be degraded before the log is told. */
const heartbeatsToTell = 3;
/** Garbage that is not collected yet fills a heap, too: it counts as full after so many heartbeats in a row. */
const heartbeatsOfFullHeap = 5;

/** What a heartbeat tells about the worker. */
export function afterHeartbeat(
  worker: Speaking,
  { heartbeat, now, policy }: { heartbeat: Heartbeat; now: Millis; policy: Policy },
): Vitals {
  const { vitals } = worker;
  const isLate = heartbeat.eventLoopDelayMs > policy.health.slowDelay;
  // Heartbeats that were asked for come in between, and say nothing about time.
  const isRegular = now - worker.heartbeatAt >= policy.heartbeatInterval / 2;
  return {
    ...vitals,
    slowSince: isLate ? (vitals.slowSince ?? silentSince(worker)) : null,
    fullHeartbeats: hasFullHeap(heartbeat, policy) ? vitals.fullHeartbeats + (isRegular ? 1 : 0) : 0,
    firstRss: worker.phase === 'ready' ? (vitals.firstRss ?? heartbeat.rssBytes) : null,
    pace: paced(vitals.pace, heartbeat.requests, now),
    utilization: isRegular ? heartbeat.eventLoopUtilization : vitals.utilization,
    provedAt: heartbeat.answers > (worker.heartbeat?.answers ?? 0) ? now : vitals.provedAt,
  };
}

/** Judges everybody, and has the log know who changed. */
export function judge(t: Transaction): void {
  t.eachWorker((worker) => {
    if (isSpeaking(worker)) judgeOne(t, worker);
  });
}

/**
 * Replaces an unhealthy worker, the new one first: one at a time, and none while another starts, for that costs the CPU and the
 * memory that are short. A slot whose next worker is unhealthy again gets no third one within the window: it would not help.
 */
export function treat(t: Transaction): void {
  const { state } = t;
  const isBusy = state.reload !== null || state.workers.some(({ phase }) => phase === 'starting');
  if (state.life.phase !== 'serving' || isBusy) return;
  const unhealthy = state.workers.filter(
    (worker): worker is Ready => worker.phase === 'ready' && worker.vitals.health === 'unhealthy',
  );
  for (const worker of unhealthy) if (wasTreated(t, worker)) tellAgain(t, worker);
  // Where the slot's next worker is due already, another one of the same would only come in its way.
  const isWaiting = unhealthy.some((worker) => failsCheck(t, worker)) && awaitsCheck(t);
  const worker = unhealthy.find(
    (worker) =>
      findSlot(state, worker.role.slot)?.forkAt === null &&
      !wasTreated(t, worker) &&
      !(isWaiting && failsCheck(t, worker)),
  );
  if (worker === undefined) return;
  const { pid, generation } = worker;
  const { slot } = worker.role;
  changeSlot(t, slot, { treatedAt: t.now, toldAgain: false });
  t.log('info', `worker ${slot} is being replaced: it is unhealthy`, { workerPid: pid });
  fillSlot(t, { slot, generation });
}

/**
 * Whether a worker that came in the place of an unhealthy one has not answered its check yet. Where the database is down,
 * no new worker is better than the old ones, and all would be replaced for nothing.
 */
function awaitsCheck(t: Transaction): boolean {
  return t.state.workers.some(
    (worker) => worker.phase === 'ready' && wasTreated(t, worker) && worker.heartbeat?.check?.failures !== 0,
  );
}

function failsCheck({ policy }: Transaction, { generation, heartbeat }: Ready): boolean {
  return (heartbeat?.check?.failures ?? 0) >= ownPolicy(policy, { generation }).health.checkFailures;
}

function wasTreated({ state, now, policy }: Transaction, { role }: Ready): boolean {
  const treatedAt = findSlot(state, role.slot)?.treatedAt ?? null;
  return treatedAt !== null && now - treatedAt < policy.restart.window;
}

/** Once per replacement. */
function tellAgain(t: Transaction, { role: { slot }, pid }: Ready): void {
  const place = findSlot(t.state, slot);
  if (place === undefined || place.toldAgain) return;
  const ago = seconds(t.now - (place.treatedAt ?? t.now));
  changeSlot(t, slot, { toldAgain: true });
  t.log(
    'warn',
    `worker ${slot} is unhealthy again, ${ago} after it was replaced for that: it stays for now`,
    {
      workerPid: pid,
    },
  );
}

function judgeOne(t: Transaction, worker: Speaking): void {
  const { now } = t;
  const policy = ownPolicy(t.policy, worker);
  const silent = now - silentSince(worker);
  const overdue = silent > policy.heartbeatInterval * heartbeatsOwed ? silentSince(worker) : null;
  const slowSince = worker.vitals.slowSince ?? overdue;
  const seen = { ...worker, vitals: { ...worker.vitals, slowSince } };
  const why = sickness(t.state, { worker: seen, now, policy });
  const health: Health = why !== null ? 'unhealthy' : slowSince !== null ? 'degraded' : 'healthy';
  const entry = news(seen, { health, why, now, policy });
  const told = entry === null ? worker.vitals.told : health;
  const vitals: Vitals = { ...seen.vitals, health, told };
  if (isSame(vitals, worker.vitals)) return;
  t.put({ ...worker, vitals });
  if (entry !== null) t.log(...entry);
}

function isSame(one: Vitals, other: Vitals): boolean {
  return one.health === other.health && one.told === other.told && one.slowSince === other.slowSince;
}

/** What is wrong with a worker that should be replaced; null where nothing is. */
function sickness(
  state: State,
  { worker, now, policy }: { worker: Speaking; now: Millis; policy: Policy },
): string | null {
  const { heartbeat, vitals } = worker;
  if (worker.phase !== 'ready' || heartbeat === null) return null;
  const { maxRss } = policy.memory;
  if (maxRss !== null && heartbeat.rssBytes > maxRss) {
    return `its resident set is ${mebibytes(heartbeat.rssBytes)} MiB, over the limit of ${mebibytes(maxRss)} MiB`;
  }
  if (vitals.fullHeartbeats >= heartbeatsOfFullHeap) {
    return `its heap is full: ${mebibytes(heartbeat.heapUsedBytes)} of ${mebibytes(heartbeat.heapLimitBytes)} MiB`;
  }
  const { check } = heartbeat;
  if (check !== undefined && check.failures >= policy.health.checkFailures) {
    return `its app does not answer health.check: ${check.failure ?? ''}`;
  }
  const { slowLimit } = policy.health;
  const slow = vitals.slowSince === null ? 0 : now - vitals.slowSince;
  if (slowLimit === 0 || slow < slowLimit || !areOthersWell(state, worker)) return null;
  return `it has been degraded for ${seconds(slow)}, most others are not`;
}

/** Where all are degraded, it is the load or the machine, and a new worker would be degraded as well. */
function areOthersWell({ workers }: State, { role }: Ready): boolean {
  const others = workers.filter((other) => other.phase === 'ready' && other.role.slot !== role.slot);
  const well = others.filter(({ vitals }) => vitals.slowSince === null);
  return well.length * 2 > others.length;
}

interface Finding {
  readonly health: Health;
  readonly why: string | null;
  readonly now: Millis;
  readonly policy: Policy;
}

type News = Parameters<Transaction['log']>;

/** What the log should know; null where that is nothing. */
function news(worker: Speaking, { health, why, now, policy }: Finding): News | null {
  const { told, slowSince } = worker.vitals;
  const name = nameOf(worker);
  const { inFlight = 0, eventLoopDelayMs = 0 } = worker.heartbeat ?? {};
  const fields = { workerPid: worker.pid, inFlight };
  if (health === 'unhealthy')
    return told === 'unhealthy' ? null : ['warn', `${name} is unhealthy: ${why}`, fields];
  if (health === 'healthy') {
    return told === 'healthy' ? null : ['info', `${name} is healthy again`, { workerPid: worker.pid }];
  }
  const lasted = now - (slowSince ?? now);
  if (told !== 'healthy' || lasted < policy.heartbeatInterval * heartbeatsToTell) return null;
  const isLate = eventLoopDelayMs > policy.health.slowDelay;
  const what = isLate
    ? `its event loop is late by ${Math.round(eventLoopDelayMs)} ms`
    : `no heartbeat for ${seconds(now - silentSince(worker))}`;
  return ['warn', `${name} is degraded: ${what}`, fields];
}

function hasFullHeap({ heapUsedBytes, heapLimitBytes }: Heartbeat, { memory: { maxHeap } }: Policy): boolean {
  return maxHeap > 0 && heapLimitBytes > 0 && heapUsedBytes / heapLimitBytes > maxHeap;
}

/** Heartbeats that are asked for come in between: over less time than this a rate is chance. */
const leastTime: Millis = 900;
/** A rate that is older than this says nothing about now. */
const mostAge: Millis = 2_500;

export function paced(pace: Pace, requests: number, now: Millis): Pace {
  const { at } = pace;
  if (at !== null && now - at < leastTime) return pace;
  const perSecond = at === null ? 0 : Math.max(0, ((requests - pace.requests) * 1000) / (now - at));
  return { at: now, requests, perSecond };
}

/** Of a worker that has said nothing for a while nobody knows what it answers. */
export function perSecond({ at, perSecond }: Pace, now: Millis): number {
  return at === null || now - at > mostAge ? 0 : perSecond;
}
