import type { Config } from '../settings/config.js';
import { showDuration } from '../settings/kinds.js';

/** ms from SIGINT to SIGKILL where PM2 is not told otherwise. */
const usualKillTimeout = 1600;

/**
 * What to change where PM2 would kill the daemon before its drain is over; null where it would not. PM2 hands on the
 * settings of an app in its environment.
 *
 * @param config times in ms
 */
export function killedTooSoon(
  env: Readonly<Record<string, string | undefined>>,
  { drainTimeout, lameDuck }: Pick<Config, 'drainTimeout' | 'lameDuck'>,
): string | null {
  const stop = lameDuck + drainTimeout;
  const settings = lameDuck === 0 ? 'drain_timeout' : 'lame_duck and drain_timeout';
  const given = Number(env.kill_timeout ?? env.PM2_KILL_TIMEOUT);
  const limit = Number.isFinite(given) && given > 0 ? given : usualKillTimeout;
  if (limit > stop) return null;
  const enough = stop + spare;
  return `PM2 kills this process ${showDuration(limit)} after a stop, and a drain may take ${showDuration(stop)} (${settings}): start it with --kill-timeout ${enough}, or set kill_timeout: ${enough} in the ecosystem file`;
}

/** ms: for what comes after the drain */
const spare = 5000;

/** Why the daemon cannot run as a worker of somebody else's cluster. */
export const insideCluster =
  'rom-agent runs as the worker of a cluster, but it is the master of one itself: PM2 has to start it in fork mode, without -i and instances; the number of workers is the setting workers';
