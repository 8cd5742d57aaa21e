import { closest } from '../../config/spelling.js';
import type { Facts } from '../facts.js';
import { type Check, inPlist, type Outcome, ok, problem, unknown, warning } from '../finding.js';
import { stopOf } from '../units.js';

/** The job on macOS, as its file has it: launchd itself is not asked, and reads the file at a bootstrap only. */
export const launchdChecks: readonly Check[] = [
  installed,
  ...[exitTimeOut, keepAlive, harmful, files, spelling].map(ofPlist),
];

export type PlistValue = string | boolean | Plist;

/** A dictionary; numbers are strings of digits, arrays empty strings. */
export interface Plist {
  readonly [key: string]: PlistValue;
}

/** The outer dictionary of a property list in XML, as deep as dictionaries go; null where it is none. */
export function parsePlist(text: string): Plist | null {
  const plain = text.replaceAll(/<!--[\s\S]*?-->/g, '');
  const tokens = [...plain.matchAll(/<(\/?)(\w+)[^>]*?(\/?)>([^<]*)/g)].map(
    ([, close = '', name = '', empty = '', rest = '']) => ({
      name: `${close}${name}${empty}`,
      text: decode(rest),
    }),
  );
  const start = tokens.findIndex(({ name }) => name === 'dict');
  if (!/<plist\b/.test(plain) || start === -1) return null;
  return dictionary(tokens.slice(start + 1).values());
}

/** Every top-level key of launchd.plist(5) on macOS 15. */
export const plistKeys: readonly string[] = `
  AbandonProcessGroup AssociatedBundleIdentifiers BundleProgram Debug Disabled EnableGlobbing
  EnablePressuredExit EnableTransactions EnvironmentVariables ExitTimeOut GroupName HardResourceLimits
  InitGroups KeepAlive Label LaunchEvents LaunchOnlyOnce LegacyTimers LimitLoadFromHardware
  LimitLoadFromHosts LimitLoadToHardware LimitLoadToHosts LimitLoadToSessionType
  LowPriorityBackgroundIO LowPriorityIO MachServices MaterializeDatalessFiles Nice OnDemand
  ProcessType Program ProgramArguments QueueDirectories RootDirectory RunAtLoad SessionCreate Sockets
  SoftResourceLimits StandardErrorPath StandardInPath StandardOutPath StartCalendarInterval
  StartInterval StartOnMount ThrottleInterval TimeOut Umask UserName WaitForDebugger WatchPaths
  WorkingDirectory inetdCompatibility
`
  .trim()
  .split(/\s+/);

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
    return [unknown('job', `${path} is not installed or cannot be read`, 'sudo make install')];
  if (parsePlist(text) === null)
    return [unknown('job', `${path} is not an XML property list`, `sudo plutil -convert xml1 ${path}`)];
  return [ok('job', `${path}: read from the file; launchd uses the version of the last bootstrap`)];
}

/** launchd's own, launchd.plist(5). s */
const usualExitTimeOut = '20';

function exitTimeOut(
  { ExitTimeOut: seconds = usualExitTimeOut }: Plist,
  { settings: { config } }: Facts,
): readonly Outcome[] {
  const has = Number(seconds) * 1_000;
  const { longest, enough, settings } = stopOf(config);
  // 0 is no limit.
  if (has === 0 || has >= longest) return [ok('ExitTimeOut', `${seconds} s (${settings})`)];
  const found = `${seconds} s, and ${settings}: requests would be cut by SIGKILL`;
  return [problem('ExitTimeOut', found, inPlist('ExitTimeOut', `<integer>${enough}</integer>`))];
}

function keepAlive({ KeepAlive: value, EnvironmentVariables: variables }: Plist): readonly Outcome[] {
  const isTold = typeof variables === 'object' && variables.ROM_AGENT_SUPERVISOR === 'launchd';
  const told = isTold
    ? ok('ROM_AGENT_SUPERVISOR', 'launchd: errors that a restart cannot fix exit with 0')
    : problem(
        'ROM_AGENT_SUPERVISOR',
        'not set: after a configuration error launchd restarts the service forever',
        inPlist(
          'EnvironmentVariables',
          '<dict><key>ROM_AGENT_SUPERVISOR</key><string>launchd</string></dict>',
        ),
      );
  const onFailure = inPlist('KeepAlive', '<dict><key>SuccessfulExit</key><false/></dict>');
  if (typeof value === 'object' && value.SuccessfulExit === false)
    return [ok('KeepAlive', 'after a failure'), told];
  if (value === true) return [warning('KeepAlive', 'always: launchd undoes a stop at once', onFailure), told];
  return [problem('KeepAlive', 'no restart after a failure: a failed master stays down', onFailure), told];
}

const wrong: Readonly<Record<string, string>> = {
  AbandonProcessGroup: 'workers outlive a killed master',
  EnableTransactions: 'launchd may SIGKILL the service while it seems idle',
  EnablePressuredExit: 'launchd may SIGKILL the service while it seems idle',
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
      return warning(key, 'unknown key: launchd ignores it', guess === undefined ? null : `${guess}?`);
    });
}

interface Token {
  readonly name: string;
  readonly text: string;
}

function dictionary(tokens: IterableIterator<Token>): Plist {
  const found: Record<string, PlistValue> = {};
  let key = '';
  for (let next = tokens.next(); next.done !== true && next.value.name !== '/dict'; next = tokens.next()) {
    const { name, text } = next.value;
    if (name === 'key') key = text;
    else if (!name.startsWith('/')) found[key] = readValue(next.value, tokens);
  }
  return found;
}

function readValue({ name, text }: Token, tokens: IterableIterator<Token>): PlistValue {
  switch (name) {
    case 'dict':
      return dictionary(tokens);
    case 'true/':
    case 'false/':
      return name === 'true/';
    case 'array':
      return skipArray(tokens);
    default:
      return text;
  }
}

function skipArray(tokens: IterableIterator<Token>): '' {
  let depth = 1;
  while (depth > 0) {
    const next = tokens.next();
    if (next.done === true) return '';
    depth += { array: 1, '/array': -1 }[next.value.name] ?? 0;
  }
  return '';
}

function decode(text: string): string {
  return text.replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&amp;', '&');
}
