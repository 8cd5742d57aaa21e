import type { ClusterStats } from './stats.js';

/** What the backplane has to know of the fleet. */
export interface FleetSettings {
  readonly redisUrl: string | null;
  /** It takes the place of the URL. */
  readonly redisUrlFile: string | null;
  readonly name: string;
  readonly host: string;
  /** Path of a PEM file. */
  readonly tlsCa: string | null;
  readonly canaryHost: string | null;
}

/** Whether this service is one of a fleet. */
export function isInFleet({
  redisUrl,
  redisUrlFile,
}: {
  readonly redisUrl: string | null;
  readonly redisUrlFile: string | null;
}): boolean {
  return redisUrl !== null || redisUrlFile !== null;
}

/** What a host tells the others about itself, each 5 s. */
export interface HostSummary {
  readonly version: string;
  readonly status: ClusterStats['status'];
  readonly generation: number;
  /** The app's path, symbolic links resolved; null: the built-in app. */
  readonly release: string | null;
  /** Workers. */
  readonly wanted: number;
  readonly ready: number;
  readonly restarts: number;
  readonly requests: number;
  readonly requestsPerSecond: number;
  readonly inFlight: number;
  readonly rssBytes: number;
  readonly uptimeSeconds: number;
  readonly lastReload: { readonly verdict: string | null; readonly atMs: number } | null;
}

export interface FleetHost extends HostSummary {
  readonly host: string;
  /** The host that answers. */
  readonly self: boolean;
  /** Since it was heard, ms. */
  readonly heardAgoMs: number;
  /** It was heard within `hostIsAwayAfter`. */
  readonly present: boolean;
}

/** ms between two summaries, and after how many without one a host counts as away. */
export const summaryInterval = 5_000;
export const hostIsAwayAfter = 16_000;

/** GET /v1/fleet */
export interface FleetStats {
  readonly name: string;
  readonly host: string;
  readonly redis: {
    /** Without user and password. */
    readonly address: string;
    readonly connected: boolean;
    readonly lostForSeconds: number | null;
  };
  /** By name; only the own one while Redis is away. */
  readonly hosts: readonly FleetHost[];
  /** The host that reloads, where the fleet reloads one at a time. */
  readonly reloading: string | null;
}

/** What of it anybody who reaches the service may know: GET /api/cluster/stats?scope=fleet. */
export interface PublicFleet {
  readonly scope: 'fleet';
  readonly name: string;
  readonly host: string;
  readonly connected: boolean;
  readonly reloading: string | null;
  readonly hosts: readonly Omit<FleetHost, 'release'>[];
}

export function publicFleet({ name, host, redis, reloading, hosts }: FleetStats): PublicFleet {
  const shown = hosts.map(({ release, ...rest }) => rest);
  return { scope: 'fleet', name, host, connected: redis.connected, reloading, hosts: shown };
}

/** What a job has to do with the fleet. */
export interface FleetJob {
  readonly name: string;
  readonly overlap: 'skip' | 'queue' | 'replace';
  readonly onLost: 'report' | 'rerun';
}

export interface FleetDue {
  readonly job: string;
  /** ms since 1970 */
  readonly dueMs: number;
  readonly missed: number;
}

/** What one host of the fleet is told to do. */
export type HostCommand =
  | { readonly kind: 'reload'; readonly by: string; readonly soak: boolean }
  /** `ref` null: what the host's configuration says. `commit`: what the first host was given; null: this is the first. */
  | {
      readonly kind: 'deploy';
      readonly by: string;
      readonly ref: string | null;
      readonly commit: string | null;
    };

export interface HostOutcome {
  readonly ok: boolean;
  /** In words: the verdict, and why. */
  readonly message: string;
  /** Of a deploy: what it was made of, where that has a number (DeployRecord). */
  readonly commit?: string | null;
}

/** What a rollout over all hosts sends; its last line is of type `over`. */
export type RolloutLine =
  | { readonly type: 'plan'; readonly hosts: readonly string[]; readonly away: readonly string[] }
  | { readonly type: 'begins'; readonly host: string }
  | { readonly type: 'ended'; readonly host: string; readonly ok: boolean; readonly message: string }
  | {
      readonly type: 'over';
      readonly ok: boolean;
      /** In words. */
      readonly message: string;
      readonly done: readonly string[];
      /** The host with the bad verdict. */
      readonly failed: string | null;
      /** Hosts that were left as they were. */
      readonly untouched: readonly string[];
    };

/** Master to backplane, without an answer. */
export type FleetOrder =
  | { readonly kind: 'summary'; readonly summary: HostSummary }
  | { readonly kind: 'jobs'; readonly jobs: readonly FleetJob[] }
  | { readonly kind: 'ran'; readonly runId: string; readonly ran: RunOutcome }
  | { readonly kind: 'commanded'; readonly id: string; readonly outcome: HostOutcome }
  /** The reload that had the lock, or waited for it, is over. */
  | { readonly kind: 'reload-over' };

/** Of a run of a job, what other hosts go by. */
export interface RunOutcome {
  readonly verdict: string;
  /** ms since 1970 */
  readonly startedMs: number;
  readonly endedMs: number;
}

/** Master to backplane, with an answer. */
export type FleetQuestion =
  /** FleetStats */
  | { readonly kind: 'fleet' }
  /** null, once it is safe */
  | { readonly kind: 'due'; readonly due: FleetDue }
  /** ReloadTurn, once it is there: may take as long as another host's reload. */
  | { readonly kind: 'reload-turn'; readonly by: string }
  /** null; its lines follow as events */
  | { readonly kind: 'rollout'; readonly id: string; readonly command: HostCommand };

export type ReloadTurn =
  /** `token`: the fencing token; null: it goes on alone, without Redis. */
  | { readonly kind: 'granted'; readonly token: number | null; readonly warning: string | null }
  | { readonly kind: 'given-up' };

/** Backplane to master. */
export type FleetEvent =
  | { readonly kind: 'run'; readonly runId: string; readonly due: FleetDue }
  /** A run that another host began and did not end. */
  | { readonly kind: 'lost'; readonly due: FleetDue; readonly host: string; readonly reruns: boolean }
  /** A due time that passed while the run before was not over, with `overlap = "skip"`. */
  | { readonly kind: 'skipped'; readonly due: FleetDue; readonly host: string }
  /** With `overlap = "replace"` a later one is due: this host ends the run, or it never began (`hasBegun` false). */
  | { readonly kind: 'replaced'; readonly due: FleetDue; readonly byMs: number; readonly hasBegun: boolean }
  | { readonly kind: 'command'; readonly id: string; readonly command: HostCommand }
  /** A reload waits for this host. */
  | { readonly kind: 'held'; readonly host: string }
  | { readonly kind: 'rollout'; readonly id: string; readonly line: RolloutLine };
