import { killGrace, reapGrace } from '../protocol/limits.js';
import type { Config } from '../settings/config.js';
import { showDuration } from '../settings/kinds.js';

/** A service as systemd has loaded it: systemd.service(5), systemd.exec(5), systemd.resource-control(5). Times in ms. */
export interface ServiceUnit {
  readonly name: string;
  readonly activeState: string;
  readonly subState: string;
  readonly result: string;
  readonly exitStatus: number;
  readonly statusText: string;
  readonly restarts: number;
  readonly unitFileState: string;
  /** Whether the files have been changed since they were loaded. */
  readonly outdated: boolean;
  readonly dropIns: readonly string[];
  readonly type: string;
  readonly notifyAccess: string;
  readonly killMode: string;
  readonly restart: string;
  readonly neverRestarted: readonly string[];
  readonly oomPolicy: string;
  readonly startLimit: number;
  readonly timeoutStart: number;
  readonly timeoutStop: number;
  readonly timeoutAbort: number;
  /** 0: none; null: unknown */
  readonly watchdog: number | null;
  /** One argument vector for each ExecStart=. */
  readonly execStart: readonly (readonly string[])[];
  readonly execReload: readonly (readonly string[])[];
  /** 0 while it does not run. */
  readonly mainPid: number;
  /** Of its cgroup, or the one that it will have. */
  readonly controlGroup: string;
  /** Bytes; Infinity: no limit. */
  readonly memoryMax: number;
  readonly memoryHigh: number;
  /** CPUs; Infinity: no limit. */
  readonly cpuQuota: number;
  readonly tasksMax: number;
  readonly descriptors: number;
  /** Empty: root. */
  readonly user: string;
  readonly dynamicUser: boolean;
  readonly environment: Readonly<Record<string, string>>;
  readonly environmentFiles: readonly { readonly path: string; readonly optional: boolean }[];
  /** Empty: `/`. */
  readonly workingDirectory: string;
  /** Absolute; systemd makes them for the service, which may write into them. */
  readonly stateDirectories: readonly string[];
  readonly runtimeDirectories: readonly string[];
  readonly otherDirectories: readonly string[];
  readonly readWritePaths: readonly string[];
  /** Paths that have to be there, or the service is not even started (226); by directive. */
  readonly needed: readonly { readonly directive: string; readonly path: string }[];
  readonly protectSystem: string;
  readonly protectHome: string;
  readonly privateTmp: boolean;
  readonly privateUsers: boolean;
  readonly ambientCapabilities: readonly string[];
  readonly memoryDenyWriteExecute: boolean;
  readonly procSubset: string;
  /** The ID of the last start; empty before the first one. */
  readonly invocation: string;
}

/** What is asked for: `systemctl show -p`. */
export const serviceProperties = [
  ...['LoadState', 'ActiveState', 'SubState', 'Result', 'ExecMainStatus', 'StatusText', 'NRestarts'],
  ...['UnitFileState', 'NeedDaemonReload', 'DropInPaths', 'Type', 'NotifyAccess', 'KillMode', 'Restart'],
  ...['RestartPreventExitStatus', 'OOMPolicy', 'StartLimitIntervalUSec', 'TimeoutStartUSec'],
  ...['TimeoutStopUSec', 'TimeoutAbortUSec', 'WatchdogUSec', 'ExecStart', 'ExecReload', 'MainPID', 'Slice'],
  ...['ControlGroup', 'MemoryMax', 'MemoryHigh', 'CPUQuotaPerSecUSec', 'TasksMax', 'LimitNOFILE', 'User'],
  ...['DynamicUser', 'Environment', 'EnvironmentFiles', 'WorkingDirectory', 'StateDirectory'],
  ...['RuntimeDirectory', 'LogsDirectory', 'CacheDirectory', 'ReadWritePaths', 'ProtectSystem'],
  ...['ReadOnlyPaths', 'InaccessiblePaths', 'BindPaths', 'BindReadOnlyPaths'],
  ...['ProtectHome', 'PrivateTmp', 'PrivateUsers', 'AmbientCapabilities', 'MemoryDenyWriteExecute'],
  ...['ProcSubset', 'InvocationID'],
] as const;

export type Properties = ReadonlyMap<string, readonly string[]>;

/** The output of `systemctl show`: a line a value, several of one name where there are several. */
export function parseProperties(text: string): Properties {
  const found = new Map<string, string[]>();
  for (const line of text.split('\n')) {
    const equals = line.indexOf('=');
    if (equals === -1) continue;
    const name = line.slice(0, equals);
    found.set(name, [...(found.get(name) ?? []), line.slice(equals + 1)]);
  }
  return found;
}

export function isLoaded(properties: Properties): boolean {
  return properties.get('LoadState')?.[0] === 'loaded';
}

export function parseService(name: string, properties: Properties): ServiceUnit {
  const all = (key: string) => properties.get(key) ?? [];
  const text = (key: string) => all(key)[0] ?? '';
  const words = (key: string) => text(key).split(' ').filter(Boolean);
  const yes = (key: string) => text(key) === 'yes';
  const below = (root: string, key: string) => words(key).map((directory) => `${root}/${directory}`);
  return {
    name,
    activeState: text('ActiveState'),
    subState: text('SubState'),
    result: text('Result'),
    exitStatus: Number(text('ExecMainStatus')),
    statusText: text('StatusText'),
    restarts: Number(text('NRestarts')),
    unitFileState: text('UnitFileState'),
    outdated: yes('NeedDaemonReload'),
    dropIns: words('DropInPaths'),
    type: text('Type'),
    notifyAccess: text('NotifyAccess'),
    killMode: text('KillMode'),
    restart: text('Restart'),
    neverRestarted: words('RestartPreventExitStatus'),
    oomPolicy: text('OOMPolicy'),
    startLimit: parseSpan(text('StartLimitIntervalUSec')),
    timeoutStart: parseSpan(text('TimeoutStartUSec')),
    timeoutStop: parseSpan(text('TimeoutStopUSec')),
    timeoutAbort: parseSpan(text('TimeoutAbortUSec')),
    watchdog: watchdogOf(text('WatchdogUSec')),
    execStart: all('ExecStart').map(argumentsIn),
    execReload: all('ExecReload').map(argumentsIn),
    mainPid: Number(text('MainPID')),
    controlGroup: text('ControlGroup') || `${slicePath(text('Slice') || 'system.slice')}/${name}`,
    memoryMax: limitOf(text('MemoryMax')),
    memoryHigh: limitOf(text('MemoryHigh')),
    cpuQuota: limitOf(text('CPUQuotaPerSecUSec'), (value) => parseSpan(value) / 1_000),
    tasksMax: limitOf(text('TasksMax')),
    descriptors: limitOf(text('LimitNOFILE')),
    user: text('User'),
    dynamicUser: yes('DynamicUser'),
    environment: parseEnvironment(text('Environment')),
    environmentFiles: all('EnvironmentFiles').flatMap(environmentFile),
    workingDirectory: text('WorkingDirectory').replace(/^!/, ''),
    stateDirectories: below('/var/lib', 'StateDirectory'),
    runtimeDirectories: below('/run', 'RuntimeDirectory'),
    otherDirectories: [...below('/var/log', 'LogsDirectory'), ...below('/var/cache', 'CacheDirectory')],
    readWritePaths: words('ReadWritePaths').map((path) => path.replace(/^[-+]+/, '')),
    needed: neededDirectives.flatMap((directive) =>
      words(directive).flatMap((word) => pathThatMustBe(directive, word)),
    ),
    protectSystem: text('ProtectSystem'),
    protectHome: text('ProtectHome'),
    privateTmp: yes('PrivateTmp'),
    privateUsers: yes('PrivateUsers'),
    ambientCapabilities: words('AmbientCapabilities'),
    memoryDenyWriteExecute: yes('MemoryDenyWriteExecute'),
    procSubset: text('ProcSubset'),
    invocation: text('InvocationID'),
  };
}

const neededDirectives = [
  ...['ReadWritePaths', 'ReadOnlyPaths', 'InaccessiblePaths', 'BindPaths', 'BindReadOnlyPaths'],
] as const;

/** With a `-` in front it may be missing; of a bind mount it is the source, before the colon. */
function pathThatMustBe(directive: string, word: string): { directive: string; path: string }[] {
  const [path = ''] = word.split(':');
  return path.startsWith('/') || path.startsWith('+/') ? [{ directive, path: path.replace(/^\+/, '') }] : [];
}

/** `infinity`, `[not set]` and what is not there are no limit. */
function limitOf(text: string, parse: (value: string) => number = Number): number {
  const value = text === '' ? Number.NaN : parse(text);
  return Number.isNaN(value) ? Number.POSITIVE_INFINITY : value;
}

function watchdogOf(text: string): number {
  const ms = parseSpan(text);
  return Number.isFinite(ms) ? ms : 0;
}

/**
 * The limit of the watchdog as the files of a unit have it, from `systemctl cat`: systemd (252) says of a service that
 * does not run that it has none.
 */
export function watchdogInFiles(text: string): number | null {
  const last = [...text.matchAll(/^WatchdogSec=(.*)$/gm)].at(-1)?.[1] ?? '';
  const ms = parseWritten(last.trim());
  if (Number.isNaN(ms)) return null;
  return Number.isFinite(ms) ? ms : 0;
}

/** `{ path=/usr/bin/node ; argv[]=/usr/bin/node main.js serve ; ignore_errors=no ; ... }` */
function argumentsIn(text: string): readonly string[] {
  const [, line = ''] = /argv\[\]=(.*?) ; ignore_errors=/.exec(text) ?? [];
  return splitWords(line);
}

function environmentFile(text: string): { path: string; optional: boolean }[] {
  const [, path = '', optional] = /^(.*) \(ignore_errors=(yes|no)\)$/.exec(text) ?? [];
  return path === '' ? [] : [{ path, optional: optional === 'yes' }];
}

function parseEnvironment(text: string): Record<string, string> {
  const pairs = splitWords(text).map((word) => [
    word.slice(0, word.indexOf('=')),
    word.slice(word.indexOf('=') + 1),
  ]);
  return Object.fromEntries(pairs);
}

/** Words as systemd prints a list: one with spaces or quotes in it stands in double quotes, with backslashes. */
function splitWords(text: string): readonly string[] {
  const words = text.match(/"(?:[^"\\]|\\.)*"|\S+/g) ?? [];
  return words.map((word) => (word.startsWith('"') ? word.slice(1, -1).replaceAll(/\\(.)/g, '$1') : word));
}

/** `a-b.slice` is within `a.slice`: systemd.slice(5). */
function slicePath(slice: string): string {
  const parts = slice.replace(/\.slice$/, '').split('-');
  return parts.map((_, index) => `/${parts.slice(0, index + 1).join('-')}.slice`).join('');
}

/** The socket unit as systemd has loaded it: systemd.socket(5). */
export interface SocketUnit {
  readonly name: string;
  readonly activeState: string;
  readonly unitFileState: string;
  /** As `systemctl show` writes them, without the kind: `[::]:3000`, `/run/rom-agent.sock`. */
  readonly listens: readonly string[];
  /** Those of it that are no stream. */
  readonly unserved: readonly string[];
  readonly accept: boolean;
  readonly outdated: boolean;
}

export const socketProperties = [
  ...['LoadState', 'ActiveState', 'UnitFileState', 'Listen', 'Accept', 'NeedDaemonReload'],
] as const;

export function parseSocket(name: string, properties: Properties): SocketUnit {
  const text = (key: string) => properties.get(key)?.[0] ?? '';
  // One line with all of them, or a line for each: it depends on the version.
  const listens = [...(properties.get('Listen') ?? []).join(' ').matchAll(/(\S+) \((\w+)\)/g)];
  return {
    name,
    activeState: text('ActiveState'),
    unitFileState: text('UnitFileState'),
    listens: listens.map(([, address = '']) => address),
    unserved: listens.filter(([, , kind]) => kind !== 'Stream').map(([found]) => found),
    accept: text('Accept') === 'yes',
    outdated: text('NeedDaemonReload') === 'yes',
  };
}

/** Its TCP ports. */
export function portsOf({ listens }: SocketUnit): readonly number[] {
  return listens
    .filter((address) => !address.startsWith('/'))
    .map((address) => Number(address.split(':').at(-1)));
}

/** Whether systemd holds the sockets, or will at the next boot. */
export function isInUse({ activeState, unitFileState }: SocketUnit): boolean {
  return activeState === 'active' || unitFileState.startsWith('enabled');
}

/** Microseconds in each unit that systemd prints, systemd.time(7). */
const units: Readonly<Record<string, number>> = {
  us: 1,
  ms: 1_000,
  s: 1_000_000,
  min: 60_000_000,
  h: 3_600_000_000,
  d: 86_400_000_000,
  w: 604_800_000_000,
  month: 2_629_800_000_000,
  y: 31_557_600_000_000,
};

/** `1min 30s`, `1h 3.020000s`, `infinity`, `0` as `systemctl show` prints them; ms, NaN for anything else. */
export function parseSpan(text: string): number {
  if (text === 'infinity') return Number.POSITIVE_INFINITY;
  if (text === '0') return 0;
  const parts = text.split(' ').map(parsePart);
  return parts.reduce((sum, part) => sum + part, 0);
}

function parsePart(part: string): number {
  const [, number, unit = ''] = /^(\d+(?:\.\d+)?)([a-z]+)$/.exec(part) ?? [];
  return (Number(number) * (units[unit] ?? Number.NaN)) / 1_000;
}

/** How units of time may be written in a file, beside the short form. */
const longer: Readonly<Record<string, string>> = {
  ...{ msec: 'ms', sec: 's', second: 's', seconds: 's', m: 'min', minute: 'min', minutes: 'min' },
  ...{ hr: 'h', hour: 'h', hours: 'h', '': 's' },
};

/** A span as it is written in the file of a unit, such as `30`, `1min 30s`, `2 minutes`; ms, NaN for anything else. */
export function parseWritten(text: string): number {
  if (text === 'infinity') return Number.POSITIVE_INFINITY;
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)\s*([a-z]*)\s*/g)];
  if (parts.map(([part]) => part).join('') !== text) return Number.NaN;
  return parts.reduce(
    (sum, [, number = '', unit = '']) => sum + parsePart(number + (longer[unit] ?? unit)),
    0,
  );
}

/** Whole seconds for a unit, rounded up to five: what is written by hand is a round number. */
export function roundSeconds(ms: number): number {
  return Math.ceil(ms / 5_000) * 5;
}

/** What a unit gets beyond the drain, so that nobody works it out to the second. ms */
const usualMargin = 15_000;

/** How long a stop takes at most, ms; how many seconds a service manager should give it; and the settings that say so. */
export function stopOf({ lameDuck, drainTimeout }: Pick<Config, 'lameDuck' | 'drainTimeout'>): {
  readonly longest: number;
  readonly enough: number;
  readonly settings: string;
} {
  const limit = lameDuck + drainTimeout;
  const before = lameDuck === 0 ? '' : `lame_duck is ${showDuration(lameDuck)}, `;
  return {
    longest: limit + killGrace + reapGrace,
    enough: roundSeconds(limit + usualMargin),
    settings: `${before}drain_timeout is ${showDuration(drainTimeout)}`,
  };
}
