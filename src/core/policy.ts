import type { Millis } from '../protocol/limits.js';

/** What the operator decided; the core decides the rest. */
export interface Policy {
  readonly workers: number;
  readonly bootTimeout: Millis;
  readonly drainTimeout: Millis;
  readonly hangTimeout: Millis;
  /** How often a worker sends a beat. */
  readonly beatInterval: Millis;
  readonly health: HealthPolicy;
  readonly memory: MemoryPolicy;
  /** Booted workers that wait to take over. */
  readonly spares: number;
  readonly poison: PoisonPolicy;
  readonly restart: RestartPolicy;
  readonly reload: ReloadPolicy;
  /** Whether kept connections are evened out among the workers. */
  readonly balance: boolean;
  /** How often systemd is pinged; null where it asked for no pings. */
  readonly pingInterval: Millis | null;
  /** What the workers of a generation are judged by that has other settings than the newest: see ownPolicy. */
  readonly generations?: Readonly<Record<number, Policy>>;
  /** How often the statistics line is written; 0: never. */
  readonly statisticsInterval: Millis;
  /** Exit statuses of the endings that the core decides itself. */
  readonly exits: {
    readonly bootTimeout: number;
    readonly appFailed: number;
    readonly noResources: number;
    readonly tooManyRestarts: number;
  };
}

/** What one worker is judged by: it was told its own share of that when it was forked. */
export type WorkerPolicy = Pick<
  Policy,
  'bootTimeout' | 'drainTimeout' | 'hangTimeout' | 'beatInterval' | 'health' | 'memory'
>;

/** The policy by which a worker is judged: with the settings of its own generation. */
export function ownPolicy(policy: Policy, { generation }: { readonly generation: number }): Policy {
  return policy.generations?.[generation] ?? policy;
}

/** When a canary is good enough: see canary.ts. */
export interface ReloadPolicy {
  /** How long it is watched. */
  readonly soak: Millis;
  /** What it has to answer; null: nothing. */
  readonly probe: string | null;
  /** How long it may take over that. */
  readonly probeTimeout: Millis;
  /** By how much its share of failed answers may exceed that of the others, 0 to 1. */
  readonly maxErrors: number;
  /** How many times as long as theirs its answers may take. */
  readonly maxLatency: number;
}

/** When a worker that still answers is not well. */
export interface HealthPolicy {
  /** It is slow while its event loop is later than this (99th percentile of a beat). */
  readonly slowDelay: Millis;
  /** One that is slow for this long, while most others are not, is replaced; 0: never. */
  readonly slowLimit: Millis;
}

/** When a worker has too much memory. */
export interface MemoryPolicy {
  /** Of its resident set, bytes; null: any. */
  readonly maxRss: number | null;
  /** Share of its heap limit, 0 to 1; 0: any. */
  readonly maxHeap: number;
  /** Share of the cgroup's limit from which on the fattest worker is drained, 0 to 1; 0: never. */
  readonly pressure: number;
}

/** When a kind of request is suspected of killing workers. */
export interface PoisonPolicy {
  /** In flight at so many deaths within `window`; 0: never. */
  readonly deaths: number;
  readonly window: Millis;
  /** For how long it is then answered with 503; 0: it is not. */
  readonly block: Millis;
}

export interface RestartPolicy {
  /** More unexpected deaths than this within `window` end the master. */
  readonly intensity: number;
  readonly window: Millis;
  readonly crashDelay: Millis;
  readonly crashDelayMax: Millis;
  readonly bootDelay: Millis;
  readonly bootDelayMax: Millis;
}

/** How often STATUS= is brought up to date. */
export const statusInterval: Millis = 5_000;
/** Workers that a reload without soak has starting at a time; with one: a single one. */
export const startingAtOnce = 2;
/** How often a canary and those it is compared with are asked for a beat. */
export const soakInterval: Millis = 250;
/** From a spare's take-over to the fork of the next one. */
export const spareDelay: Millis = 100;
/** Workers of one slot that drain while the service goes on: one more ends the oldest. */
export const drainingPerSlot = 2;
