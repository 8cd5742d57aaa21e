import { showDuration } from '../../config/kinds.js';
import { closest } from '../../config/spelling.js';
import { killGrace, reapGrace } from '../../protocol/limits.js';
import { inPlist } from '../changes.js';
import type { Facts } from '../facts.js';
import { type Check, type Outcome, ok, problem, unknown, warning } from '../finding.js';
import { type Plist, parsePlist } from '../plist.js';
import { plistKeys } from '../plist-keys.js';
import { roundSeconds } from '../spans.js';

/** The job on macOS, as its file has it: launchd itself is not asked, and reads the file at a bootstrap only. */
export const launchdChecks: readonly Check[] = [
  installed,
  ...[exitTimeOut, keepAlive, harmful, files, spelling].map(ofPlist),
];

function ofPlist(judge: (plist: Plist, facts: Facts) => readonly Outcome[]): Check {
  return (facts) => {
    const plist = parsePlist(facts.launchd?.text ?? '');
    return plist === null ? [] : judge(plist, facts);
  };
}

function installed({ launchd }: Facts): readonly Outcome[] {
  if (launchd === null) return [];
  const { path, text } = launchd;
  if (text === null)
    return [unknown('job', `${path} is not installed, or may not be read`, 'sudo make install')];
  if (parsePlist(text) === null)
    return [unknown('job', `${path} is no property list in XML`, `sudo plutil -convert xml1 ${path}`)];
  return [ok('job', `${path}: looked at by reading the file; launchd has it as of the last bootstrap`)];
}

/** launchd's own, launchd.plist(5). s */
const usualExitTimeOut = '20';

function exitTimeOut(
  { ExitTimeOut: seconds = usualExitTimeOut }: Plist,
  { settings: { config } }: Facts,
): readonly Outcome[] {
  const has = Number(seconds) * 1_000;
  const longest = config.drainTimeout + killGrace + reapGrace;
  const drain = `drain_timeout is ${showDuration(config.drainTimeout)}`;
  // 0 is no limit.
  if (has === 0 || has >= longest) return [ok('ExitTimeOut', `${seconds} s (${drain})`)];
  const found = `${seconds} s, and ${drain}: requests would be cut by SIGKILL`;
  const enough = roundSeconds(config.drainTimeout + 15_000);
  return [problem('ExitTimeOut', found, inPlist('ExitTimeOut', `<integer>${enough}</integer>`))];
}

function keepAlive({ KeepAlive: value, EnvironmentVariables: variables }: Plist): readonly Outcome[] {
  const isTold = typeof variables === 'object' && variables.ROM_AGENT_SUPERVISOR === 'launchd';
  const told = isTold
    ? ok('ROM_AGENT_SUPERVISOR', 'launchd: what cannot get better by trying again ends with 0')
    : problem(
        'ROM_AGENT_SUPERVISOR',
        'it is not set: with an error in the configuration launchd tries for ever',
        inPlist(
          'EnvironmentVariables',
          '<dict><key>ROM_AGENT_SUPERVISOR</key><string>launchd</string></dict>',
        ),
      );
  const onFailure = inPlist('KeepAlive', '<dict><key>SuccessfulExit</key><false/></dict>');
  if (typeof value === 'object' && value.SuccessfulExit === false)
    return [ok('KeepAlive', 'after a failure'), told];
  if (value === true) return [warning('KeepAlive', 'always: a stop is undone at once', onFailure), told];
  return [problem('KeepAlive', 'none after a failure: a master that ends stays down', onFailure), told];
}

const wrong: Readonly<Record<string, string>> = {
  AbandonProcessGroup: 'workers would outlive a master that was killed',
  EnableTransactions: 'launchd may SIGKILL it while it seems idle',
  EnablePressuredExit: 'launchd may SIGKILL it while it seems idle',
};

function harmful(plist: Plist): readonly Outcome[] {
  return Object.entries(wrong)
    .filter(([key]) => plist[key] === true)
    .map(([key, why]) => problem(key, `true: ${why}`, inPlist(key, '<false/>')));
}

function files({ HardResourceLimits: hard }: Plist): readonly Outcome[] {
  const limit = typeof hard === 'object' ? Number(hard.NumberOfFiles ?? 0) : 0;
  if (limit >= 1_024) return [ok('NumberOfFiles', String(limit))];
  const found = `${limit === 0 ? 'not set: 256 are usual' : limit}, fewer than a busy worker has connections`;
  return [
    warning(
      'NumberOfFiles',
      found,
      inPlist('HardResourceLimits', '<dict><key>NumberOfFiles</key><integer>10240</integer></dict>'),
    ),
  ];
}

/** launchd ignores a key that it does not know, and no linter complains. */
function spelling(plist: Plist): readonly Outcome[] {
  return Object.keys(plist)
    .filter((key) => !plistKeys.includes(key))
    .map((key) => {
      const guess = closest(key, plistKeys);
      return warning(
        key,
        'launchd knows no such key, and ignores it',
        guess === undefined ? null : `${guess}?`,
      );
    });
}
