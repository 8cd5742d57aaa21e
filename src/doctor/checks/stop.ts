import { showDuration } from '../../config/kinds.js';
import { killGrace, reapGrace } from '../../protocol/limits.js';
import { inUnit } from '../changes.js';
import type { Facts } from '../facts.js';
import { type Check, type Outcome, ok, problem, warning } from '../finding.js';
import type { ServiceUnit } from '../service-unit.js';
import { roundSeconds } from '../spans.js';
import { ofUnit } from './of-unit.js';

/** Whether systemd gives a stop the time that it takes, and signals whom it is to. */
export const stopChecks: readonly Check[] = [ofUnit(killMode), ofUnit(timeoutStop), ofUnit(timeoutAbort)];

/** What a unit gets beyond the drain, so that nobody works it out to the second. ms */
const usualMargin = 15_000;

function killMode({ name, killMode }: ServiceUnit): Outcome {
  if (killMode === 'mixed') return ok('KillMode', 'mixed: SIGTERM to the master, SIGKILL to what is left');
  const change = inUnit(name, 'KillMode=mixed');
  if (killMode === 'control-group')
    return warning('KillMode', 'control-group: what the app has started gets SIGTERM in mid-drain', change);
  return problem('KillMode', `${killMode}: what is left when the master ends goes on`, change);
}

/** A drain that makes progress asks for more time (EXTEND_TIMEOUT_USEC), one that waits for a slow client does not. */
function timeoutStop({ name, timeoutStop }: ServiceUnit, { settings: { config } }: Facts): Outcome {
  const longest = config.drainTimeout + killGrace + reapGrace;
  const drain = `drain_timeout is ${showDuration(config.drainTimeout)}`;
  const left = timeoutStop - longest;
  if (left >= 0) {
    const margin = Number.isFinite(left) ? `${showDuration(left)} more than the longest stop` : 'any time';
    return ok('TimeoutStopSec', `${spanOf(timeoutStop)}, ${margin} (${drain})`);
  }
  const found =
    `${spanOf(timeoutStop)}, ${showDuration(-left)} too little: ${drain}, and ${showDuration(killGrace + reapGrace)} ` +
    'more are for killing what is left; requests would be cut';
  const enough = roundSeconds(config.drainTimeout + usualMargin);
  return problem(
    'TimeoutStopSec',
    found,
    `${inUnit(name, `TimeoutStopSec=${enough}`)}; or a shorter drain_timeout`,
  );
}

/** ms */
const longestAbort = 30_000;

/** Without it a hung master is waited for as long as a drain. */
function timeoutAbort({ name, timeoutAbort, watchdog }: ServiceUnit): Outcome | null {
  if (watchdog === 0) return null;
  if (timeoutAbort <= longestAbort) return ok('TimeoutAbortSec', spanOf(timeoutAbort));
  const found = `${spanOf(timeoutAbort)}: a master that hangs so badly that SIGABRT does not end it stays for that long`;
  return warning('TimeoutAbortSec', found, inUnit(name, 'TimeoutAbortSec=10'));
}

export function spanOf(ms: number): string {
  return Number.isFinite(ms) ? showDuration(ms) : 'infinity';
}
