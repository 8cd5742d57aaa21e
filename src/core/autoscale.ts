import type { Millis } from '../protocol/limits.js';
import { count } from '../protocol/words.js';
import { changeScaling, type Rules, rulesOf } from './scaling.js';
import { freshTrend, type Trend } from './scaling-state.js';
import { applyScale, isMemoryShort, removeSlot } from './slots.js';
import type { Slot } from './state.js';
import { connectionsAccepted, notifyIfChanged } from './status.js';
import type { Transaction } from './transaction.js';
import { isEnding, type Ready, readiness, seconds } from './workers.js';

/*
 * Where `workers` is a range, the number of workers follows the load. Once a second the core looks at how busy the event
 * loops were and, while they are busy, at how many connections wait to be accepted (the effect `read-queue`).
 *
 * - Up, fast: after two or three hot looks in a row, to as many workers as keep the loops at `scale.target`; to twice as
 *   many where the loops never rest, since nobody knows then how much there is to do; to four times as many where
 *   connections wait for long as well.
 * - Down, slowly: to the most that any time of the last `scale.down_after` needed. Where a number that was given up is
 *   needed again soon, the next time is longer.
 *
 * `follow` decides from what was seen; `autoscale` looks, and only while nothing else is under way. A worker that does not
 * start is such a thing: `giveBack` ends it, lest nobody look for ever.
 */

/** A tick is due every second, and may come a little early. */
const lookInterval: Millis = 900;
/** Above this the loops never rest, whatever is said of the rest: it is what the measurement costs. */
const saturated = 0.95;
/** What makes a look hot counts one, a loop without rest or connections that wait one more. */
const heatToAct = 3;
/** Connections that have waited for so long, by how fast they are accepted, are told by more than chance. */
const longWait: Millis = 50;
const veryLongWait: Millis = 250;
/** The window of `scale.down_after` moves on by parts. */
const parts = 6;
/** The mean of the demand by which fewer workers are reckoned is over so many parts of that window. */
const smoothing = 10;
const mostPatience = 8;
/** A reading of the queue was asked for at the look before. */
const longestReading: Millis = 1_500;
/** For so long nobody needs to have looked, without what was seen before being forgotten. */
const longestGap: Millis = 10_000;
/** Deaths within `restart.window` from which on workers count as crashing in a loop. */
const deathsOfLoop = 2;
/** Deaths in a row before listening after which a worker is not tried again: the first may have been chance. */
const deathsToGiveBack = 2;
/** Heartbeats that a worker may owe before it counts as busy: its loop does not turn. */
const heartbeatsOwed = 2.5;

/** What is seen at one moment. */
export interface Look {
  readonly now: Millis;
  /** Workers that serve. */
  readonly workers: number;
  /** Mean share of the last second in which their event loops were busy, 0 to 1. */
  readonly utilization: number;
  /** Connections that wait to be accepted; null: unknown. */
  readonly waiting: number | null;
  /** Connections accepted since the look before. */
  readonly accepted: number;
}

export interface Decision {
  readonly to: number;
  /** In words, for the log. */
  readonly why: string;
}

/** What follows from a look: how things go, and what is to change, where something is. */
export function follow(trend: Trend, look: Look, rules: Rules): readonly [Trend, Decision | null] {
  const { now, workers } = look;
  const { min, max } = rules;
  if (workers > max || workers < min) {
    const to = workers > max ? max : min;
    return [
      { ...freshTrend, lookedAt: now },
      { to, why: `workers is ${min}..${max}` },
    ];
  }
  const seen = cooled(heated(trend, look, rules), look, rules);
  const up = more({ trend: seen, look, rules, wait: waitOf(trend, look) });
  if (up !== null) return [{ ...freshTrend, lookedAt: now, patience: patienceAfter(seen, look, rules) }, up];
  const down = fewer(seen, look, rules);
  return [down === null ? seen : { ...seen, fewerAt: now }, down];
}

/** How long in a row it has been hot, and how hot. */
function heated(trend: Trend, look: Look, { target }: Rules): Trend {
  const { now, utilization } = look;
  const isHot = utilization >= (1 + target) / 2;
  const isWaiting = waitOf(trend, look) >= longWait && utilization >= target;
  const heat = Number(isHot) + Number(isWaiting || utilization >= saturated);
  if (heat === 0) return { ...trend, heat: 0, hotSince: null, lookedAt: now };
  // What a look sees began with the look before.
  const hotSince = trend.hotSince ?? trend.lookedAt ?? now;
  return { ...trend, heat: trend.heat + heat, hotSince, lookedAt: now };
}

/** How many workers each part of the window needed, the newest first. */
function cooled(trend: Trend, look: Look, rules: Rules): Trend {
  const { now, workers, utilization } = look;
  const window = rules.downAfter * trend.patience;
  const weight = Math.min(1, (smoothing * 1_000) / window);
  const busy = utilization * workers;
  const demand = trend.demand === null ? busy : trend.demand + (busy - trend.demand) * weight;
  const need = needOf(demand, rules);
  const { peaks, partSince } = trend;
  if (partSince === null) return { ...trend, demand, peaks: [need], partSince: now };
  if (now - partSince >= window / parts) {
    return { ...trend, demand, peaks: [need, ...peaks.slice(0, parts)], partSince: now };
  }
  const [newest = 0, ...others] = peaks;
  return { ...trend, demand, peaks: [Math.max(newest, need), ...others] };
}

interface Seen {
  readonly trend: Trend;
  readonly look: Look;
  readonly rules: Rules;
  readonly wait: Millis;
}

function more({ trend, look, rules, wait }: Seen): Decision | null {
  const { now, workers, utilization, waiting } = look;
  if (trend.heat < heatToAct || workers >= rules.max) return null;
  const factor = utilization < saturated ? 1 : wait >= veryLongWait ? 4 : 2;
  const wanted = Math.max(needOf(utilization * workers, rules), workers * factor, workers + 1);
  const busy = `event loops were ${percent(utilization)} busy for ${seconds(now - (trend.hotSince ?? now))}`;
  const queue =
    waiting === null || waiting === 0 ? '' : `, ${count(waiting, 'connection')} waited to be accepted`;
  return { to: Math.min(wanted, rules.max), why: `${busy}${queue}` };
}

function fewer(
  { peaks, patience, heat }: Trend,
  { workers, utilization }: Look,
  rules: Rules,
): Decision | null {
  if (heat > 0 || peaks.length <= parts) return null;
  const to = Math.max(...peaks);
  if (to >= workers) return null;
  const enough = to === 1 ? '1 has' : `${to} have`;
  const long = seconds(rules.downAfter * patience);
  return { to, why: `event loops are ${percent(utilization)} busy, ${enough} been enough for ${long}` };
}

/** What was given up and is needed again soon is kept for longer the next time. */
function patienceAfter({ patience, fewerAt }: Trend, { now }: Look, { downAfter }: Rules): number {
  const windows = fewerAt === null ? Number.POSITIVE_INFINITY : (now - fewerAt) / (downAfter * patience);
  if (windows < 1) return Math.min(mostPatience, patience * 2);
  return windows < 4 ? patience : 1;
}

/** How long connections wait, by how many do and how fast they are accepted, ms; a few that have just come do not count. */
function waitOf({ lookedAt }: Trend, { now, workers, waiting, accepted }: Look): Millis {
  if (waiting === null || waiting <= workers || lookedAt === null) return 0;
  return accepted === 0 ? Number.POSITIVE_INFINITY : (waiting * (now - lookedAt)) / accepted;
}

/** Workers that keep so many busy ones at the target. */
function needOf(busy: number, { min, max, target }: Rules): number {
  // What is a rounding error above a whole number needs no other worker.
  return Math.min(max, Math.max(min, Math.ceil(busy / target - 1e-9)));
}

/** Has the number of workers follow the load, where it is a range. */
export function autoscale(t: Transaction): void {
  const { state, now } = t;
  const rules = rulesInForce(t);
  if (rules === null || state.life.phase !== 'serving' || isEnding(state.life)) return;
  const { scaling } = state;
  if (state.reload !== null || scaling.held) return changeScaling(t, { trend: forgotten(scaling.trend) });
  const { lookedAt } = scaling.trend;
  if (lookedAt !== null && now - lookedAt < lookInterval) return;
  const serving = servingWorkers(t);
  if (serving === null) return changeScaling(t, { trend: coolDown(scaling.trend) });
  const look = lookAt(t, serving);
  const [trend, decision] = follow(current(scaling.trend, { now, rules }), look, rules);
  changeScaling(t, { trend, accepted: connectionsAccepted(state) });
  if (decision !== null) return decide(t, decision);
  const isBusy = look.utilization >= rules.target && look.workers < rules.max;
  if (isBusy) t.emit({ type: 'read-queue' });
}

/** How many connections wait, as of now. */
export function queueRead(t: Transaction, { waiting }: { readonly waiting: number | null }): void {
  if (rulesOf(t.policy) === null) return;
  changeScaling(t, { reading: waiting === null ? null : { at: t.now, waiting } });
}

/**
 * Whether a worker that has died so often in a row before it listened is one too many: above the lower end of the range the
 * load has asked for it, and the next one would fare the same (a database without free connections, a port that is taken).
 */
export function isOneTooMany({ state, policy }: Transaction, failures: number): boolean {
  const rules = rulesOf(policy);
  if (rules === null || state.slots.length <= rules.min || failures < deathsToGiveBack) return false;
  if (state.life.phase !== 'serving' || isEnding(state.life)) return false;
  return state.reload === null && !state.scaling.held;
}

/** Gives up its slot, and asks for no more until `scale.down_after` is over. */
export function giveBack(t: Transaction, { id }: Pick<Slot, 'id'>, failures: number): void {
  const { state, now, policy } = t;
  const from = state.slots.length;
  const to = from - 1;
  const { downAfter } = policy.scale;
  const why = `worker ${id} died ${count(failures, 'time')} before ${readiness(policy)}; for ${seconds(downAfter)} the load gets no more than ${to}`;
  changeScaling(t, {
    trend: forgotten(state.scaling.trend),
    reading: null,
    last: { at: now, from, to, why },
    cap: { to, until: now + downAfter },
  });
  t.log('warn', `scaled from ${from} to ${count(to, 'worker')}: ${why}`);
  removeSlot(t, id);
  notifyIfChanged(t);
}

/** The range, up to what could be started. */
function rulesInForce({ state, policy, now }: Transaction): Rules | null {
  const rules = rulesOf(policy);
  const { cap } = state.scaling;
  if (rules === null || cap === null || now >= cap.until) return rules;
  return { ...rules, max: Math.max(rules.min, Math.min(rules.max, cap.to)) };
}

function decide(t: Transaction, { to, why }: Decision): void {
  const from = t.state.slots.length;
  changeScaling(t, { reading: null, last: { at: t.now, from, to, why } });
  applyScale(t, to, why);
}

/** The workers that serve; null: something is under way, and nothing is to be concluded from how they do. */
function servingWorkers({ state, policy, now }: Transaction): readonly Ready[] | null {
  const { slots, workers, deaths } = state;
  const starts = workers.some(({ phase, role }) => phase === 'starting' && role.kind === 'slot');
  const fails = slots.some(
    ({ forkAt, forkAfter, bootFailures }) => forkAt !== null || forkAfter !== null || bootFailures > 0,
  );
  const died = deaths.filter((at) => now - at < policy.restart.window).length;
  if (starts || fails || died >= deathsOfLoop || isMemoryShort(state)) return null;
  const ready = workers.filter((worker): worker is Ready => worker.phase === 'ready');
  const isNew = ({ since, vitals }: Ready): boolean =>
    vitals.utilization === null && now - since < heartbeatsOwed * policy.heartbeatInterval;
  return ready.length !== slots.length || ready.some(isNew) ? null : ready;
}

function lookAt({ state, policy, now }: Transaction, serving: readonly Ready[]): Look {
  const { reading, accepted } = state.scaling;
  const isLate = ({ heartbeatAt }: Ready): boolean =>
    now - heartbeatAt > heartbeatsOwed * policy.heartbeatInterval;
  const shares = serving.map((worker) => (isLate(worker) ? 1 : (worker.vitals.utilization ?? 1)));
  return {
    now,
    workers: serving.length,
    utilization: shares.reduce((sum, share) => sum + share, 0) / serving.length,
    waiting: reading !== null && now - reading.at < longestReading ? reading.waiting : null,
    accepted: connectionsAccepted(state) - accepted,
  };
}

/** What was seen before a time in which nobody looked says nothing about it. */
function current(trend: Trend, { now, rules }: { readonly now: Millis; readonly rules: Rules }): Trend {
  const gap = now - (trend.lookedAt ?? now);
  return gap > Math.max(longestGap, rules.downAfter / parts) ? forgotten(trend) : trend;
}

function forgotten(trend: Trend): Trend {
  const { lookedAt, patience, fewerAt } = trend;
  return lookedAt === null ? trend : { ...freshTrend, patience, fewerAt };
}

/** What is hot has to be seen anew; what was enough stays so. */
function coolDown(trend: Trend): Trend {
  return trend.heat === 0 ? trend : { ...trend, heat: 0, hotSince: null };
}

function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}
