import { bucketOf, emptyLatency } from '../core/latency.js';

/** Totals since the start of the process; see Beat. */
export interface AnswerCounts {
  readonly answers: number;
  readonly errors: number;
  readonly latency: readonly number[];
}

export interface AnswerCounter {
  /** @param took from the first lines of the request to the end of the answer, ms */
  count(status: number, took: number): void;
  counts(): AnswerCounts;
}

/** Counts complete answers, failed ones and how long they took. */
export function createAnswerCounter(): AnswerCounter {
  let answers = 0;
  let errors = 0;
  const latency = emptyLatency();
  return {
    count: (status, took) => {
      answers++;
      if (status >= 500) errors++;
      const bucket = bucketOf(took);
      latency[bucket] = (latency[bucket] ?? 0) + 1;
    },
    counts: () => ({ answers, errors, latency: [...latency] }),
  };
}
