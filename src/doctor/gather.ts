import { dirname } from 'node:path';
import { parseEnv } from 'node:util';
import { attempt, limitIn, readCgroups } from '../config/cgroup.js';
import { inspectConfig, type LoadInput } from '../config/load.js';
import { type MachineSeam, readMachine } from '../config/machine.js';
import { isInFleet } from '../protocol/fleet.js';
import type { Config } from '../settings/config.js';
import type {
  Account,
  DaemonFacts,
  DescriptorFacts,
  DoctorSeam,
  Facts,
  MachineFacts,
  NodeFacts,
  Place,
  PortFacts,
  SecretFile,
  SystemdFacts,
} from './facts.js';
import { inputOf, isRoot, systemdFacts } from './systemd.js';
import { isInUse, type ServiceUnit } from './units.js';

export interface GatherInput {
  readonly seam: DoctorSeam;
  /** What loadConfig takes, of the process that asks. */
  readonly input: LoadInput;
  /** The service to look at; null: none, whatever is installed. */
  readonly unitName: string | null;
}

export async function gather({ seam, input: own, unitName }: GatherInput): Promise<Facts> {
  const systemd = unitName === null ? null : await systemdFacts(seam, unitName);
  const unit = systemd?.unit ?? null;
  const machine = machineFacts(seam, unit);
  const { input, unreadable } = unit === null ? { input: own, unreadable: [] } : inputOf(unit, own);
  const { loaded, problems } = await inspectConfig({ ...input, machine });
  const { config } = loaded;
  const daemon = mayAsk(unit, config) ? await daemonOf(seam, unit, config) : notAsked;
  return {
    platform: seam.platform,
    now: seam.now,
    settings: {
      ...{ config, problems, unreadable },
      ...{ effective: loaded.effective, file: loaded.file, asUnit: unit?.name ?? null },
    },
    node: nodeFacts(seam, unit),
    systemd,
    launchd: seam.platform === 'darwin' ? launchdFacts(seam) : null,
    daemon,
    redis: isInFleet(config.fleet) ? await seam.probeRedis(config.fleet) : null,
    port: await portFacts(seam, { config, systemd }),
    machine,
    descriptors: descriptorFacts(seam, { pid: daemon.state === 'runs' ? daemon.pid : null, unit }),
    sysctl: (name) => attempt(seam.readFile, `/proc/sys/${name.replaceAll('.', '/')}`)?.trim() ?? null,
    account: await accountOf(seam, unit),
    places: placesOf(seam, config, unit === null),
    secrets: secretFiles(seam, filesWithSettings({ cwd: input.cwd, file: loaded.file, unit })),
  };
}

const notAsked: DaemonFacts = {
  state: 'unknown',
  why: 'not asked: connecting to a control socket held by systemd would start the service',
};

/** Two units with one control socket, as a copy of a unit has it, are taken for one service by the commands. */
async function daemonOf(
  seam: DoctorSeam,
  unit: ServiceUnit | null,
  { controlSocket: path }: Config,
): Promise<DaemonFacts> {
  const daemon = await seam.ask(path);
  if (unit === null || daemon.state !== 'runs' || daemon.pid === unit.mainPid) return daemon;
  const cgroups = attempt(seam.readFile, `/proc/${daemon.pid}/cgroup`);
  const isOwn = cgroups === undefined || cgroups.split(/[/\n]/).includes(unit.name);
  return isOwn ? daemon : { state: 'other', pid: daemon.pid, path };
}

/** A control socket that the daemon made itself is in the runtime directory, and gone with it. */
function mayAsk(unit: ServiceUnit | null, { controlSocket }: Config): boolean {
  if (unit === null || unit.mainPid !== 0) return true;
  return unit.runtimeDirectories.some((directory) => controlSocket.startsWith(`${directory}/`));
}

function nodeFacts(seam: DoctorSeam, unit: ServiceUnit | null): NodeFacts {
  const path = seam.realpath(seam.execPath);
  const unitPath = unit?.execStart[0]?.[0] ?? null;
  const isUnitsNode = unitPath === null || seam.realpath(unitPath) === path;
  return {
    version: seam.nodeVersion,
    path,
    unitPath,
    isUnitsNode,
    addon: whyNoAddon(seam),
    canReap: seam.canReap,
  };
}

function whyNoAddon({ loadAddon }: DoctorSeam): string | null {
  try {
    loadAddon();
    return null;
  } catch (error) {
    return (error instanceof Error ? error.message : String(error)).split('\n')[0] ?? '';
  }
}

const plist = '/Library/LaunchDaemons/org.rom-agent.plist';

function launchdFacts({ readFile }: DoctorSeam) {
  return { path: plist, text: attempt(readFile, plist) ?? null };
}

async function portFacts(
  seam: DoctorSeam,
  { config: { kind, port, host }, systemd }: { config: Config; systemd: SystemdFacts | null },
): Promise<PortFacts> {
  const state = 'not looked at';
  if (host?.startsWith('/')) return { state, why: `a unix socket, ${host}` };
  if (kind === 'process') return { state, why: 'none is needed with kind process' };
  if (port === 0) return { state, why: 'port 0: any free port' };
  const socket = systemd?.socket ?? null;
  if (socket !== null && isInUse(socket)) return { state, why: `${socket.name} holds the sockets` };
  const { activeState = '' } = systemd?.unit ?? {};
  // To listen there for a moment could be in its way.
  if (/^(activating|deactivating)$/.test(activeState)) return { state, why: `the service is ${activeState}` };
  const code = await seam.tryListen({ port, host });
  if (code === null) return { state: 'free' };
  return code === 'EADDRINUSE'
    ? { state: 'taken', holder: seam.portHolder(port) }
    : { state: 'refused', code };
}

function filesWithSettings({
  cwd,
  file,
  unit,
}: {
  cwd: string;
  file: string | null;
  unit: ServiceUnit | null;
}): readonly string[] {
  const environment = unit?.environmentFiles.map(({ path }) => path) ?? [];
  return [`${cwd}/.env`, ...(file === null ? [] : [file]), ...environment];
}

const mebibyte = 2 ** 20;

/** What the daemon may use: of this process's place in the machine, or of the unit's. */
export function machineFacts(own: MachineSeam, unit: ServiceUnit | null): MachineFacts {
  const seam = unit === null ? own : within(own, unit);
  const machine = readMachine(seam);
  const {
    memoryMax = Infinity,
    memoryHigh = Infinity,
    cpuQuota = Infinity,
    tasksMax = Infinity,
  } = unit ?? {};
  const memory = Math.floor(Math.min(memoryMax, memoryHigh) / mebibyte);
  const cpus = Math.max(1, Math.ceil(cpuQuota));
  return {
    ...machine,
    ...(memory < machine.memory ? { memory, memoryFrom: memoryNameOf(unit), memoryIsLimited: true } : {}),
    ...(cpus < machine.cpus ? { cpus, cpusFrom: `CPUQuota=${Math.round(cpuQuota * 100)}%` } : {}),
    hierarchy: hierarchyOf(own),
    memoryHigh: memoryHigh / mebibyte,
    memoryInAll: Math.floor(own.totalmem() / mebibyte),
    tasks: Math.min(tasksMax, taskLimit(seam)),
  };
}

/** Of a daemon that runs what it has, else what this process would hand on to it. */
export function descriptorFacts(
  { readFile, platform }: MachineSeam,
  { pid, unit }: { pid: number | null; unit: ServiceUnit | null },
): DescriptorFacts {
  const running = pid === null ? null : openFilesIn(attempt(readFile, `/proc/${pid}/limits`));
  if (running !== null) return { limit: running, of: `pid ${pid}` };
  if (unit !== null) return { limit: unit.descriptors, of: unit.name };
  const of = 'this shell';
  return { limit: platform === 'linux' ? openFilesIn(attempt(readFile, '/proc/self/limits')) : null, of };
}

function memoryNameOf(unit: ServiceUnit | null): string {
  return unit !== null && unit.memoryHigh < unit.memoryMax ? 'MemoryHigh=' : 'MemoryMax=';
}

/** `Max open files            1024                 524288               files`: soft, then hard. */
function openFilesIn(limits: string | undefined): number | null {
  const hard = /^Max open files\s+\S+\s+(\S+)/m.exec(limits ?? '')?.[1];
  if (hard === undefined) return null;
  return hard === 'unlimited' ? Number.POSITIVE_INFINITY : Number(hard);
}

/** Reads of this process become reads of the unit's, or of the cgroup that it will be in. */
function within(own: MachineSeam, { mainPid, controlGroup }: ServiceUnit): MachineSeam {
  const future = ['0::', '1:cpu,cpuacct:', '2:memory:', '3:pids:'].map((id) => `${id}${controlGroup}\n`);
  const readFile = (path: string) => {
    if (mainPid !== 0 && /^\/proc\/self\/(cgroup|status)$/.test(path))
      return own.readFile(path.replace('self', String(mainPid)));
    return path === '/proc/self/cgroup' ? future.join('') : own.readFile(path);
  };
  return { ...own, readFile };
}

function taskLimit(seam: MachineSeam): number {
  if (seam.platform !== 'linux') return Number.POSITIVE_INFINITY;
  const cgroups = readCgroups(seam);
  const directories = [
    ...cgroups({ version: 'v2', controller: '' }),
    ...cgroups({ version: 'v1', controller: 'pids' }),
  ];
  return Math.min(...directories.map((path) => limitIn(attempt(seam.readFile, `${path}/pids.max`))));
}

/** v1 where memory is one of its controllers, whatever else is mounted beside it. */
function hierarchyOf({ readFile, platform }: MachineSeam): 'v1' | 'v2' | null {
  const mounts = platform === 'linux' ? (attempt(readFile, '/proc/self/mountinfo') ?? '') : '';
  if (/ - cgroup \S+ \S*\bmemory\b/.test(mounts)) return 'v1';
  return / - cgroup2 /.test(mounts) ? 'v2' : null;
}

/** What the service reads and writes. */
export function placesOf(seam: DoctorSeam, config: Config, isSelf: boolean): readonly Place[] {
  const place = (what: string, path: string, need: Place['need'], counts = false): Place => {
    const steps = stepsOf(seam, path);
    const there = steps.find(({ stats }) => stats !== null)?.path ?? '/';
    const isThere = steps[0]?.stats != null;
    return {
      what,
      path,
      need,
      steps,
      // What is not there yet is made by the service: its parent has to let it.
      access: isSelf ? seam.mayAccess(there, isThere ? need : 'write') : null,
      space: counts ? seam.space(there) : null,
    };
  };
  const { app, stateDir, log, controlSocket, host, jobs } = config;
  return [
    ...(app === null ? [] : [place('app', app, 'read')]),
    ...jobs.flatMap(({ name, work }) =>
      work.kind === 'module' ? [place(`jobs.${name}.module`, work.path, 'read')] : [],
    ),
    place('state_dir', stateDir, 'write', true),
    ...(log.dir === null ? [] : [place('log.dir', log.dir, 'write', true)]),
    place('control_socket', dirname(controlSocket), 'write'),
    ...(host?.startsWith('/') ? [place('host', dirname(host), 'write')] : []),
  ];
}

export async function accountOf(seam: DoctorSeam, unit: ServiceUnit | null): Promise<Account> {
  if (unit === null) return { kind: 'known', name: seam.userName, uid: seam.uid, gids: seam.gids };
  if (unit.dynamicUser) {
    const { stateDirectories, otherDirectories, environmentFiles } = unit;
    const [file] = environmentFiles;
    return {
      kind: 'dynamic',
      directories: [...stateDirectories, ...otherDirectories],
      environmentFile: file?.path ?? null,
    };
  }
  if (isRoot(unit)) return { kind: 'known', name: 'root', uid: 0, gids: [0] };
  const [uid, gids] = await Promise.all([
    seam.run('id', ['-u', unit.user]),
    seam.run('id', ['-G', unit.user]),
  ]);
  if (uid === null || gids === null) return { kind: 'unknown', name: unit.user };
  return { kind: 'known', name: unit.user, uid: Number(uid), gids: gids.trim().split(' ').map(Number) };
}

function stepsOf(seam: DoctorSeam, path: string): Place['steps'] {
  const real = seam.realpath(path);
  const steps = [real];
  for (let up = dirname(real); up !== steps.at(-1); up = dirname(up)) steps.push(up);
  return steps.map((step) => ({ path: step, stats: seam.stat(step) }));
}

/** Files with variables or settings in them. Their values are read to see the names, and go nowhere. */
export function secretFiles(seam: DoctorSeam, paths: readonly string[]): readonly SecretFile[] {
  return paths.flatMap((path) => {
    const stats = seam.stat(path);
    if (stats === null || stats.isDirectory) return [];
    return [{ path, stats, names: secretsIn(attempt(seam.readFile, path) ?? '') }];
  });
}

/** What ends so names the file that has the secret. */
const namesFile = /_file$/i;
const secret = /pass|secret|token|credential|private|api_?key|access_?key|_key$|dsn$|database_url|auth/i;

/** A URL with a password in it is one, whatever it is called. */
function secretsIn(text: string): readonly string[] {
  return Object.entries(parseEnv(text))
    .filter(
      ([name, value]) =>
        (secret.test(name) && !namesFile.test(name)) || /^\w+:\/\/[^/@\s]*:[^/@\s]+@/.test(value ?? ''),
    )
    .map(([name]) => name);
}
