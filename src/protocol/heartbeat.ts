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
  readonly rssBytes: number;
  readonly heapUsedBytes: number;
  /** What V8 lets the heap grow to, bytes. */
  readonly heapLimitBytes: number;
  readonly eventLoopDelayMs: Millis;
  readonly eventLoopUtilization: number;
  /** Requests in flight: the oldest and the newest, oldest first. */
  readonly current: readonly RequestNote[];
  /** Some of those that began since the last heartbeat. */
  readonly begun?: readonly Pick<RequestNote, 'method' | 'path'>[];
  /** What `health.check` came to; missing where it is not set, or was not answered yet. */
  readonly check?: CheckReport | undefined;
  /** Requests that were answered with 503 without the app; missing where `[shed]` is off. */
  readonly shed?: ShedReport | undefined;
  /** The shortest of the app's servers: for how long they keep idle connections; missing where no server has one. */
  readonly keepAliveTimeoutMs?: Millis | undefined;
}

/** What was answered, and how. */
export interface Served extends Pick<Heartbeat, 'answers' | 'errors' | 'latency'> {
  /** Requests that were answered with 503 without the app. */
  readonly shed: number;
}

export interface ShedReport {
  /** Since the worker's start. */
  readonly requests: number;
  /** Why the last one was: the worker was behind by more than `shed.event_loop_delay`, or had `shed.in_flight` requests. */
  readonly why: 'late' | 'full';
}

export interface CheckReport {
  /** In a row; 0: the last request was answered well. */
  readonly failures: number;
  /** What was wrong with the last answer; null where nothing was. */
  readonly failure: string | null;
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
