import type { Millis } from '../protocol/limits.js';
import type { Share } from '../settings/config.js';

/**
 * What the operator decided; the core decides the rest. The settings are those of the table whose readers include the
 * policy, with times in ms, sizes in bytes and percentages as shares of 1: docs/reference/settings.md says what each means.
 */
export interface Policy extends Share<'policy'> {
  /** How often a worker sends a heartbeat. */
  readonly heartbeatInterval: Millis;
  /** Whether kept connections are evened out among the workers. */
  readonly evensOut: boolean;
  /** How often systemd is pinged; null where it asked for no pings. */
  readonly pingInterval: Millis | null;
  /** What the workers of a generation are judged by that has other settings than the newest: see ownPolicy. */
  readonly generations?: Readonly<Record<number, Policy>>;
  /** Exit statuses of the endings that the core decides itself. */
  readonly exits: {
    readonly bootTimeout: number;
    readonly appFailed: number;
    readonly noResources: number;
    readonly tooManyRestarts: number;
  };
}

export type HealthPolicy = Policy['health'];
export type MemoryPolicy = Policy['memory'];
export type PoisonPolicy = Policy['poison'];
export type RestartPolicy = Policy['restart'];
export type ReloadPolicy = Policy['reload'];

/** What one worker is judged by: it was told its own share of that when it was forked. */
export type WorkerPolicy = Pick<
  Policy,
  | 'bootTimeout'
  | 'drainTimeout'
  | 'hangTimeout'
  | 'heartbeatInterval'
  | 'health'
  | 'maxAge'
  | 'maxRequests'
  | 'memory'
>;

/** The policy by which a worker is judged: with the settings of its own generation. */
export function ownPolicy(policy: Policy, { generation }: { readonly generation: number }): Policy {
  return policy.generations?.[generation] ?? policy;
}

/** How often STATUS= is brought up to date. */
export const statusInterval: Millis = 5_000;
/** Workers that a reload without soak has starting at a time; with one: a single one. */
export const startingAtOnce = 2;
/** How often a canary and those it is compared with are asked for a heartbeat. */
export const soakInterval: Millis = 250;
/** From a spare's take-over to the fork of the next one. */
export const spareDelay: Millis = 100;
/** Workers of one slot that drain while the service goes on: one more ends the oldest. */
export const drainingPerSlot = 2;
