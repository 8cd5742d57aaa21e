import type { DeathRecord, PoisonRecord } from './death-record.js';
import type { Millis } from './limits.js';
import type { ReloadRecord, ReloadSummary } from './reload-record.js';

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
    readonly uptime: number;
    readonly version: string;
    readonly node: string;
    /** Resident set size, bytes. */
    readonly rss: number;
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
  /** Requests that were in flight at more than one death, the most suspicious first. */
  readonly poison: readonly PoisonSummary[];
}

/**
 * What is answered over HTTP, where anybody may ask who can reach the service: nothing that came from the app, its
 * requests or its operators. The rest is on the control socket.
 */
export type PublicStats = Omit<ClusterStats, 'deaths' | 'poison' | 'lastReload' | 'reloads'> & {
  readonly lastReload: PublicReload | null;
  readonly reloads: readonly PublicReload[];
};

export type PublicReload = Omit<ReloadSummary, 'release' | 'by' | 'reason'>;

/** A death with how long ago it was, s. */
export type DeathSummary = Omit<DeathRecord, 'at'> & { readonly ago: number };
/** A suspicion with how long ago its last death was, and for how long the request is still answered with 503, s. */
export type PoisonSummary = Omit<PoisonRecord, 'deaths' | 'blockedUntil'> & {
  readonly deaths: number;
  readonly ago: number;
  readonly blockedFor: number;
};

export interface WorkerStats {
  /** Number of the slot, from 1; null: a spare. */
  readonly id: number | null;
  readonly pid: number | null;
  readonly phase: 'starting' | 'spare' | 'ready' | 'draining' | 'dying';
  readonly health: Health;
  readonly generation: number;
  /** s since the fork */
  readonly uptime: number;
  /** Restarts of this slot. */
  readonly restarts: number;
  /** ms since its last heartbeat, which comes every second while its event loop turns; null: none is expected. */
  readonly heartbeatAge: Millis | null;
  readonly requests: number;
  readonly requestsPerSecond: number;
  /** This and what follows are as of that heartbeat. */
  readonly inFlight: number;
  readonly connections: number;
  /** Bytes. */
  readonly rss: number;
  readonly heapUsed: number;
  /** 99th percentile over the last heartbeat, ms. */
  readonly eventLoopDelay: number;
  /** Share of the last heartbeat in which the loop was busy, 0 to 1. */
  readonly eventLoopUtilization: number;
}
