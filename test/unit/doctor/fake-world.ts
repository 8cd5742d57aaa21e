import type { LoadInput } from '../../../src/config/load.js';
import { examine } from '../../../src/doctor/examine.js';
import type { DaemonFacts, DoctorSeam, Facts, Space, Stats } from '../../../src/doctor/facts.js';
import type { Finding, Verdict } from '../../../src/doctor/finding.js';
import { gather } from '../../../src/doctor/gather.js';
import { fakeFiles, loadInput } from '../../support/load-input.js';

type Lines = Readonly<Record<string, string | readonly string[]>>;

/** A fake machine; unless told otherwise a server in order, with the shipped unit installed and running. */
export interface World extends Partial<Pick<DoctorSeam, 'platform' | 'now' | 'nodeVersion' | 'execPath'>> {
  readonly uid?: number;
  readonly env?: LoadInput['env'];
  readonly flags?: LoadInput['flags'];
  /** Contents by path; an Error is thrown. */
  readonly files?: Readonly<Record<string, string | Error>>;
  /** What is there beside the usual; null: not there. */
  readonly stats?: Readonly<Record<string, Partial<Stats> | null>>;
  /** What `systemctl show` says, over what it says of the shipped unit; null: not loaded. */
  readonly unit?: Lines | null;
  readonly socket?: Lines | null;
  /** `systemctl cat` of the unit. */
  readonly unitFiles?: string;
  /** Messages of the last start; without it the journal cannot be read. */
  readonly journal?: readonly string[];
  readonly systemdVersion?: string;
  /** Whether systemd runs the machine. */
  readonly booted?: boolean;
  readonly unitName?: string | null;
  readonly daemon?: DaemonFacts;
  /** Told of each control socket that is asked. */
  readonly redis?: Facts['redis'];
  readonly onAsk?: (controlSocket: string) => void;
  /** The error of listening. */
  readonly listens?: string | null;
  readonly holder?: { pid: number; name: string } | null;
  readonly addon?: Error | null;
  readonly space?: Space | null;
  readonly access?: (path: string) => boolean;
  /** Output of `id -u` and `id -G` by user. */
  readonly users?: Readonly<Record<string, { uid: number; gids: string }>>;
  /** GiB */
  readonly memory?: number;
  readonly cpus?: number;
}

/** `systemctl show` of the shipped unit under systemd 252, as far as it is asked for. */
export const shippedUnit: Lines = {
  LoadState: 'loaded',
  ActiveState: 'active',
  SubState: 'running',
  Result: 'success',
  ExecMainStatus: '0',
  StatusText: '4 of 4 workers ready',
  NRestarts: '0',
  UnitFileState: 'enabled',
  NeedDaemonReload: 'no',
  Type: 'notify',
  NotifyAccess: 'main',
  KillMode: 'mixed',
  Restart: 'on-failure',
  RestartPreventExitStatus: '64 77 78',
  OOMPolicy: 'continue',
  StartLimitIntervalUSec: '0',
  TimeoutStartUSec: '1min 30s',
  TimeoutStopUSec: '45s',
  TimeoutAbortUSec: '10s',
  WatchdogUSec: '30s',
  ExecStart: execLine('/usr/bin/node /usr/local/lib/rom-agent/dist/cli/main.js serve'),
  ExecReload: execLine('/usr/bin/node /usr/local/lib/rom-agent/dist/cli/main.js reload'),
  MainPID: '158',
  Slice: 'system.slice',
  ControlGroup: '/system.slice/rom-agent.service',
  MemoryMax: 'infinity',
  MemoryHigh: 'infinity',
  CPUQuotaPerSecUSec: 'infinity',
  TasksMax: '28909',
  LimitNOFILE: '524288',
  User: 'rom-agent',
  DynamicUser: 'yes',
  Environment: '',
  EnvironmentFiles: '/etc/default/rom-agent (ignore_errors=yes)',
  WorkingDirectory: '/var/lib/rom-agent',
  StateDirectory: 'rom-agent',
  RuntimeDirectory: 'rom-agent',
  LogsDirectory: 'rom-agent',
  ProtectSystem: 'strict',
  ProtectHome: 'yes',
  PrivateTmp: 'yes',
  PrivateUsers: 'yes',
  MemoryDenyWriteExecute: 'no',
  ProcSubset: 'all',
};

export const shippedSocket: Lines = {
  LoadState: 'loaded',
  ActiveState: 'inactive',
  UnitFileState: 'disabled',
  Listen: '[::]:3000 (Stream)',
  Accept: 'no',
  NeedDaemonReload: 'no',
};

export function execLine(line: string): string {
  const [path] = line.split(' ');
  return `{ path=${path} ; argv[]=${line} ; ignore_errors=no ; start_time=[n/a] ; stop_time=[n/a] ; pid=158 }`;
}

const inOrder: Readonly<Record<string, string>> = {
  '/proc/158/cgroup': '0::/system.slice/rom-agent.service\n',
  '/proc/158/limits':
    'Limit                     Soft Limit           Hard Limit           Units     \n' +
    'Max open files            524288               524288               files     \n',
  '/proc/self/limits': 'Max open files            1024                 1048576              files     \n',
  '/proc/self/cgroup': '0::/user.slice\n',
  '/proc/self/mountinfo': '26 25 0:23 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n',
  '/proc/sys/net/core/somaxconn': '4096\n',
  '/proc/sys/net/ipv4/tcp_max_syn_backlog': '4096\n',
  '/proc/sys/net/ipv4/tcp_syncookies': '1\n',
  '/proc/sys/net/ipv4/ip_local_port_range': '32768\t60999\n',
  '/proc/sys/net/ipv4/ip_unprivileged_port_start': '1024\n',
  '/proc/sys/fs/nr_open': '1048576\n',
};

const directory: Stats = { uid: 0, gid: 0, mode: 0o40755, isDirectory: true };
const file: Stats = { uid: 0, gid: 0, mode: 0o100644, isDirectory: false };

/** What is there by default. */
const there: Readonly<Record<string, Stats>> = {
  ...Object.fromEntries(
    [
      '/',
      '/etc',
      '/run',
      '/run/rom-agent',
      '/run/systemd/system',
      '/srv',
      '/srv/shop',
      '/usr',
      '/usr/bin',
      '/var',
    ].map((path) => [path, directory]),
  ),
  ...Object.fromEntries(['/var/lib', '/var/lib/rom-agent', '/var/log'].map((path) => [path, directory])),
  '/usr/bin/node': file,
  '/usr/local/lib/rom-agent/dist/cli/main.js': file,
};

export function fakeSeam(world: World = {}): DoctorSeam {
  const {
    platform = 'linux',
    addon = null,
    users = {},
    booted = true,
    space = { bytes: 2 ** 40, inodes: 1e6 },
  } = world;
  return {
    platform,
    now: world.now ?? Date.parse('2026-11-24T12:00:00Z'),
    nodeVersion: world.nodeVersion ?? '24.11.0',
    execPath: world.execPath ?? '/usr/bin/node',
    uid: world.uid ?? 0,
    gids: [world.uid ?? 0],
    userName: 'root',
    readFile: fakeFiles({ ...inOrder, ...world.files }),
    availableParallelism: () => world.cpus ?? 4,
    totalmem: () => (world.memory ?? 16) * 2 ** 30,
    run: async (program, args) => outputOf(world, users, [program, ...args]),
    stat: (path) => statsOf(path, { ...world.stats, ...(booted ? {} : { '/run/systemd/system': null }) }),
    mayAccess: (path) => world.access?.(path) ?? true,
    realpath: (path) => path,
    space: () => space,
    tryListen: async () => world.listens ?? null,
    portHolder: () => world.holder ?? null,
    ask: async (controlSocket) => {
      world.onAsk?.(controlSocket);
      return world.daemon ?? { state: 'none' };
    },
    probeRedis: async () => world.redis ?? { shown: null, error: 'none', info: {}, aheadMs: null },
    canReap: () => false,
    loadAddon: () => {
      if (addon !== null) throw addon;
    },
  };
}

export function fakeFacts(world: World = {}): Promise<Facts> {
  const { env = {}, flags = {}, files = {}, platform = 'linux', unitName = 'rom-agent.service' } = world;
  return gather({ seam: fakeSeam(world), input: loadInput({ env, flags, files, platform }), unitName });
}

export interface Examined {
  readonly findings: readonly Finding[];
  /** The outcomes of one check, as `verdict: found`. */
  of(check: string): readonly string[];
  /** The only one. */
  one(check: string): Finding;
  /** The checks with this verdict. */
  those(verdict: Verdict): readonly string[];
}

export async function examined(world: World = {}): Promise<Examined> {
  const findings = examine(await fakeFacts(world));
  const named = (check: string) => findings.filter((finding) => finding.check === check);
  return {
    findings,
    of: (check) => named(check).map(({ verdict, found }) => `${verdict}: ${found}`),
    one: (check) => {
      const [finding, ...more] = named(check);
      if (finding === undefined || more.length > 0)
        throw new Error(`${named(check).length} findings of ${check}`);
      return finding;
    },
    those: (verdict) => findings.filter((finding) => finding.verdict === verdict).map(({ check }) => check),
  };
}

function statsOf(path: string, more: World['stats'] = {}): Stats | null {
  const own = more[path];
  if (own === null) return null;
  return own === undefined ? (there[path] ?? null) : { ...file, ...own };
}

function outputOf(world: World, users: NonNullable<World['users']>, argv: readonly string[]): string | null {
  const [program, verb, name = ''] = argv;
  if (program === 'id') {
    const user = users[name];
    return user === undefined ? null : `${verb === '-u' ? user.uid : user.gids}\n`;
  }
  if (verb === '--version') return world.systemdVersion ?? 'systemd 257 (257.9-1~deb13u1)\n+PAM\n';
  if (verb === 'cat') return world.unitFiles ?? '[Service]\nWatchdogSec=30\n';
  if (program === 'journalctl')
    return world.journal?.map((MESSAGE) => `${JSON.stringify({ MESSAGE })}\n`).join('') ?? null;
  const [usual, own] = name.endsWith('.socket') ? [shippedSocket, world.socket] : [shippedUnit, world.unit];
  return own === null ? 'LoadState=not-found\n' : lines({ ...usual, ...own });
}

function lines(properties: Lines): string {
  return Object.entries(properties)
    .flatMap(([name, values]) => [values].flat().map((value) => `${name}=${value}\n`))
    .join('');
}
