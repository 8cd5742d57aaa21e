import { inUnit } from '../changes.js';
import { type Check, type Outcome, ok, problem, warning } from '../finding.js';
import type { ServiceUnit } from '../service-unit.js';
import { ofUnit } from './of-unit.js';
import { spanOf } from './stop.js';

/** What systemd does when the service has ended, or a process of it was killed. */
export const restartChecks: readonly Check[] = [
  ofUnit(restart),
  ofUnit(preventExitStatus),
  ofUnit(startLimit),
  ofUnit(oomPolicy),
];

function restart({ name, restart }: ServiceUnit): Outcome {
  const change = inUnit(name, 'Restart=on-failure');
  switch (restart) {
    case 'on-failure':
      return ok('Restart', 'on-failure');
    case 'always':
      return warning('Restart', 'always: rom-agent stop is undone at once', change);
    case 'no':
    case 'on-success':
      return problem('Restart', `${restart}: a master that fails stays down`, change);
    default:
      return warning(
        'Restart',
        `${restart}: after exit status 75, too many restarts of workers, it stays down`,
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
  const found = `without ${lacks.join(' and ')}: what cannot get better is tried again and again`;
  return (lacks.includes('78') ? problem : warning)('RestartPreventExitStatus', found, change);
}

function startLimit({ name, startLimit }: ServiceUnit): Outcome {
  if (startLimit === 0) return ok('StartLimitIntervalSec', '0: it is never given up for good');
  const found = `${spanOf(startLimit)}: a database that is away for a minute may leave the service failed for good`;
  return warning('StartLimitIntervalSec', found, inUnit(name, 'StartLimitIntervalSec=0', 'Unit'));
}

function oomPolicy({ name, oomPolicy }: ServiceUnit): Outcome {
  if (oomPolicy === 'continue')
    return ok('OOMPolicy', 'continue: a worker that is killed for memory is replaced');
  const found = `${oomPolicy}: one worker that is killed for memory takes the whole service down`;
  return problem('OOMPolicy', found, inUnit(name, 'OOMPolicy=continue'));
}
