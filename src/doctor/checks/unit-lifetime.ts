import { extendBy, extendInterval, killGrace, reapGrace, tickInterval } from '../../protocol/limits.js';
import { showDuration } from '../../settings/kinds.js';
import type { Facts } from '../facts.js';
import { type Check, inUnit, type Outcome, ofUnit, ok, problem, unknown, warning } from '../finding.js';
import { roundSeconds, type ServiceUnit, stopOf } from '../units.js';

/** Whether a start has the time that it takes. */
export const startChecks: readonly Check[] = [ofUnit(timeoutStart)];

/** Whether systemd gives a stop the time that it takes, and signals whom it is to. */
export const stopChecks: readonly Check[] = [ofUnit(killMode), ofUnit(timeoutStop), ofUnit(timeoutAbort)];

/** What systemd does when the service has ended, or a process of it was killed. */
export const restartChecks: readonly Check[] = [
  ofUnit(restart),
  ofUnit(preventExitStatus),
  ofUnit(startLimit),
  ofUnit(oomPolicy),
];

/** Whether systemd notices a master that hangs, and leaves to the master what is the master's. */
export const watchdogChecks: readonly Check[] = [ofUnit(watchdog), ofUnit(hangs), ofUnit(proofs)];

export function spanOf(ms: number): string {
  return Number.isFinite(ms) ? showDuration(ms) : 'infinity';
}

/** Until the master has said its first word, which asks for more time; on a busy machine. ms */
const firstWord = extendInterval;

function timeoutStart({ name, timeoutStart }: ServiceUnit, { settings: { config }, node }: Facts): Outcome {
  const boot = `boot_timeout is ${showDuration(config.bootTimeout)}`;
  const asks = `the master asks for ${showDuration(extendBy)} more while the start makes progress`;
  if (timeoutStart < firstWord) {
    const found = `${spanOf(timeoutStart)}: on a busy machine Node may take that long to load, before it can ask for more`;
    return warning('TimeoutStartSec', found, inUnit(name, 'TimeoutStartSec=90'));
  }
  if (node.addon === null || timeoutStart > config.bootTimeout)
    return ok('TimeoutStartSec', `${spanOf(timeoutStart)} (${boot}; ${asks})`);
  const found = `${spanOf(timeoutStart)}, and ${boot}: without sd-notify the master cannot ask for more`;
  return warning('TimeoutStartSec', found, inUnit(name, 'TimeoutStartSec=90'));
}

function killMode({ name, killMode }: ServiceUnit): Outcome {
  if (killMode === 'mixed')
    return ok('KillMode', 'mixed: SIGTERM to the master, then SIGKILL to remaining processes');
  const change = inUnit(name, 'KillMode=mixed');
  if (killMode === 'control-group')
    return warning('KillMode', 'control-group: processes of the app get SIGTERM during the drain', change);
  return problem('KillMode', `${killMode}: processes that remain after the master are not killed`, change);
}

/** A drain that makes progress asks for more time (EXTEND_TIMEOUT_USEC), one that waits for a slow client does not. */
function timeoutStop({ name, timeoutStop }: ServiceUnit, { settings: { config } }: Facts): Outcome {
  const { longest, enough, settings } = stopOf(config);
  const left = timeoutStop - longest;
  if (left >= 0) {
    const margin = Number.isFinite(left) ? `${showDuration(left)} more than the longest stop` : 'unlimited';
    return ok('TimeoutStopSec', `${spanOf(timeoutStop)}, ${margin} (${settings})`);
  }
  const found =
    `${spanOf(timeoutStop)}, ${showDuration(-left)} too short: ${settings}, and killing remaining processes takes up to ` +
    `${showDuration(killGrace + reapGrace)} more; requests would be cut`;
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
  const found = `${spanOf(timeoutAbort)}: a hung master that ignores SIGABRT survives for that long`;
  return warning('TimeoutAbortSec', found, inUnit(name, 'TimeoutAbortSec=10'));
}

function restart({ name, restart }: ServiceUnit): Outcome {
  const change = inUnit(name, 'Restart=on-failure');
  switch (restart) {
    case 'on-failure':
      return ok('Restart', 'on-failure');
    case 'always':
      return warning('Restart', 'always: systemd undoes rom-agent stop at once', change);
    case 'no':
    case 'on-success':
      return problem('Restart', `${restart}: systemd does not restart a failed master`, change);
    default:
      return warning(
        'Restart',
        `${restart}: systemd does not restart after exit status 75 (too many restarts of workers)`,
        change,
      );
  }
}

/** Which cannot get better by trying again: see docs/reference/exit-codes.md. */
const fatal = ['78', '64', '77'];

function preventExitStatus({ name, neverRestarted, restart }: ServiceUnit): Outcome | null {
  if (restart === 'no' || restart === 'on-success') return null;
  const lacks = fatal.filter((status) => !neverRestarted.includes(status));
  if (lacks.length === 0) return ok('RestartPreventExitStatus', neverRestarted.join(' '));
  const change = inUnit(name, `RestartPreventExitStatus=${fatal.join(' ')}`);
  const found = `without ${lacks.join(' and ')}: systemd restarts after errors that a restart cannot fix`;
  return (lacks.includes('78') ? problem : warning)('RestartPreventExitStatus', found, change);
}

function startLimit({ name, startLimit }: ServiceUnit): Outcome {
  if (startLimit === 0) return ok('StartLimitIntervalSec', '0: systemd never gives up');
  const found = `${spanOf(startLimit)}: a database outage of a minute may leave the service failed permanently`;
  return warning('StartLimitIntervalSec', found, inUnit(name, 'StartLimitIntervalSec=0', 'Unit'));
}

function oomPolicy({ name, oomPolicy }: ServiceUnit): Outcome {
  if (oomPolicy === 'continue')
    return ok('OOMPolicy', 'continue: a worker killed by the OOM killer is replaced');
  const found = `${oomPolicy}: one worker killed by the OOM killer stops the whole service`;
  return problem('OOMPolicy', found, inUnit(name, 'OOMPolicy=continue'));
}

/** Of the watchdog's limit: a ping is sent each third, and a worker has a third of that to prove itself. */
const proofShare = 1 / 9;

function watchdog({ name, watchdog }: ServiceUnit): Outcome {
  if (watchdog === null) return unknown('WatchdogSec', 'systemd reports it only for a running service');
  if (watchdog > 0) {
    const ping = showDuration(Math.round(watchdog / 3));
    return ok('WatchdogSec', `${showDuration(watchdog)}: a ping every ${ping} as long as workers answer`);
  }
  const found = 'none: systemd does not notice a hung master, or that no worker answers';
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
      `${hang}: a hung worker is replaced before the watchdog ends the whole service`,
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
    `${showDuration(watchdog)} leaves an idle worker ${showDuration(Math.round(time))} to prove that it answers, less ` +
    `than health.slow_delay (${showDuration(slowDelay)}) tolerates: pings may be missed`;
  const enough = roundSeconds(slowDelay / proofShare);
  return warning('WatchdogSec', found, inUnit(name, `WatchdogSec=${Math.max(30, enough)}`));
}
