/**
 * What became of a run. `done`: it ended with status 0, or was answered with a status below 400. `failed`: it did not.
 * `timeout`, `memory`: it was killed at a limit. `ended`: the service stopped, or an operator or a reload ended it.
 * `replaced`: the next run was due, with `overlap = "replace"`. `skipped`: the run before was not over. `missed`: its time
 * passed while nobody looked. `lost`: its daemon, or its host, died.
 */
export type JobVerdict =
  | 'done'
  | 'failed'
  | 'timeout'
  | 'memory'
  | 'ended'
  | 'replaced'
  | 'skipped'
  | 'missed'
  | 'lost';

export const jobVerdicts: readonly JobVerdict[] = [
  ...(['done', 'failed', 'timeout', 'memory', 'ended'] as const),
  ...(['replaced', 'skipped', 'missed', 'lost'] as const),
];

/** Verdicts that an operator is told of as an error. */
export const badVerdicts: ReadonlySet<JobVerdict> = new Set(['failed', 'timeout', 'memory', 'lost']);

/** One run of a job, as the history has it and the control API tells it. */
export interface JobRun {
  readonly id: string;
  readonly job: string;
  /** The due time that it is for, ms since 1970; null: somebody asked for it. */
  readonly dueMs: number | null;
  /** `schedule`, or the label of who asked for it. */
  readonly by: string;
  /** ms since 1970; of a run that never began, when that was decided. */
  readonly startedMs: number;
  /** null: it is not over. */
  readonly endedMs: number | null;
  readonly verdict: JobVerdict | null;
  /** Why, in words; null: the verdict says it all. */
  readonly reason: string | null;
  /** From 1; 0: it never began. */
  readonly attempts: number;
  /** Of the last attempt; null: it has none. */
  readonly exitCode: number | null;
  readonly signal: string | null;
  /** What it wrote, bytes, with what was not kept. */
  readonly outputBytes: number;
  /** Due times that this stands for beside its own; with `missed` the number that passed. */
  readonly missed: number;
}

/** A job as `rom-agent jobs` shows it. */
export interface JobStatus {
  readonly name: string;
  readonly schedule: string;
  readonly timezone: string | null;
  /** In a few words. */
  readonly work: string;
  readonly enabled: boolean;
  /** ms since 1970; null: never. */
  readonly nextMs: number | null;
  readonly running: readonly JobRun[];
  /** Runs that wait for it. */
  readonly queued: number;
  /** The last that is over. */
  readonly last: JobRun | null;
}

/** What anybody who reaches the service may know of a job: GET /api/scheduler/status. */
export interface PublicJob {
  readonly name: string;
  readonly schedule: string;
  readonly timezone: string | null;
  readonly enabled: boolean;
  /** ISO 8601, UTC; null: never. */
  readonly nextAt: string | null;
  readonly running: number;
  readonly queued: number;
  readonly lastVerdict: JobVerdict | null;
  readonly lastEndedAt: string | null;
  readonly lastTookMs: number | null;
}

/** What the metrics have of a job. */
export interface JobCounters {
  readonly name: string;
  /** Runs that are over, by verdict. */
  readonly verdicts: Readonly<Partial<Record<JobVerdict, number>>>;
  readonly missed: number;
  /** Of the runs that began and are over. */
  readonly secondsTotal: number;
  readonly lastSeconds: number | null;
  /** s since 1970 */
  readonly lastSuccessSeconds: number | null;
  readonly nextSeconds: number | null;
  readonly running: number;
}

/** What `POST /v1/jobs/{name}/run` and `GET /v1/jobs/{name}/log` send, line by line. */
export type JobLine =
  | { readonly type: 'run'; readonly run: JobRun }
  | { readonly type: 'output'; readonly stream: 'out' | 'err'; readonly text: string }
  /** The last line. */
  | { readonly type: 'ended'; readonly run: JobRun };
