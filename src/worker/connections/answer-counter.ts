import { bucketOf, emptyLatency } from '../../protocol/heartbeat.js';

/** Totals since the start of the process; see Beat. */
export interface AnswerCounts {
  readonly answers: number;
  readonly errors: number;
  readonly latency: readonly number[];
}

export interface AnswerCounter {
  count(status: number): void;
  /** @param took from the first lines of a request to the end of its answer, ms; it is taken for that of `weight` answers */
  time(took: number, weight: number): void;
  counts(): AnswerCounts;
}

/** Counts complete answers, failed ones, and how long those took that are timed. */
export function createAnswerCounter(): AnswerCounter {
  let answers = 0;
  let errors = 0;
  const latency = emptyLatency();
  return {
    count: (status) => {
      answers++;
      if (status >= 500) errors++;
    },
    time: (took, weight) => {
      const bucket = bucketOf(took);
      latency[bucket] = (latency[bucket] ?? 0) + weight;
    },
    counts: () => ({ answers, errors, latency: [...latency] }),
  };
}
