import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { processes } from '../support/proc.js';
import { repoRoot, signalPid } from '../support/process.js';
import { waitFor } from '../support/wait.js';
import { type CommandResult, command } from './command.js';
import { whyNoMachine } from './requirements.js';

/** Where the repository and the node of this process are seen inside, whatever ProtectHome= or PrivateTmp= hide. */
export const inside = { repo: '/opt/rom-agent-repo', node: '/opt/rom-agent-node' } as const;

/** A running systemd. */
export interface Booted {
  /** Of its PID 1, as this side sees it. */
  readonly pid: number;
  readonly name: string;
  /** Powers off, kills what does not go, leaves nothing behind. */
  shutdown(): Promise<void>;
}

/**
 * Boots the system of this machine's own disk under systemd-nspawn, over an overlay that forgets everything.
 * Only what a service needs is started (sysinit, D-Bus, the journal): no database or mail server of the host.
 * Loopback is the host's. Throws an Error with the end of the console's output when it does not come up in 60 s.
 */
export async function boot(): Promise<Booted> {
  const reason = whyNoMachine();
  if (reason !== null) throw new Error(`cannot boot a systemd: ${reason}`);
  const place = preparePlace();
  const nspawn = launch(place);
  const cleanUp = () => {
    nspawn.kill('SIGKILL');
    removePlace(place);
  };
  process.once('exit', cleanUp);
  const stopListening = onSignals(() => process.exit(130));
  const shutdown = async () => {
    await powerOff(nspawn);
    stopListening();
    process.off('exit', cleanUp);
    removePlace(place);
  };
  try {
    return { name: place.name, pid: await comesUp(nspawn, place), shutdown };
  } catch (error) {
    await shutdown();
    throw error;
  }
}

/** Runs a program in the namespaces of the machine. */
export function enter(pid: number, argv: readonly string[], options?: Parameters<typeof command>[1]) {
  return command(['nsenter', '-t', String(pid), '-m', '-p', '-u', '-i', '-C', ...argv], options);
}

interface Place {
  readonly name: string;
  readonly folder: string;
  readonly cgroups: readonly string[];
}

function preparePlace(): Place {
  const name = `rom-agent-test-${randomBytes(4).toString('hex')}`;
  const folder = mkdtempSync(`/tmp/${name}-`);
  mkdirSync(join(folder, 'root'));
  writeFileSync(join(folder, 'rom-agent-test.target'), bootTarget);
  return { name, folder, cgroups: underSystemd() ? [] : ownCgroups(name) };
}

/** Instead of default.target, which would start the services of the host a second time. */
const bootTarget = `[Unit]
Description=What the tests of rom-agent need
Requires=sysinit.target
Wants=dbus.socket dbus.service
After=sysinit.target dbus.service
AllowIsolate=yes
`;

/**
 * The mount is made in a mount namespace of its own and the process dies with this one: even a kill -9 of the
 * test run leaves no mount and no machine.
 */
function launch({ name, folder, cgroups }: Place): ChildProcess {
  const root = join(folder, 'root');
  const script = `set -e; for dir in ${cgroups.join(' ')}; do mkdir -p $dir; echo $$ > $dir/cgroup.procs || :; done
    mount --bind / ${root}; exec systemd-nspawn "$@"`;
  const nspawn = [
    ...['-D', root, '-M', name, '--volatile=overlay', '--register=no', '--keep-unit', '--console=read-only'],
    `--bind-ro=${repoRoot}:${inside.repo}`,
    `--bind-ro=${process.execPath}:${inside.node}`,
    `--bind-ro=${join(folder, 'rom-agent-test.target')}:/etc/systemd/system/rom-agent-test.target`,
    // The journal of the host is not read, and not copied up by a first write.
    ...['--tmpfs=/var/log/journal', '-b', '--', 'systemd.unit=rom-agent-test.target'],
  ];
  const scope = ['systemd-run', '--scope', '--quiet', '--collect', '-p', 'Delegate=yes', `--unit=${name}`];
  const argv = [
    ...['--pdeathsig', 'KILL', ...(underSystemd() ? scope : [])],
    ...['unshare', '--mount', '--propagation', 'private', 'sh', '-c', script, 'sh', ...nspawn],
  ];
  return spawn('setpriv', argv, { stdio: ['ignore', 'pipe', 'pipe'] });
}

async function comesUp(nspawn: ChildProcess, { name }: Place): Promise<number> {
  const output: string[] = [];
  nspawn.stdout?.on('data', (chunk: Buffer) => output.push(`${chunk}`));
  nspawn.stderr?.on('data', (chunk: Buffer) => output.push(`${chunk}`));
  const died = new Promise<never>((_, reject) => {
    nspawn.once('error', reject);
    nspawn.once('exit', (code, signal) => reject(new Error(`systemd-nspawn ended (${code ?? signal})`)));
  });
  died.catch(() => {});
  try {
    const pid = await Promise.race([died, firstProcess(nspawn.pid ?? 0)]);
    await Promise.race([died, reachesState(pid)]);
    return pid;
  } catch (error) {
    const tail = output.join('').split('\n').slice(-30).join('\n');
    throw new Error(`${name} did not boot: ${error}\n${tail}`, { cause: error });
  }
}

/** PID 1 of the machine: the child of nspawn that is the first of its own PID namespace and runs systemd. */
function firstProcess(nspawn: number): Promise<number> {
  return waitFor(
    'the first process of the machine',
    async () => {
      for (const { pid, parent, name } of await processes()) {
        if (parent !== nspawn || name !== 'systemd') continue;
        if (innerPid(await readFile(`/proc/${pid}/status`, 'utf8')) === 1) return pid;
      }
      return 0;
    },
    { timeout: 30_000, interval: 50 },
  );
}

async function reachesState(pid: number): Promise<CommandResult> {
  const state = () => enter(pid, ['systemctl', 'is-system-running']);
  return waitFor('the state running', state, {
    timeout: 60_000,
    interval: 100,
    // A unit of the host that fails in here makes it degraded, which is good enough.
    until: ({ stdout }) => /^(running|degraded)$/.test(stdout.trim()),
  });
}

/** The PID in the innermost namespace, from /proc/PID/status (proc(5), NSpid), or 0. */
export function innerPid(status: string): number {
  return Number(/^NSpid:.*\t(\d+)$/m.exec(status)?.[1] ?? 0);
}

async function powerOff(nspawn: ChildProcess): Promise<void> {
  if (nspawn.pid === undefined || nspawn.exitCode !== null || nspawn.signalCode !== null) return;
  const gone = new Promise<void>((resolve) => nspawn.once('exit', () => resolve()));
  // nspawn hands SIGTERM on to systemd as the order to power off (systemd-nspawn(1), --kill-signal).
  signalPid(nspawn.pid, 'SIGTERM');
  const kill = setTimeout(() => nspawn.kill('SIGKILL'), 10_000);
  await gone;
  clearTimeout(kill);
}

/** Where systemd runs here already, it gives the machine a scope; elsewhere each machine makes its own cgroups. */
function underSystemd(): boolean {
  return existsSync('/run/systemd/system');
}

/** Two machines in one cgroup would see, and clear away, each other's units. */
function ownCgroups(name: string): string[] {
  const wanted = new Set(['name=systemd', 'memory', 'pids', 'cpu', 'cpu,cpuacct', '']);
  const lines = readFileSync('/proc/self/cgroup', 'utf8').trim().split('\n');
  return lines.flatMap((line) => {
    const [, controllers = '', ...path] = line.split(':');
    const mount = cgroupMount(controllers);
    return wanted.has(controllers) && mount !== null ? [join(mount, path.join(':'), name)] : [];
  });
}

function cgroupMount(controllers: string): string | null {
  const v2 = existsSync('/sys/fs/cgroup/cgroup.procs') ? '/sys/fs/cgroup' : '/sys/fs/cgroup/unified';
  const mount = controllers === '' ? v2 : join('/sys/fs/cgroup', controllers.replace(/^name=/, ''));
  return existsSync(join(mount, 'cgroup.procs')) ? mount : null;
}

function removePlace({ name, folder, cgroups }: Place): void {
  rmSync(join(folder, 'rom-agent-test.target'), { force: true });
  // rmdir, never rm -r: were the bind mount still there, it would be the whole disk.
  for (const path of [join(folder, 'root'), folder, `/run/systemd/nspawn/propagate/${name}`]) tryRmdir(path);
  for (const cgroup of cgroups) removeCgroup(cgroup);
}

function removeCgroup(path: string): void {
  const entries = existsSync(path) ? readdirSync(path, { withFileTypes: true }) : [];
  for (const entry of entries) if (entry.isDirectory()) removeCgroup(join(path, entry.name));
  tryRmdir(path);
}

function tryRmdir(path: string): void {
  try {
    rmdirSync(path);
  } catch {
    // Not there, or still in use: an empty folder more is no reason to fail.
  }
}

function onSignals(handler: () => void): () => void {
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const signal of signals) process.once(signal, handler);
  return () => {
    for (const signal of signals) process.off(signal, handler);
  };
}
