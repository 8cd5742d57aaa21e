/** Samples of the last hour as columns for the charts, bounded; nothing here knows the DOM. */
import type { Sample } from '../api.js';

/** What is drawn over time. */
export const columns = [
  'requestsPerSecond',
  'errorsPerSecond',
  'p50',
  'p90',
  'p99',
  'eventLoopUtilization',
  'eventLoopDelayMs',
  'rssBytes',
  'heapUsedBytes',
  'largestHeapBytes',
  'inFlight',
  'restarts',
] as const;

export type Column = (typeof columns)[number];
type Value = number | null;

const keptMs = 3_600_000;
/** A hole in the samples that is longer is drawn as one. */
const gapMs = 25_000;

export class Series {
  /** s since 1970, as uPlot has its times. */
  readonly times: number[] = [];
  readonly #values: Record<Column, Value[]>;

  constructor() {
    this.#values = Object.fromEntries(columns.map((name) => [name, [] as Value[]])) as Record<
      Column,
      Value[]
    >;
  }

  get length(): number {
    return this.times.length;
  }

  reset(samples: readonly Sample[]): void {
    this.times.length = 0;
    for (const name of columns) this.#values[name].length = 0;
    for (const sample of samples) this.add(sample);
  }

  /** One that is not newer than the last is left out. */
  add(sample: Sample): void {
    const time = sample.atMs / 1_000;
    const last = this.times.at(-1);
    if (last !== undefined && time <= last) return;
    if (last !== undefined && (time - last) * 1_000 > gapMs) {
      this.times.push(last + 1);
      for (const name of columns) this.#values[name].push(null);
    }
    this.times.push(time);
    const { latencyMs, workers } = sample;
    const row: Record<Column, Value> = {
      requestsPerSecond: sample.requestsPerSecond,
      errorsPerSecond: sample.errorsPerSecond,
      p50: latencyMs?.p50 ?? null,
      p90: latencyMs?.p90 ?? null,
      p99: latencyMs?.p99 ?? null,
      eventLoopUtilization: sample.eventLoopUtilization,
      eventLoopDelayMs: sample.eventLoopDelayMs,
      rssBytes: sample.rssBytes,
      heapUsedBytes: sample.heapUsedBytes,
      largestHeapBytes:
        workers.length === 0 ? null : Math.max(...workers.map((worker) => worker.heapUsedBytes)),
      inFlight: sample.inFlight,
      restarts: sample.restarts,
    };
    for (const name of columns) this.#values[name].push(row[name]);
    this.#forget(time);
  }

  column(name: Column): readonly Value[] {
    return this.#values[name];
  }

  /** The last value; null: there is none. */
  last(name: Column): Value {
    return this.#values[name].at(-1) ?? null;
  }

  /** Mean of what came in the last so many ms; null: nothing. */
  mean(name: Column, overMs: number): Value {
    const since = (this.times.at(-1) ?? 0) - overMs / 1_000;
    const values: number[] = [];
    for (let at = this.times.length - 1; at >= 0 && (this.times[at] ?? 0) > since; at--) {
      const value = this.#values[name][at];
      if (value !== null && value !== undefined) values.push(value);
    }
    return values.length === 0 ? null : values.reduce((sum, value) => sum + value, 0) / values.length;
  }

  /** The greatest since a time, s; null: nothing. */
  greatest(name: Column, since: number): Value {
    let most: Value = null;
    for (let at = this.times.length - 1; at >= 0 && (this.times[at] ?? 0) >= since; at--) {
      const value = this.#values[name][at] ?? null;
      if (value !== null && (most === null || value > most)) most = value;
    }
    return most;
  }

  /** A few at a time, so that arrays are not moved each second. */
  #forget(now: number): void {
    const oldest = now - keptMs / 1_000;
    if ((this.times[0] ?? now) > oldest - 60) return;
    const first = this.times.findIndex((time) => time >= oldest);
    this.times.splice(0, first);
    for (const name of columns) this.#values[name].splice(0, first);
  }
}
