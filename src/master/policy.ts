import { withWorkers } from '../config/resolve.js';
import type { Policy, WorkerPolicy } from '../core/policy.js';
import type { State } from '../core/state.js';
import { exitCodes } from '../errors.js';
import { type Config, policyShare } from '../settings/config.js';
import { boundsOf } from '../settings/worker-count.js';
import type { Release } from './releases.js';

/** What the core decides by: its share of the settings, and what derives from several of them or from the service manager. */
export function policyOf(config: Config, { pingInterval }: { pingInterval: number | null }): Policy {
  return {
    ...policyShare(config),
    heartbeatInterval: heartbeatInterval(config),
    evensOut:
      config.kind === 'server' &&
      config.balance !== 'off' &&
      config.dispatch === 'shared' &&
      config.sticky === 'off',
    pingInterval,
    exits: {
      bootTimeout: exitCodes.tryAgain,
      appFailed: exitCodes.appFailed,
      noResources: exitCodes.noResources,
      tooManyRestarts: exitCodes.tryAgain,
    },
  };
}

export interface InForce {
  /** The newest generation that is not rolled back. */
  readonly newest: number;
  /** The releases that workers may belong to. */
  readonly releases: readonly Pick<Release, 'generation' | 'config' | 'effective'>[];
  /** The number of workers in force; the configured one counts at the start only. */
  readonly workers: number;
}

/**
 * The policy that holds now. Each generation's workers are judged by their own settings, and what derives from the number of
 * workers follows the number in force. The policy is made anew only when one of these changes.
 */
export function policyInForce(pingInterval: number | null): (now: InForce) => Policy {
  let made: { readonly of: string; readonly policy: Policy } | null = null;
  return ({ newest, releases, workers }) => {
    const of = `${newest} ${workers} ${releases.map(({ generation }) => generation).join()}`;
    if (made?.of === of) return made.policy;
    const [release] = releases.filter(({ generation }) => generation === newest);
    if (release === undefined) throw new Error(`no release of generation ${newest}`);
    const policy = policyOf(release.config, { pingInterval });
    const intensity = withWorkers(release.effective['restart.intensity'], workers);
    const common: Policy = { ...policy, restart: { ...policy.restart, intensity } };
    const generations = Object.fromEntries(
      releases
        .filter(({ generation }) => generation !== newest)
        .map(({ generation, config }) => [
          generation,
          { ...common, ...ownOf(policyOf(config, { pingInterval })) },
        ]),
    );
    const whole: Policy = { ...common, generations };
    made = { of, policy: whole };
    return whole;
  };
}

/** The number of workers that operators, or the load, asked for last; before the start, what it starts with. */
export function workersInForce({ slots }: State, config: Config): number {
  return slots.length || boundsOf(config.workers).min;
}

/** The one on trial, while there is one. */
export function newestGeneration({ reload, generation }: State): number {
  return reload === null || reload.stage.name === 'rollback' ? generation : reload.target;
}

function ownOf(policy: Policy): WorkerPolicy {
  const { bootTimeout, drainTimeout, hangTimeout, heartbeatInterval, health, memory } = policy;
  const { maxAge, maxRequests } = policy;
  return { bootTimeout, drainTimeout, hangTimeout, heartbeatInterval, health, maxAge, maxRequests, memory };
}

/** How often a worker sends a heartbeat, ms: every second, or more often where the hang limit is short. */
export function heartbeatInterval({ hangTimeout }: Pick<Config, 'hangTimeout'>): number {
  return Math.min(1_000, Math.round(hangTimeout / 4));
}
