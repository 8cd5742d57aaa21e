import { durationLimits, type MetricsSnapshot } from '../protocol/metrics.js';
import type { ClusterStats } from '../protocol/stats.js';
import type { Sample, WorkerSample } from './api.js';

/** What the service did in the last hour: see AdminState.samples. */
export interface Samples {
  list(): readonly Sample[];
  /** @param metrics null: not asked, or not answered */
  add(stats: ClusterStats, metrics: MetricsSnapshot | null, atMs: number): Sample;
}

const second = 1_000;
/** For so long each sample is kept as it is. */
const fineMs = 300 * second;
/** Older ones are made into one for each such span. */
const coarseMs = 10 * second;
const wholeMs = 3_600 * second;
const mostWorkersDetailed = 16;
/** A span that is longer than that has no latency: it would be of another time. */
const longestSpanMs = 30 * second;

export function createSamples(): Samples {
  let fine: Sample[] = [];
  let coarse: Sample[] = [];
  let before: MetricsSnapshot | null = null;

  const age = (nowMs: number): void => {
    const old = fine.filter(({ atMs }) => atMs <= nowMs - fineMs);
    if (old.length === 0) return;
    // Only spans that are over, so that each becomes one sample.
    const lastSpan = spanOf(nowMs - fineMs);
    const over = old.filter(({ atMs }) => spanOf(atMs) < lastSpan);
    if (over.length === 0) return;
    fine = fine.slice(over.length);
    coarse.push(...bySpan(over).map(merged));
    coarse = coarse.filter(({ atMs }) => atMs > nowMs - wholeMs);
  };
  return {
    list: () => [...coarse, ...fine],
    add: (stats, metrics, atMs) => {
      const sample = sampleOf(stats, atMs, latencyBetween(before, metrics));
      before = metrics;
      // A clock that was set back.
      if ((fine.at(-1)?.atMs ?? 0) > atMs) [fine, coarse] = [[], []];
      fine.push(sample);
      age(atMs);
      return sample;
    },
  };
}

function spanOf(atMs: number): number {
  return Math.floor(atMs / coarseMs);
}

function bySpan(samples: readonly Sample[]): readonly (readonly Sample[])[] {
  const spans = new Map<number, Sample[]>();
  for (const sample of samples) {
    const span = spanOf(sample.atMs);
    const others = spans.get(span);
    if (others === undefined) spans.set(span, [sample]);
    else others.push(sample);
  }
  return [...spans.values()];
}

function merged(samples: readonly Sample[]): Sample {
  const last = samples.at(-1);
  if (last === undefined) throw new Error('a span without samples');
  const mean = (of: (sample: Sample) => number): number => meanOf(samples.map(of));
  const most = (of: (sample: Sample) => number): number => Math.max(...samples.map(of));
  const latencies = samples.flatMap(({ latencyMs }) => (latencyMs === null ? [] : [latencyMs]));
  const slowest = (key: 'p50' | 'p90' | 'p99'): number => Math.max(...latencies.map((each) => each[key]));
  const errors = samples.flatMap(({ errorsPerSecond }) =>
    errorsPerSecond === null ? [] : [errorsPerSecond],
  );
  return {
    ...last,
    requestsPerSecond: mean(({ requestsPerSecond }) => requestsPerSecond),
    errorsPerSecond: errors.length === 0 ? null : meanOf(errors),
    inFlight: most(({ inFlight }) => inFlight),
    latencyMs:
      latencies.length === 0 ? null : { p50: slowest('p50'), p90: slowest('p90'), p99: slowest('p99') },
    eventLoopUtilization: mean(({ eventLoopUtilization }) => eventLoopUtilization),
    eventLoopDelayMs: most(({ eventLoopDelayMs }) => eventLoopDelayMs),
    workers: last.workers.length > mostWorkersDetailed ? [] : last.workers,
  };
}

type Answers = Pick<Sample, 'latencyMs' | 'errorsPerSecond'>;

function sampleOf(stats: ClusterStats, atMs: number, answers: Answers): Sample {
  const workers = stats.workers.map(
    (worker): WorkerSample => ({
      id: worker.id,
      pid: worker.pid,
      requestsPerSecond: worker.requestsPerSecond,
      inFlight: worker.inFlight,
      eventLoopUtilization: worker.eventLoopUtilization,
      eventLoopDelayMs: worker.eventLoopDelayMs,
      rssBytes: worker.rssBytes,
      heapUsedBytes: worker.heapUsedBytes,
    }),
  );
  const serving = stats.workers.filter(({ phase }) => phase === 'ready');
  const sum = (of: (worker: WorkerSample) => number): number =>
    workers.reduce((all, worker) => all + of(worker), 0);
  return {
    atMs,
    ready: stats.ready,
    wanted: stats.wanted,
    requestsPerSecond: stats.requestsPerSecond,
    inFlight: stats.inFlight,
    ...answers,
    eventLoopUtilization:
      serving.length === 0 ? 0 : meanOf(serving.map((worker) => worker.eventLoopUtilization)),
    eventLoopDelayMs: Math.max(0, ...serving.map(({ eventLoopDelayMs }) => eventLoopDelayMs)),
    rssBytes: stats.master.rssBytes + sum(({ rssBytes }) => rssBytes),
    heapUsedBytes: sum(({ heapUsedBytes }) => heapUsedBytes),
    restarts: stats.restarts,
    workers,
  };
}

const unknown: Answers = { latencyMs: null, errorsPerSecond: null };

/** What was answered between two snapshots; the counters of another master begin anew. */
export function latencyBetween(before: MetricsSnapshot | null, after: MetricsSnapshot | null): Answers {
  if (before === null || after === null || before.master.pid !== after.master.pid) return unknown;
  const spanMs = after.at - before.at;
  if (spanMs <= 0 || spanMs > longestSpanMs) return unknown;
  const counts = durationLimits.map(() => 0);
  counts.push(0);
  let errors = 0;
  for (const [sign, { routes }] of [
    [-1, before],
    [1, after],
  ] as const) {
    for (const { durations, answers } of routes) {
      durations.counts.forEach((count, index) => {
        counts[index] = (counts[index] ?? 0) + sign * count;
      });
      for (const [kind, count] of Object.entries(answers)) if (kind.endsWith('5xx')) errors += sign * count;
    }
  }
  const errorsPerSecond = rounded((Math.max(0, errors) * second) / spanMs);
  const total = counts.reduce((sum, count) => sum + Math.max(0, count), 0);
  if (total === 0) return { latencyMs: null, errorsPerSecond };
  const at = (share: number): number => percentile(counts, share * total);
  return { latencyMs: { p50: at(0.5), p90: at(0.9), p99: at(0.99) }, errorsPerSecond };
}

/** In the bucket as if the values lay evenly in it, ms; what is slower than all limits counts as the highest. */
function percentile(counts: readonly number[], rank: number): number {
  let seen = 0;
  let low = 0;
  for (const [index, limit] of durationLimits.entries()) {
    const count = Math.max(0, counts[index] ?? 0);
    if (count > 0 && seen + count >= rank)
      return rounded((low + (limit - low) * ((rank - seen) / count)) * 1_000);
    seen += count;
    low = limit;
  }
  return low * 1_000;
}

function meanOf(values: readonly number[]): number {
  return rounded(values.reduce((sum, value) => sum + value, 0) / values.length);
}

function rounded(value: number): number {
  return Math.round(value * 1_000) / 1_000;
}
