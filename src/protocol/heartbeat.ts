import type { Millis } from './limits.js';
import type { RequestNote } from './requests.js';

/** What a worker reports every second. Counters are totals since the worker's start. */
export interface Heartbeat {
  readonly requests: number;
  readonly inFlight: number;
  readonly connections: number;
  /** Connections since the worker's start, those that are closed included. */
  readonly accepted: number;
  /** Open connections that could be handed on: plain HTTP/1, at least one request answered, and kept; null: none can be handed on here. */
  readonly kept: number | null;
  /** Answers that are complete, and how many of them had a status of 500 or more. */
  readonly answers: number;
  readonly errors: number;
  /** Answers by how long they took: see latencyBuckets. Of many only some are timed, and counted for the others. */
  readonly latency: readonly number[];
  /** Bytes written to clients; while it grows, a drain makes progress. */
  readonly bytesWritten: number;
  readonly rss: number;
  readonly heapUsed: number;
  /** What V8 lets the heap grow to, bytes. */
  readonly heapLimit: number;
  readonly eventLoopDelay: Millis;
  readonly eventLoopUtilization: number;
  /** Requests in flight: the oldest and the newest, oldest first. */
  readonly current: readonly RequestNote[];
  /** Some of those that began since the last heartbeat. */
  readonly begun?: readonly Pick<RequestNote, 'method' | 'path'>[];
}

/**
 * Upper limits, ms, of the buckets in which the durations of answers are counted; what is slower is in one more. Each
 * is twice the one before, which shows that something has become several times slower. A heartbeat has eighteen counts.
 */
export const latencyBuckets: readonly Millis[] = Array.from({ length: 17 }, (_, index) => 2 ** index);

export const longestBucket: Millis = 2 ** 16;

export function bucketOf(duration: Millis): number {
  return duration <= 1 ? 0 : Math.min(latencyBuckets.length, Math.ceil(Math.log2(duration)));
}

export function emptyLatency(): number[] {
  return new Array<number>(latencyBuckets.length + 1).fill(0);
}
