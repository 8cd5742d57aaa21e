import type { JobCounters } from './jobs.js';
import type { WorkerKey } from './messages.js';
import type { QueuesAnswer } from './queues.js';
import type { RouteCosts } from './route-cost.js';
import type { ClusterStats, Health, WorkerStats } from './stats.js';

/** Upper limits of the buckets in which durations of answers are counted, s; what is slower is in one more. */
export const durationLimits: readonly number[] = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30,
];
/** ... of event-loop delays and of pauses of the garbage collector, s. */
export const pauseLimits: readonly number[] = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
];

/** What stands for the route of all requests that have no class of their own. */
export const otherRoute = 'other';

/** Methods that are counted apart; all others are `other`. */
export const countedMethods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'other'] as const;
export const statusClasses = ['1xx', '2xx', '3xx', '4xx', '5xx'] as const;

/** Counts by the bucket of a value, each bucket without those below it, and the sum of the values. */
export interface Distribution {
  readonly counts: readonly number[];
  readonly sumSeconds: number;
}

/** The answers of one class of routes: see RequestTally. Totals since the process started. */
export interface RouteCounts {
  readonly route: string;
  /** By method and class of status: `GET 2xx`. Only those that are not 0. */
  readonly answers: Readonly<Record<string, number>>;
  readonly durations: Distribution;
}

/** What node:perf_hooks calls the kinds of a collection. */
export const gcKinds = ['minor', 'major', 'incremental', 'weakcb'] as const;
export type GcKind = (typeof gcKinds)[number];

/** What grows in a worker, as totals since its start. */
export interface WorkerCounters {
  readonly requests: number;
  readonly accepted: number;
  /** Requests that were answered with 503 without the app: `[shed]`. */
  readonly shed: number;
  readonly cpuSeconds: number;
  readonly loopActiveSeconds: number;
  readonly loopIdleSeconds: number;
}

/** What a worker answers when it is asked for its metrics. */
export interface WorkerMetrics {
  readonly counters: WorkerCounters;
  readonly routes: readonly RouteCounts[];
  /** One value for each heartbeat: the 99th percentile of the delay since the one before. */
  readonly delays: Distribution;
  /** Pauses since the first time that the worker was asked, by kind. */
  readonly gc: Readonly<Partial<Record<GcKind, Distribution>>>;
  readonly gauges: WorkerGauges;
  readonly app: AppRegistry | null;
}

/** What a worker measures when it is asked. */
export interface WorkerGauges {
  readonly rssBytes: number;
  readonly heapUsedBytes: number;
  readonly heapSizeBytes: number;
  readonly heapLimitBytes: number;
  readonly externalBytes: number;
  readonly connections: number;
  readonly inFlight: number;
  /** 99th percentile since the heartbeat before the last. */
  readonly eventLoopDelaySeconds: number;
  /** null where the system does not say. */
  readonly openFds: number | null;
  readonly maxFds: number | null;
}

/** The app's own metrics, as of `metrics.app`. */
export interface AppRegistry {
  /** What prom-client's getMetricsAsJSON() returned, as JSON: a list of AppFamily; null: nothing was read. */
  readonly json: string | null;
  /** What was wrong, also with a part of it; null: nothing. */
  readonly failure: string | null;
}

/** How a worker ended: see WorkerEnding. */
export type EndingKind = 'drained' | 'killed' | 'boot' | 'crash' | 'hang';
/** Why the master started another worker in a slot, apart from reloads. */
export type RestartCause = 'boot' | 'crash' | 'hang' | 'unhealthy' | 'memory' | 'age' | 'asked';

export interface MasterMetrics {
  readonly pid: number;
  readonly version: string;
  readonly node: string;
  /** Wall clock, s since 1970. */
  readonly startedAtSeconds: number;
  readonly rssBytes: number;
  readonly heapUsedBytes: number;
  readonly cpuSeconds: number;
  readonly loopActiveSeconds: number;
  readonly loopIdleSeconds: number;
  readonly openFds: number | null;
  readonly maxFds: number | null;
}

/**
 * What came of a mirrored request: the canary alone failed, it alone answered with a status of 400 to 499, its answer has
 * another content type or length, its app refused, it came too late to be compared, or it did as well.
 */
export type MirrorResult = 'failed' | 'denied' | 'changed' | 'refused' | 'late' | 'same';

/** Totals of what happened since the master started. */
export interface ServiceCounters {
  readonly restarts: Readonly<Record<RestartCause, number>>;
  readonly endings: Readonly<Record<EndingKind, number>>;
  readonly reloads: Readonly<Record<string, number>>;
  /** Requests that canaries were asked beside the old workers. */
  readonly mirrored: Readonly<Record<MirrorResult, number>>;
  /** Requests that workers left unanswered at their end. */
  readonly requestsLost: number;
  readonly oomKills: number;
  /** Connections that one worker handed on to another, and how often the master ordered it to even them out. */
  readonly connectionsMoved: number;
  readonly balanceMoves: number;
  readonly watchdogPings: number;
}

/** Between which numbers of workers the service scales itself. */
export interface AutoscaleMetrics {
  readonly min: number;
  readonly max: number;
  /** An operator asked for the number in force. */
  readonly held: boolean;
  /** How often the load changed it since the master started. */
  readonly changes: { readonly up: number; readonly down: number };
}

export interface DeployMetrics {
  /** Deploys that are over since the master started, by verdict. */
  readonly verdicts: Readonly<Record<string, number>>;
  readonly lastTookSeconds: number | null;
  readonly isUnderWay: boolean;
  readonly current: string | null;
  readonly commit: string | null;
}

/** What the kernel says of the listening sockets; null where it does not. */
export interface ListenQueue {
  /** Connections that wait to be accepted. */
  readonly waiting: number | null;
  /** Connections that the kernel dropped since it started, of every socket of the network namespace. */
  readonly overflows: number | null;
  readonly drops: number | null;
}

/** One worker process, with what it answered last. */
export interface WorkerSnapshot {
  readonly key: WorkerKey;
  /** Number of its slot; null: a spare. */
  readonly worker: number | null;
  readonly pid: number | null;
  readonly phase: WorkerStats['phase'];
  readonly health: Health;
  readonly generation: number;
  readonly uptimeSeconds: number;
  readonly heartbeatAgeSeconds: number | null;
  /** As of the last heartbeat, 0 to 1. */
  readonly eventLoopUtilization: number | null;
  /** How old `gauges` are: 0 where it answered this time; null: it has never answered. */
  readonly ageSeconds: number | null;
  readonly gauges: WorkerGauges | null;
}

/** The whole service at one moment, with the counts of workers that are gone: `GET /v1/metrics`. */
export interface MetricsSnapshot {
  /** Wall clock, ms since 1970. */
  readonly at: number;
  /** How long it took to ask. */
  readonly tookSeconds: number;
  readonly status: ClusterStats['status'];
  readonly kind: ClusterStats['kind'];
  readonly mode: string;
  readonly generation: number;
  readonly reloading: boolean;
  readonly wanted: number;
  readonly ready: number;
  readonly spares: ClusterStats['spares'];
  /** Absent where `workers` is a fixed number. */
  readonly autoscale?: AutoscaleMetrics;
  /** Absent where there was no cell. */
  readonly cell?: { readonly isReady: boolean; readonly deaths: number };
  /** null: no service manager is pinged. */
  readonly watchdog: { readonly withheld: boolean } | null;
  readonly master: MasterMetrics;
  readonly counters: ServiceCounters;
  /** Absent where there is no `[deploy]`. */
  readonly deploys?: DeployMetrics;
  readonly listenQueue: ListenQueue;
  /** Absent where the configuration has none. */
  readonly jobs?: readonly JobCounters[];
  /** Absent where the app uses no queues, and where these do not answer. */
  readonly queues?: QueuesAnswer;
  readonly workers: readonly WorkerSnapshot[];
  /** By the number of the slot. */
  readonly slots: readonly SlotCounters[];
  readonly routes: readonly RouteCounts[];
  readonly leaks: ClusterStats['leaks'];
  /** Empty until they can be told. */
  readonly costs: RouteCosts['routes'];
  readonly delays: Distribution;
  readonly gc: Readonly<Partial<Record<GcKind, Distribution>>>;
  /** Empty unless `metrics.app` is on. `worker` null: the counters of workers that are gone. */
  readonly app: readonly (AppRegistry & { readonly worker: number | null })[];
}

export interface SlotCounters extends WorkerCounters {
  readonly worker: number;
}
