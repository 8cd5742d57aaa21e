/** What the control API says of the queues of apps. */
export interface QueuesAnswer {
  /** null: no app has asked for the backplane yet, and there is none from before. */
  readonly engine: {
    readonly kind: 'embedded' | 'redis';
    readonly connected: boolean;
    readonly lostAtMs?: number | undefined;
  } | null;
  readonly queues: readonly QueueSummary[];
}

/** Queues that the metrics tell apart; what comes after them by name is summed up. */
export const countedQueues = 100;

export interface QueueSummary {
  readonly name: string;
  readonly waiting: number;
  readonly delayed: number;
  readonly active: number;
  readonly completed: number;
  readonly failed: number;
}

export interface FailedJobsAnswer {
  readonly jobs: readonly {
    readonly id: string;
    readonly name: string | null;
    readonly data?: unknown;
    readonly attempts: number;
    readonly failedAtMs: number;
    readonly error: string;
  }[];
}

/** Of the failed jobs of a queue that one answer has, unless it asks for fewer. */
export const mostFailedJobs = 1_000;
export const usualFailedJobs = 20;
