import { showDuration } from '../../config/kinds.js';
import { tickInterval } from '../../protocol/limits.js';
import { inUnit } from '../changes.js';
import type { Facts } from '../facts.js';
import { type Check, type Outcome, ok, problem, unknown, warning } from '../finding.js';
import type { ServiceUnit } from '../service-unit.js';
import { roundSeconds } from '../spans.js';
import { ofUnit } from './of-unit.js';

/** Whether systemd notices a master that hangs, and leaves to the master what is the master's. */
export const watchdogChecks: readonly Check[] = [ofUnit(watchdog), ofUnit(hangs), ofUnit(proofs)];

/** Of the watchdog's limit: a ping is sent each third, and a worker has a third of that to prove itself. */
const proofShare = 1 / 9;

function watchdog({ name, watchdog }: ServiceUnit): Outcome {
  if (watchdog === null) return unknown('WatchdogSec', 'systemd says it for a service that runs only');
  if (watchdog > 0) {
    const ping = showDuration(Math.round(watchdog / 3));
    return ok('WatchdogSec', `${showDuration(watchdog)}: a ping every ${ping} as long as workers answer`);
  }
  const found =
    'none: a master that hangs, and workers of which none answers any more, are nothing to systemd';
  return warning('WatchdogSec', found, inUnit(name, 'WatchdogSec=30'));
}

/**
 * When a quorum of workers hangs at once the pings end with the last proof, a third of the limit after it at the
 * earliest; from the kill on they go on while the replacements boot. So the kill has to come first.
 */
function hangs({ name, watchdog }: ServiceUnit, { settings: { config } }: Facts): Outcome | null {
  if (watchdog === null || watchdog === 0) return null;
  const { hangTimeout } = config;
  const hang = `hang_timeout is ${showDuration(hangTimeout)}`;
  if (hangTimeout + tickInterval < watchdog)
    return ok(
      'hang_timeout',
      `${hang}: a hung worker is replaced before the watchdog would end the whole service`,
    );
  const found = `${hang}, WatchdogSec ${showDuration(watchdog)}: the watchdog ends the whole service before a hung worker is replaced`;
  const enough = inUnit(name, `WatchdogSec=${roundSeconds(3 * hangTimeout)}`);
  const less = showDuration(Math.max(1_000, Math.floor(watchdog / 3_000) * 1_000));
  return problem('hang_timeout', found, `${enough}; or hang_timeout = "${less}"`);
}

function proofs({ name, watchdog }: ServiceUnit, { settings: { config } }: Facts): Outcome | null {
  if (watchdog === null || watchdog === 0) return null;
  const time = watchdog * proofShare;
  const { slowDelay } = config.health;
  if (time >= slowDelay) return null;
  const found =
    `${showDuration(watchdog)} leaves an idle worker ${showDuration(Math.round(time))} to show that it answers, less ` +
    `than one may be slow (health.slow_delay ${showDuration(slowDelay)}): pings may be missed`;
  const enough = roundSeconds(slowDelay / proofShare);
  return warning('WatchdogSec', found, inUnit(name, `WatchdogSec=${Math.max(30, enough)}`));
}
