import type { WorkerKey } from '../protocol/messages.js';
import {
  type AppRegistry,
  type Distribution,
  type GcKind,
  gcKinds,
  otherRoute,
  pauseLimits,
  type RouteCounts,
  type SlotCounters,
  type WorkerCounters,
  type WorkerMetrics,
} from '../protocol/metrics.js';

/**
 * Adds up what the workers count, those that are gone included: a sum never goes back when a worker is replaced. Of a worker
 * that ended without a last word, what it counted after its last answer is lost.
 */
export interface ClusterTotals {
  /** @param worker number of its slot; null: a spare. @param at ms of a monotonic clock */
  heard(
    key: WorkerKey,
    answer: { readonly worker: number | null; readonly metrics: WorkerMetrics; readonly at: number },
  ): void;
  /** The worker has exited. */
  gone(key: WorkerKey): void;
  /** What a worker answered last, and when; undefined: nothing yet. */
  latest(key: WorkerKey): { readonly metrics: WorkerMetrics; readonly at: number } | undefined;
  totals(): Totals;
  /** The app's metrics of workers that are gone, since the last call. */
  takeGoneApps(): readonly AppRegistry[];
}

export interface Totals {
  readonly slots: readonly SlotCounters[];
  readonly routes: readonly RouteCounts[];
  readonly delays: Distribution;
  readonly gc: WorkerMetrics['gc'];
}

/** Classes of routes of the whole service. The first ones keep their place for ever, all others are `other`. */
export const mostRoutesOfService = 128;

interface Answer {
  readonly worker: number | null;
  readonly metrics: WorkerMetrics;
  readonly at: number;
}

export function createClusterTotals(): ClusterTotals {
  const answers = new Map<WorkerKey, Answer>();
  const routesWithPlace = new Set<string>();
  let gone: Totals = { slots: [], routes: [], delays: emptyDistribution(), gc: {} };
  let goneApps: AppRegistry[] = [];

  return {
    heard: (key, answer) => {
      for (const { route } of answer.metrics.routes)
        if (routesWithPlace.size < mostRoutesOfService) routesWithPlace.add(route);
      // Its last word is without the app's metrics: those take time.
      const app = answer.metrics.app ?? answers.get(key)?.metrics.app ?? null;
      answers.set(key, { ...answer, metrics: { ...answer.metrics, app } });
    },
    gone: (key) => {
      const answer = answers.get(key);
      if (answer === undefined) return;
      answers.delete(key);
      gone = sum([gone, totalsOf(answer, routesWithPlace)]);
      if (answer.metrics.app !== null) goneApps.push(answer.metrics.app);
    },
    latest: (key) => answers.get(key),
    totals: () => sum([gone, ...[...answers.values()].map((answer) => totalsOf(answer, routesWithPlace))]),
    takeGoneApps: () => {
      const taken = goneApps;
      goneApps = [];
      return taken;
    },
  };
}

/** Of one worker; a spare has no slot to count for yet. */
function totalsOf({ worker, metrics }: Answer, places: ReadonlySet<string>): Totals {
  const { counters, routes, delays, gc } = metrics;
  return {
    slots: worker === null ? [] : [{ worker, ...counters }],
    routes: routes.map((each) => (places.has(each.route) ? each : { ...each, route: otherRoute })),
    delays,
    gc,
  };
}

function sum(all: readonly Totals[]): Totals {
  return {
    slots: sumBy(
      all.flatMap(({ slots }) => slots),
      ({ worker }) => worker,
      (a, b) => ({ ...addCounters(a, b), worker: a.worker }),
    ).sort((a, b) => a.worker - b.worker),
    routes: sumBy(
      all.flatMap(({ routes }) => routes),
      ({ route }) => route,
      (a, b) => ({
        route: a.route,
        answers: addNumbers(a.answers, b.answers),
        durations: addDistributions(a.durations, b.durations),
      }),
    ),
    delays: all.map(({ delays }) => delays).reduce(addDistributions),
    gc: sumGc(all.map(({ gc }) => gc)),
  };
}

function sumBy<Item>(
  items: readonly Item[],
  keyOf: (item: Item) => unknown,
  add: (a: Item, b: Item) => Item,
): Item[] {
  const sums = new Map<unknown, Item>();
  for (const item of items) {
    const before = sums.get(keyOf(item));
    sums.set(keyOf(item), before === undefined ? item : add(before, item));
  }
  return [...sums.values()];
}

function addCounters(a: WorkerCounters, b: WorkerCounters): WorkerCounters {
  return {
    requests: a.requests + b.requests,
    accepted: a.accepted + b.accepted,
    shed: a.shed + b.shed,
    cpuSeconds: a.cpuSeconds + b.cpuSeconds,
    loopActiveSeconds: a.loopActiveSeconds + b.loopActiveSeconds,
    loopIdleSeconds: a.loopIdleSeconds + b.loopIdleSeconds,
  };
}

function addNumbers(
  a: Readonly<Record<string, number>>,
  b: Readonly<Record<string, number>>,
): Record<string, number> {
  const sums = { ...a };
  for (const [name, value] of Object.entries(b)) sums[name] = (sums[name] ?? 0) + value;
  return sums;
}

function addDistributions(a: Distribution, b: Distribution): Distribution {
  const length = Math.max(a.counts.length, b.counts.length);
  return {
    counts: Array.from({ length }, (_, index) => (a.counts[index] ?? 0) + (b.counts[index] ?? 0)),
    sumSeconds: a.sumSeconds + b.sumSeconds,
  };
}

function sumGc(all: readonly WorkerMetrics['gc'][]): WorkerMetrics['gc'] {
  const sums: Partial<Record<GcKind, Distribution>> = {};
  for (const kind of gcKinds) {
    const present = all.flatMap((gc) => gc[kind] ?? []);
    if (present.length > 0) sums[kind] = present.reduce(addDistributions);
  }
  return sums;
}

function emptyDistribution(): Distribution {
  return { counts: new Array<number>(pauseLimits.length + 1).fill(0), sumSeconds: 0 };
}
