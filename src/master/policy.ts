import type { Config } from '../config/config.js';
import type { Policy } from '../core/policy.js';
import { exitCodes } from '../errors/exit-codes.js';

export function policyOf(config: Config, { pingInterval }: { pingInterval: number | null }): Policy {
  return {
    workers: config.workers,
    bootTimeout: config.bootTimeout,
    drainTimeout: config.drainTimeout,
    hangTimeout: config.hangTimeout,
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
