import { isDeepStrictEqual } from 'node:util';
import { type Key, keys, show } from '../../config/settings.js';
import { describeProblem } from '../../errors.js';
import type { Facts } from '../facts.js';
import { type Check, type Outcome, ok, problem, unknown, warning } from '../finding.js';

export const configurationChecks: readonly Check[] = [settings, environmentFiles, app, inEffect];

/** As `rom-agent check` reports them; what else is looked at has the defaults instead. */
function settings({ settings: { problems, file, asUnit, unreadable } }: Facts): readonly Outcome[] {
  const wrong = problems.map((found) =>
    problem('settings', describeProblem(found), `correct ${found.field}`),
  );
  if (wrong.length > 0) return wrong;
  const from = asUnit === null ? "this shell's flags, environment and .env" : `the environment of ${asUnit}`;
  const all = unreadable.length === 0 ? 'all' : 'those that could be read';
  return [ok('settings', `${all} are right: ${file ?? 'no file'}, ${from}`)];
}

function environmentFiles({ settings: { unreadable } }: Facts): readonly Outcome[] {
  return unreadable.map((path) =>
    unknown('settings', `${path} may not be read: what it sets is not known here`, 'sudo rom-agent doctor'),
  );
}

function app({ settings: { config, effective }, places }: Facts): readonly Outcome[] {
  if (config.app === null) return [ok('app', 'the built-in one')];
  const isThere = places.find(({ what }) => what === 'app')?.steps[0]?.stats != null;
  const found = `${config.app} (from ${effective.app.from})`;
  return [
    isThere
      ? ok('app', found)
      : problem('app', `${found} does not exist, or is out of sight`, 'correct app, or put the file there'),
  ];
}

/** What the daemon goes by, beside what it would after a restart. */
function inEffect({ daemon, settings: { effective, problems } }: Facts): readonly Outcome[] {
  if (daemon.state !== 'runs' || problems.length > 0) return [];
  const differing = keys.filter(
    (key) => key in daemon.settings && !isDeepStrictEqual(daemon.settings[key]?.value, effective[key].value),
  );
  if (differing.length === 0) return [ok('in effect', `pid ${daemon.pid} goes by the same settings`)];
  const each = differing.map((key: Key) => {
    const now = show(key, daemon.settings[key]?.value);
    return `${key} is ${now} there and ${show(key, effective[key].value)} here`;
  });
  const change = 'rom-agent reload, or a restart; where it has flags of its own, give them to doctor, too';
  return [warning('in effect', `pid ${daemon.pid} goes by other settings: ${each.join(', ')}`, change)];
}
