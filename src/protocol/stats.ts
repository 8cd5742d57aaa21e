import type { DeathRecord, PoisonRecord } from './death-record.js';
import type { DeploySummary } from './deploy.js';
import type { PublicJob } from './jobs.js';
import type { Leak } from './leak.js';
import type { Millis } from './limits.js';
import type { ReloadRecord, ReloadSummary } from './reload-record.js';
import type { RouteCosts } from './route-cost.js';
import type { StallRecord } from './stall.js';

/**
 * How a worker does. `healthy`: it answers in time; `degraded`: its event loop is late, or a heartbeat is overdue;
 * `unhealthy`: over a limit, and to be replaced while it still serves; `unresponsive`: silent for longer than the hang
 * limit.
 */
export type Health = 'healthy' | 'degraded' | 'unhealthy' | 'unresponsive';

/** The master's view of the whole service. Times are whole seconds. */
export interface ClusterStats {
  readonly status: 'starting' | 'serving' | 'stopping';
  /** Whether the app is a server, or a process without a listener. */
  readonly kind: 'server' | 'process';
  readonly mode: string;
  readonly generation: number;
  /** Wanted and ready numbers of workers; while one is replaced, it and the next count as one. */
  readonly wanted: number;
  readonly ready: number;
  /** Restarts of workers since the master started. */
  readonly restarts: number;
  /** Requests since the master started, those of workers that are gone included. */
  readonly requests: number;
  /** Over the last one to two seconds. */
  readonly requestsPerSecond: number;
  readonly inFlight: number;
  readonly master: {
    readonly pid: number;
    /** s */
    readonly uptimeSeconds: number;
    readonly version: string;
    readonly node: string;
    /** Resident set size, bytes. */
    readonly rssBytes: number;
  };
  readonly workers: readonly WorkerStats[];
  /** The reload that is under way, else the last one; null where there was none. */
  readonly lastReload: ReloadRecord | null;
  /** The last fifty that are over, newest first, those before a restart of the master included. */
  readonly reloads: readonly ReloadSummary[];
  /** Booted workers that wait to take over; wanted and there. */
  readonly spares: { readonly wanted: number; readonly ready: number };
  /** The last deaths that nobody asked for, newest first, at most ten. */
  readonly deaths: readonly DeathSummary[];
  /** The last times that a worker's event loop was blocked for longer than `health.stall_report`, newest first, at most ten. */
  readonly stalls: readonly StallSummary[];
  /** Kinds of requests that leave memory behind, the worst first. */
  readonly leaks: readonly Leak[];
  /** What the kinds of requests cost; absent until that can be told. */
  readonly costs?: RouteCosts;
  /** Requests that were in flight at more than one death, the most suspicious first. */
  readonly poison: readonly PoisonSummary[];
  /** The worker that serves those that are kept out; absent where there was none. */
  readonly cell?: CellStats;
  /** Absent where `workers` is a fixed number. */
  readonly autoscale?: AutoscaleStats;
  /** Absent where the configuration has none. */
  readonly jobs?: readonly PublicJob[];
  /** Absent where there is no `[deploy]`. */
  readonly deploys?: DeploySummary;
}

/**
 * What is answered over HTTP, where anybody may ask who can reach the service: nothing that came from the app, its
 * requests or its operators. The rest is on the control socket.
 */
export type PublicStats = Omit<
  ClusterStats,
  'deaths' | 'stalls' | 'leaks' | 'costs' | 'poison' | 'cell' | 'lastReload' | 'reloads' | 'deploys'
> & {
  readonly lastReload: PublicReload | null;
  readonly reloads: readonly PublicReload[];
};

export type PublicReload = Omit<ReloadSummary, 'release' | 'by' | 'reason'>;

/** A death with how long ago it was, s. */
export type DeathSummary = Omit<DeathRecord, 'at'> & { readonly agoSeconds: number };
/** A stall with how long ago it ended. */
export type StallSummary = StallRecord & { readonly agoSeconds: number };
/** A suspicion with how long ago its last death was, and for how long the request is still answered with 503, s. */
export type PoisonSummary = Omit<PoisonRecord, 'deaths' | 'blockedUntil'> & {
  readonly deaths: number;
  readonly agoSeconds: number;
  readonly blockedForSeconds: number;
};

export interface CellStats {
  /** `waiting`: for its next start, after it died. */
  readonly status: 'ready' | 'starting' | 'waiting' | 'ending' | 'none';
  readonly pid: number | null;
  readonly generation: number | null;
  readonly requests: number;
  readonly inFlight: number;
  /** Resident set size, bytes; null: unknown. */
  readonly rssBytes: number | null;
  /** Since the master started. */
  readonly deaths: number;
}

/** Between which numbers of workers the service scales itself. */
export interface AutoscaleStats {
  readonly min: number;
  readonly max: number;
  /** An operator asked for the number in force, which holds until the next reload or `scale auto`. */
  readonly held: boolean;
  /** The last change that the load brought about; null: there was none. */
  readonly last: {
    readonly agoSeconds: number;
    readonly from: number;
    readonly to: number;
    readonly why: string;
  } | null;
}

export interface WorkerStats {
  /** Number of the slot, from 1; null: a spare. */
  readonly id: number | null;
  readonly pid: number | null;
  readonly phase: 'starting' | 'spare' | 'ready' | 'draining' | 'dying';
  readonly health: Health;
  readonly generation: number;
  /** s since the fork */
  readonly uptimeSeconds: number;
  /** Restarts of this slot. */
  readonly restarts: number;
  /** ms since its last heartbeat, which comes every second while its event loop turns; null: none is expected. */
  readonly heartbeatAgeMs: Millis | null;
  readonly requests: number;
  readonly requestsPerSecond: number;
  /** This and what follows are as of that heartbeat. */
  readonly inFlight: number;
  readonly connections: number;
  /** Bytes. */
  readonly rssBytes: number;
  readonly heapUsedBytes: number;
  /** 99th percentile over the last heartbeat, ms. */
  readonly eventLoopDelayMs: number;
  /** Share of the last heartbeat in which the loop was busy, 0 to 1. */
  readonly eventLoopUtilization: number;
  /** Requests that this worker answered with 503 without the app; absent where `[shed]` is off. */
  readonly shedRequests?: number;
  /** How long its servers keep idle connections; absent where it has none, or has not said yet. */
  readonly keepAliveTimeoutMs?: Millis;
}
