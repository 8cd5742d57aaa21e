import type { Millis } from './model.js';

/**
 * Upper limits, ms, of the buckets in which the durations of answers are counted; what is slower is in one more. Each is
 * twice the one before: fine enough to see that something has become several times slower, and eighteen numbers a beat.
 */
export const latencyBuckets: readonly Millis[] = Array.from({ length: 17 }, (_, index) => 2 ** index);

export const longestBucket: Millis = 2 ** 16;

export function bucketOf(duration: Millis): number {
  return duration <= 1 ? 0 : Math.min(latencyBuckets.length, Math.ceil(Math.log2(duration)));
}

export function emptyLatency(): number[] {
  return new Array<number>(latencyBuckets.length + 1).fill(0);
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
