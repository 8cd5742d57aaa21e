import type { Decision, Look } from '../../../src/core/autoscale.js';
import { random } from '../../../src/core/backoff.js';
import type { Rules } from '../../../src/core/scaling.js';
import type { Trend } from '../../../src/core/scaling-state.js';

export type Follow = (trend: Trend, look: Look, rules: Rules) => readonly [Trend, Decision | null];

/** A load, in workers' worth of busy event loops, so many seconds after midnight. */
export type Demand = (second: number, random: () => number) => number;

export interface Course {
  readonly follow: Follow;
  readonly freshTrend: Trend;
  readonly demand: Demand;
  readonly rules: Rules;
  readonly seconds: number;
  readonly seed: number;
}

export interface Change {
  /** s */
  readonly at: number;
  readonly from: number;
  readonly to: number;
  readonly why: string;
}

export interface Report {
  readonly changes: readonly Change[];
  /** Workers at each second. */
  readonly workers: readonly number[];
  /** Share of the time in which the loops had no rest though there could be more workers. */
  readonly overloaded: number;
  /** Workers' worth of time, over that which `target` would have needed at each second. */
  readonly excess: number;
  /** Times that a worker was given up and another one was wanted within `downAfter`. */
  readonly reversals: number;
  /** The shortest time from more workers to fewer, s. */
  readonly soonest: number;
}

/** From the decision until the first look at the new workers: their boot, and a second of service. */
const boot = 3;
/** Connections that one worker accepts in a second. */
const rate = 400;
/** What the kernel lets wait. */
const backlog = 511;

/** A service under a load, as the policy sees it, a look a second. The same seed gives the same course. */
export function course({ follow, freshTrend, demand, rules, seconds, seed }: Course): Report {
  let state = seed;
  const next = (): number => {
    const [value, after] = random(state);
    state = after;
    return value;
  };
  let [trend, workers, ready, busyUntil] = [freshTrend, rules.min, rules.min, 0];
  let [waiting, overloaded, spent, ideal] = [0, 0, 0, 0];
  const changes: Change[] = [];
  const counts: number[] = [];
  for (let second = 1; second <= seconds; second++) {
    const wanted = Math.max(0, demand(second, next));
    if (second >= busyUntil) ready = workers;
    const arrived = wanted * rate;
    const accepted = Math.min(ready * rate, waiting + arrived);
    waiting = Math.min(backlog, waiting + arrived - accepted);
    const utilization = Math.min(1, accepted / rate / ready);
    if (utilization >= 0.95 && workers < rules.max) overloaded++;
    spent += workers;
    ideal += Math.min(rules.max, Math.max(rules.min, Math.ceil(wanted / rules.target)));
    counts.push(workers);
    if (second < busyUntil) continue;
    const look: Look = { now: second * 1_000, workers, utilization, waiting: Math.floor(waiting), accepted };
    const [after, decision] = follow(trend, look, rules);
    trend = after;
    if (decision === null) continue;
    changes.push({ at: second, from: workers, ...decision });
    if (decision.to > workers) busyUntil = second + boot;
    else ready = decision.to;
    workers = decision.to;
  }
  const reversals = changes.filter((change, index) => {
    const before = changes[index - 1];
    const isBack = before !== undefined && before.to < before.from && change.to > change.from;
    return isBack && (change.at - before.at) * 1_000 < rules.downAfter;
  }).length;
  return {
    changes,
    workers: counts,
    overloaded: overloaded / seconds,
    excess: spent / ideal,
    reversals,
    soonest: soonestOf(changes),
  };
}

function soonestOf(changes: readonly Change[]): number {
  let [soonest, lastUp] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const { at, from, to } of changes) {
    if (to > from) lastUp = at;
    else soonest = Math.min(soonest, at - lastUp);
  }
  return soonest;
}

const day = 86_400;

/**
 * A day of a web service: hardly anything at night, most of it at noon and in the evening, with minutes that are busier and
 * quieter than their hour, a noise of a fifth from second to second, and a handful of rushes that come within a second.
 */
export function dayOf(peak: number, seed: number): Demand {
  let state = seed ^ 0x5bd1e995;
  const next = (): number => {
    const [value, after] = random(state);
    state = after;
    return value;
  };
  const rushes = Array.from({ length: 6 }, () => ({
    from: next() * day,
    seconds: 60 + next() * 900,
    factor: 1.5 + next(),
  }));
  const minutes = Array.from({ length: day / 60 + 2 }, () => 0.85 + 0.3 * next());
  return (second, random) => {
    const hour = (second / 3_600) % 24;
    const noon = Math.exp(-(((hour - 12.5) / 3) ** 2));
    const evening = 0.8 * Math.exp(-(((hour - 20) / 2) ** 2));
    const base = peak * (0.06 + 0.94 * Math.min(1, noon + evening));
    const [minute, part] = [Math.floor(second / 60), (second % 60) / 60];
    const drift = (minutes[minute] ?? 1) * (1 - part) + (minutes[minute + 1] ?? 1) * part;
    const rush = rushes.find(({ from, seconds }) => second >= from && second < from + seconds);
    return base * drift * (rush?.factor ?? 1) * (0.8 + 0.4 * random());
  };
}

export interface Policy {
  readonly follow: Follow;
  readonly freshTrend: Trend;
}

const minutes = 60_000;
export const usual: Rules = { min: 2, max: 8, target: 0.7, downAfter: 5 * minutes };

/** What is wrong with how the policy follows a day of load. */
export function checkedDay(policy: Policy, seed: number): readonly string[] {
  const { changes, workers, overloaded, excess, reversals, soonest } = course({
    ...policy,
    demand: dayOf(4.5, seed),
    rules: usual,
    seconds: day,
    seed,
  });
  const perHour = Array.from(
    { length: 24 },
    (_, hour) => changes.filter(({ at }) => Math.floor(at / 3_600) === hour).length,
  );
  return [
    ...above('changes in an hour', Math.max(...perHour), 10),
    ...above('changes in the day', changes.length, 60),
    ...above('of the time without rest', overloaded, 0.001),
    ...above('times the workers that were needed', excess, 1.3),
    ...above('times back and forth', reversals, 4),
    ...above('s less than down_after until there are fewer', usual.downAfter / 1_000 - soonest, 0),
    ...above('workers at most', Math.max(...workers), usual.max),
    ...above('workers missing', usual.min - Math.min(...workers), 0),
  ];
}

/** What is wrong with how the policy follows a day and some courses that are made to confuse it. */
export function checked(policy: Policy, seeds: readonly number[] = [1, 2, 3]): readonly string[] {
  const late = (
    demand: Demand,
    { from, to, max = usual.max }: { from: number; to: number; max?: number },
  ): number =>
    course({ ...policy, demand, rules: { ...usual, max }, seconds: to, seed: 1 }).changes.filter(
      ({ at }) => at > from,
    ).length;
  const step = course({
    ...policy,
    demand: (second) => (second < 60 ? 0.5 : 5),
    rules: usual,
    seconds: 120,
    seed: 1,
  });
  const served = step.workers.findIndex((workers) => workers >= 7) - 60;
  const levels = Array.from({ length: 55 }, (_, tenths) =>
    late(() => (tenths + 1) / 10, { from: 1_800, to: 7_200 }),
  );
  return [
    ...seeds.flatMap((seed) => checkedDay(policy, seed)),
    ...above(
      'changes by a load that comes and goes every seven minutes',
      late((second) => (second % 840 < 420 ? 4 : 0.5), { from: 10_800, to: 21_600 }),
      6,
    ),
    ...above(
      'changes by a second of work now and then',
      late((second) => (second % 20 === 0 ? 8 : 0.4), { from: 0, to: day / 4 }),
      0,
    ),
    ...above('changes by loads that stay', Math.max(...levels), 0),
    ...above('s until a step is followed', served < 0 ? 60 : served, 5),
  ];
}

function above(what: string, value: number, most: number): readonly string[] {
  return value <= most ? [] : [`${Math.round(value * 1_000) / 1_000} ${what}, at most ${most}`];
}
