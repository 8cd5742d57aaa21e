import type { ServerResponse } from 'node:http';
import { bucketOf, emptyLatency } from '../core/latency.js';

/** Totals since the start of the process; see Beat. */
export interface AnswerCounts {
  readonly answers: number;
  readonly errors: number;
  readonly latency: readonly number[];
}

export interface AnswerCounter {
  begin(response: ServerResponse): void;
  /** At its 'close', which comes for one that was cut off too. */
  end(response: ServerResponse): void;
  counts(): AnswerCounts;
}

/** Counts complete answers, failed ones and how long they took from the first line of the request on. */
export function createAnswerCounter(now: () => number = () => performance.now()): AnswerCounter {
  let answers = 0;
  let errors = 0;
  const latency = emptyLatency();
  return {
    begin: (response: Timed) => {
      response[begunAt] = now();
    },
    end: (response: Timed) => {
      if (!response.writableFinished) return;
      answers++;
      if (response.statusCode >= 500) errors++;
      const bucket = bucketOf(now() - (response[begunAt] ?? now()));
      latency[bucket] = (latency[bucket] ?? 0) + 1;
    },
    counts: () => ({ answers, errors, latency: [...latency] }),
  };
}

type Timed = ServerResponse & { [begunAt]?: number };
const begunAt = Symbol('begun at');
