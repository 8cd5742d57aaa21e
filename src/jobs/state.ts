import type { JobRun, JobVerdict } from '../protocol/jobs.js';
import type { Millis } from '../protocol/limits.js';
import type { JobConfig } from '../settings/jobs.js';
import type { Due } from './dispatch.js';
import type { Calendar } from './due.js';

/** Two clocks: due times are of the wall, limits of runs must not follow a clock that is set. */
export interface Now {
  /** ms since 1970 */
  readonly wallMs: number;
  /** The monotonic clock. */
  readonly ms: Millis;
}

export interface JobsState {
  readonly jobs: readonly JobState[];
  /** Those that are not over, in the order of their arrival. */
  readonly runs: readonly Run[];
  /** null: the service goes on. */
  readonly stop: Stop | null;
  /** Of the next random number. */
  readonly seed: number;
}

export interface JobState {
  readonly config: JobConfig;
  /** The last due time that was handed on or given up; at first the moment at which the job was first seen. */
  readonly handledMs: number;
  /** null: never, or the job is not enabled. */
  readonly next: { readonly dueMs: number /** With its jitter. */; readonly atMs: number } | null;
  /** Due times that could not be handed on, and when that is tried again. */
  readonly failed: readonly { readonly due: Due; readonly againAt: Millis }[];
}

export interface Run {
  readonly id: string;
  /** By the rules of the moment at which it began. */
  readonly config: JobConfig;
  readonly due: Due | null;
  readonly by: string;
  /** ms since 1970 */
  readonly startedMs: number;
  /** Attempts that have begun. */
  readonly attempts: number;
  readonly phase: RunPhase;
}

export type RunPhase =
  | { readonly name: 'queued' }
  /** `endAt`: its timeout; null: none. */
  | { readonly name: 'running'; readonly endAt: Millis | null }
  /** It got SIGTERM; `killAt` null: and SIGKILL. */
  | {
      readonly name: 'ending';
      readonly verdict: JobVerdict;
      readonly reason: string;
      readonly killAt: Millis | null;
    }
  /** The next attempt waits. */
  | { readonly name: 'backoff'; readonly until: Millis };

export interface Stop {
  /** When runs that were waited for get SIGTERM. */
  readonly endAt: Millis;
  /** When all that is left gets SIGKILL. */
  readonly killAt: Millis;
}

export type JobsEvent =
  /** The jobs of the configuration, at the start and after a reload. */
  | {
      readonly type: 'configure';
      readonly jobs: readonly JobConfig[];
      /** What is on disk, by job, for those that are not known yet; without: the job is new. */
      readonly handled: Readonly<Record<string, number>>;
    }
  /** Time has passed, or the clock was set. */
  | { readonly type: 'tick' }
  /** A due time that the dispatch gave back to this host, or a wish of an operator (`due` null). */
  | {
      readonly type: 'run';
      readonly id: string;
      readonly job: string;
      readonly due: Due | null;
      readonly by: string;
    }
  /** Another host has a later due time of the job (`overlap = "replace"`): the run of this one makes room. */
  | { readonly type: 'replace'; readonly due: Pick<Due, 'job' | 'dueMs'>; readonly byMs: number }
  | { readonly type: 'not-handed'; readonly due: Due; readonly error: string }
  /** The processes of a run have ended. */
  | { readonly type: 'exited'; readonly id: string; readonly ending: Ending }
  /** @see Stop; `within`: how long all of it may take */
  | { readonly type: 'stop'; readonly within: Millis };

export interface Ending {
  readonly code: number | null;
  readonly signal: string | null;
  /** It was killed for its memory. */
  readonly outOfMemory: boolean;
  /** Why it never began; null: it did. */
  readonly notStarted: string | null;
  readonly outputBytes: number;
}

export type JobsEffect =
  /** Hands a due time to the dispatch. */
  | { readonly type: 'hand-on'; readonly due: Due }
  /** Notes on disk up to which time the job's due times are handled. */
  | { readonly type: 'handled'; readonly config: JobConfig; readonly untilMs: number }
  /** Forgets on disk that due times later than this were handled. */
  | { readonly type: 'unhandled'; readonly job: string; readonly afterMs: number }
  /** The job has left the configuration: forgets what was handled of it. */
  | { readonly type: 'forget'; readonly job: string }
  | {
      readonly type: 'start';
      readonly id: string;
      readonly config: JobConfig;
      readonly due: Due | null;
      readonly attempt: number;
      readonly run: JobRun;
    }
  | { readonly type: 'signal'; readonly id: string; readonly signal: 'SIGTERM' | 'SIGKILL' }
  /** A run is over, or never began. */
  | { readonly type: 'over'; readonly run: JobRun }
  | {
      readonly type: 'log';
      readonly level: 'info' | 'warn' | 'error';
      readonly message: string;
      readonly fields: Readonly<Record<string, unknown>>;
    };

/** The due times of a job. */
export type CalendarFor = (config: JobConfig) => Calendar;
