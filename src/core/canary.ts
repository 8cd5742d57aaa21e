import {
  emptyLatency,
  type Heartbeat,
  latencyBuckets,
  longestBucket,
  type Served,
} from '../protocol/heartbeat.js';
import type { Millis } from '../protocol/limits.js';
import type { WorkerKey } from '../protocol/messages.js';
import { type Policy, type ReloadPolicy, soakInterval } from './policy.js';
import type { Reload, Soak, Stage, State, Worker } from './state.js';
import { notifyIfChanged } from './status.js';
import type { Transaction } from './transaction.js';

/*
 * When the first worker of a new generation is good enough for the others to follow: it has to answer its probe, to stay
 * alive, and to do no worse than the workers of the proven generation while it is soaked.
 */

/** Fewer answers than this say nothing about a share or a quantile. */
const fewestAnswers = 20;
/** An answer within this time is fast enough, whatever the others take, ms. */
const fastEnough: Millis = 100;
/** What a probe gets beyond its own time: the messages' way. */
const probeGrace: Millis = 1_000;
/** Others that are asked for a heartbeat together with the canary. */
const mostAsked = 16;
/** The quantile that is compared: the slowest tenth is left to chance. */
const compared = 0.9;

type Limits = Pick<ReloadPolicy, 'maxErrors' | 'maxLatency'>;

/** The soak begins when the canary listens. */
export function soakIfReady(
  t: Transaction,
  { reload, stage }: { reload: Reload; stage: Extract<Stage, { name: 'canary' }> },
): void {
  const { key } = stage;
  if (t.worker(key)?.phase !== 'ready') return;
  const { now } = t;
  const { soak: time, probe, probeTimeout } = t.policy.reload;
  const until = reload.soak ? now + time : t.state.tickedAt;
  const soak: Soak = {
    name: 'soak',
    key,
    until,
    askAt: nextAsk(until, now),
    probeBy: probe === null ? null : now + probeTimeout + probeGrace,
    before: othersOf(t.state, reload).flatMap(({ key, heartbeat }) =>
      heartbeat === null ? [] : [{ key, heartbeat }],
    ),
  };
  t.update({ reload: { ...reload, stage: soak } });
  if (probe !== null) t.emit({ type: 'probe', key, path: probe, timeout: probeTimeout });
  notifyIfChanged(t);
}

/**
 * The last word is the canary's: one that has been silent since before the end is not known to be well. And time counts
 * only once a tick has seen it, lest the canary be judged by time that the master itself missed.
 */
export function isSoakOver({ workers, tickedAt }: State, { key, probeBy, until }: Soak): boolean {
  const worker = workers.find((worker) => worker.key === key);
  return probeBy === null && worker?.phase === 'ready' && Math.min(tickedAt, worker.heartbeatAt) >= until;
}

/** Past its end a soak waits for the probe alone. */
export function soakDeadlines({ until, askAt, probeBy }: Soak, tickedAt: Millis): readonly Millis[] {
  const limit = probeBy === null ? [] : [probeBy];
  return tickedAt < until ? [askAt, until, ...limit] : limit;
}

/** Heartbeats more often than once a second: the sooner a bad canary is seen, the fewer requests it gets. */
export function askWhileSoaking(t: Transaction): void {
  const { reload } = t.state;
  if (reload?.stage.name !== 'soak' || t.now < reload.stage.askAt) return;
  const stage: Soak = { ...reload.stage, askAt: nextAsk(reload.stage.until, t.now) };
  // Of the others some are enough: the rest is compared by heartbeats that are a second old at most.
  const others = othersOf(t.state, reload).slice(0, mostAsked);
  t.update({ reload: { ...reload, stage } });
  for (const key of [stage.key, ...others.map(({ key }) => key)]) t.emit({ type: 'ask-heartbeat', key });
}

/** At the end of the soak at the latest. */
function nextAsk(until: Millis, now: Millis): Millis {
  const next = now + soakInterval;
  return now < until ? Math.min(next, until) : next;
}

/** What is wrong with the canary: its probe is overdue, or the heartbeats show it out of line; null where nothing is. */
export function canaryFault(state: State, reload: Reload, { reload: limits }: Policy): string | null {
  if (reload.stage.name !== 'soak') return null;
  const { key, probeBy } = reload.stage;
  if (probeBy !== null && state.tickedAt >= probeBy) return 'the canary did not answer its probe';
  const canary = state.workers.find((worker) => worker.key === key)?.heartbeat ?? null;
  if (canary === null) return null;
  return worse(added(nothing, canary, undefined), servedByOthers(state, reload, reload.stage), limits);
}

/** What is wrong with the canary beside the others; null where nothing is, or too little is known. */
export function worse(canary: Served, others: Served, limits: Limits): string | null {
  if (canary.answers < fewestAnswers) return null;
  return (
    failsMore(canary, others, limits) ?? shedsMore(canary, others, limits) ?? isSlower(canary, others, limits)
  );
}

/** By the answers of the app: what was shed has not reached it. */
function failsMore(canary: Served, others: Served, { maxErrors }: Limits): string | null {
  const [own, usual] = [answersOfApp(canary), answersOfApp(others)];
  if (own.answers < fewestAnswers) return null;
  const [share, usually] = [shareOf(own.errors, own.answers), shareOf(usual.errors, usual.answers)];
  if (share <= usually + maxErrors + chanceOf(usually, own.answers)) return null;
  return `${percent(share)} of the canary's ${own.answers} answers failed, ${percent(usually)} of the others'`;
}

/**
 * By what it sheds. Where the others shed as well the load is to blame, and how much each sheds differs by chance and by how
 * warm it is: the canary may shed as many times more as it may be slower. Where nobody else sheds it is an error of its own.
 */
function shedsMore(canary: Served, others: Served, { maxErrors, maxLatency }: Limits): string | null {
  const [share, usual] = [shareOf(canary.shed, canary.answers), shareOf(others.shed, others.answers)];
  if (share <= usual * maxLatency + maxErrors + chanceOf(usual, canary.answers)) return null;
  return `the canary shed ${percent(share)} of its ${canary.answers} requests, the others ${percent(usual)}`;
}

/** By how long answers take. */
function isSlower(canary: Served, others: Served, { maxLatency }: Limits): string | null {
  const [slow, usually] = [quantile(canary.latency, compared), quantile(others.latency, compared)];
  if (slow === null || usually === null || others.answers < fewestAnswers) return null;
  if (slow <= Math.max(fastEnough, usually * maxLatency)) return null;
  const least = Math.min(slow, 2 * longestBucket) / 2;
  return `a tenth of the canary's answers took more than ${least} ms, nine tenths of the others' at most ${usually} ms`;
}

/** Since the soak began; where that is too little to compare with, in all their life. */
function servedByOthers(state: State, reload: Reload, { before }: Soak): Served {
  const others = othersOf(state, reload);
  const earlier = new Map<WorkerKey, Heartbeat>(before.map(({ key, heartbeat }) => [key, heartbeat]));
  const lately = sum(others, earlier);
  return lately.answers < fewestAnswers ? sum(others, new Map()) : lately;
}

/** What these workers have answered, without what each had answered by its heartbeat in `earlier`. */
export function sum(workers: readonly Worker[], earlier: ReadonlyMap<WorkerKey, Heartbeat>): Served {
  return workers.reduce<Served>(
    (all, { key, heartbeat }) => added(all, heartbeat, earlier.get(key)),
    nothing,
  );
}

const nothing: Served = { answers: 0, errors: 0, shed: 0, latency: emptyLatency() };

function added(sum: Served, heartbeat: Heartbeat | null, before: Heartbeat | undefined): Served {
  if (heartbeat === null) return sum;
  return {
    answers: sum.answers + heartbeat.answers - (before?.answers ?? 0),
    errors: sum.errors + heartbeat.errors - (before?.errors ?? 0),
    shed: sum.shed + (heartbeat.shed?.requests ?? 0) - (before?.shed?.requests ?? 0),
    latency: sum.latency.map(
      (count, index) => count + (heartbeat.latency[index] ?? 0) - (before?.latency[index] ?? 0),
    ),
  };
}

/** Those that the canary is compared with: they serve, and are of the proven generation. */
function othersOf({ workers, generation }: State, { target }: Reload): readonly Worker[] {
  return workers.filter(
    (worker) => worker.phase === 'ready' && worker.generation === generation && generation !== target,
  );
}

/** Upgrades that were shed are in no count of answers. */
function answersOfApp({ answers, errors, shed }: Served): Pick<Served, 'answers' | 'errors'> {
  return { answers: Math.max(0, answers - shed), errors: Math.max(0, errors - shed) };
}

/** Of few answers some more fail by chance: two standard deviations of a share are no sign yet. */
function chanceOf(usual: number, answers: number): number {
  return 2 * Math.sqrt((usual * (1 - Math.min(1, usual))) / answers);
}

function shareOf(some: number, all: number): number {
  return all === 0 ? 0 : Math.min(1, some / all);
}

function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}

/** Upper limit of the bucket that the share `of` of all answers is within, ms; null where there were none. */
export function quantile(counts: readonly number[], of: number): Millis | null {
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (total === 0) return null;
  let seen = 0;
  const index = counts.findIndex((count) => {
    seen += count;
    return seen >= total * of;
  });
  return latencyBuckets[index] ?? Number.POSITIVE_INFINITY;
}
