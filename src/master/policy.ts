import type { Config } from '../config/config.js';
import type { Policy } from '../core/policy.js';
import { exitCodes } from '../errors/exit-codes.js';

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
    balance: config.balance === 'on' && config.dispatch === 'shared' && config.sticky === 'off',
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

/** Every second; with a short hang limit more often, so that a healthy worker is never near it. ms */
export function beatInterval({ hangTimeout }: Pick<Config, 'hangTimeout'>): number {
  return Math.min(1_000, Math.round(hangTimeout / 4));
}
