import type { Config } from '../config/config.js';
import { withWorkers } from '../config/resolve.js';
import type { Policy, WorkerPolicy } from '../core/policy.js';
import { exitCodes } from '../errors.js';
import type { Release } from './releases.js';

export function policyOf(config: Config, { pingInterval }: { pingInterval: number | null }): Policy {
  return {
    workers: config.workers,
    bootTimeout: config.bootTimeout,
    drainTimeout: config.drainTimeout,
    hangTimeout: config.hangTimeout,
    beatInterval: beatInterval(config),
    health: { slowDelay: config.health.slowDelay, slowLimit: config.health.slowLimit },
    memory: {
      maxRss: config.memory.maxRss === null ? null : config.memory.maxRss * 2 ** 20,
      maxHeap: config.memory.maxHeap / 100,
      pressure: config.memory.pressure / 100,
    },
    spares: config.spares,
    poison: config.poison,
    restart: config.restart,
    reload: { ...config.reload, maxErrors: config.reload.maxErrors / 100 },
    balance: config.balance !== 'off' && config.dispatch === 'shared' && config.sticky === 'off',
    pingInterval,
    statisticsInterval: config.log.statsInterval,
    exits: {
      bootTimeout: exitCodes.tryAgain,
      appFailed: exitCodes.appFailed,
      noResources: exitCodes.noResources,
      tooManyRestarts: exitCodes.tryAgain,
    },
  };
}

export interface InForce {
  /** The newest one that is not rolled back. */
  readonly newest: number;
  /** All that workers may be of. */
  readonly releases: readonly Pick<Release, 'generation' | 'config' | 'effective'>[];
  /** The number of workers: what the file says counts at the start only. */
  readonly workers: number;
}

/**
 * The policy that holds now: each generation's workers by their own settings, and what follows from the number of workers
 * by the number in force. Made anew when one of these changes.
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

function ownOf(policy: Policy): WorkerPolicy {
  const { bootTimeout, drainTimeout, hangTimeout, beatInterval, health, memory } = policy;
  return { bootTimeout, drainTimeout, hangTimeout, beatInterval, health, memory };
}

/** Every second; with a short hang limit more often, so that a healthy worker is never near it. ms */
export function beatInterval({ hangTimeout }: Pick<Config, 'hangTimeout'>): number {
  return Math.min(1_000, Math.round(hangTimeout / 4));
}
