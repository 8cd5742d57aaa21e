import type { Millis } from './limits.js';
import type { Fingerprint, RequestNote } from './requests.js';

/** Why a worker could not start, or died. */
export interface Failure {
  readonly message: string;
  /** Exit status of the master where this failure ends it. */
  readonly exitCode: number;
  /** Number of the system's error, as for sd_notify(3) ERRNO=. */
  readonly errno?: number | undefined;
  readonly stack?: string | undefined;
  /** Each worker would fail of it, until the service is restarted; not a reason to end it while others serve. */
  readonly lasting?: boolean | undefined;
}

/** A worker's death that nobody asked for. */
export interface DeathRecord {
  readonly at: Millis;
  /** Number of the slot; null: a spare. */
  readonly worker: number | null;
  readonly pid: number | null;
  readonly generation: number;
  readonly kind: 'boot' | 'crash' | 'hang';
  readonly cause: string;
  readonly code: number | null;
  readonly signal: string | null;
  /** s since the fork */
  readonly uptimeSeconds: number;
  /** Requests in flight at its death. */
  readonly lost: number;
  /** Those that are known, as of its last word. */
  readonly requests: readonly RequestNote[];
  /** Processes that the kernel killed for memory in the cgroup meanwhile. */
  readonly oomKills: number;
  readonly stack: string | null;
}

/** A kind of request that was in flight when workers died. */
export interface PoisonRecord extends Fingerprint {
  /** When, within the window. */
  readonly deaths: readonly Millis[];
  /** Until when it is answered with 503; null: it is not. */
  readonly blockedUntil: Millis | null;
}
