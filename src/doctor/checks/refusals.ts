import type { Told } from '../../sandbox/log.js';
import type { Facts } from '../facts.js';
import { type Check, inUnit, type Outcome, ok, problem, unknown, warning } from '../finding.js';

/** What the app ran into: docs/how-to/systemd.md, "The app needs more than the sandbox gives". */
export const refusalChecks: readonly Check[] = [refusals];

function refusals({ systemd }: Facts): readonly Outcome[] {
  const { unit = null, refusals: told = [] } = systemd ?? {};
  if (unit === null || unit.invocation === '') return [];
  if (told === null) {
    const change = `sudo rom-agent doctor, or as a member of adm or systemd-journal`;
    return [unknown('refusals', `the journal of ${unit.name} cannot be read`, change)];
  }
  if (told.length === 0)
    return [ok('refusals', 'none: the sandbox has refused the app nothing since the last start')];
  return told.map((one) => outcomeOf(one, unit.name));
}

function outcomeOf({ directive, why, lines, quote, times, isFatal }: Told, unit: string): Outcome {
  const often = times === 1 ? '' : `, ${times} times`;
  const found = `${why}. The log has${often}: ${shortened(quote)}`;
  const change = lines.length === 0 ? null : `${inUnit(unit, lines)}; then sudo systemctl restart ${unit}`;
  return isFatal ? problem(directive, found, change) : warning(directive, found, change);
}

/** Characters of a line of the log that are enough to find it again. */
const most = 200;

function shortened(text: string): string {
  return text.length <= most ? text : `${text.slice(0, most)} …`;
}
