import { type ChildProcess, spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { descendants } from '../../support/proc.js';
import { repoRoot } from '../../support/process.js';
import { waitFor } from '../../support/wait.js';
import { type CommandResult, command } from './command.js';
import { type Place, preparePlace, removePlace, targetName, underSystemd } from './place.js';
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
 * Boots the system of this machine's own disk, or of the tree that is given, under systemd-nspawn, over an overlay that
 * forgets everything.
 * Only what a service needs is started (sysinit, D-Bus, the journal): no database or mail server of the host.
 * Loopback is the host's. Throws an Error with the end of the console's output when it does not come up in 60 s.
 */
export async function boot(tree = '/'): Promise<Booted> {
  const reason = whyNoMachine();
  if (reason !== null) throw new Error(`cannot boot a systemd: ${reason}`);
  const place = preparePlace();
  const launcher = launch(place, tree);
  let pid: number | null = null;
  const shutdown = async () => {
    await powerOff(launcher, pid);
    stopListening();
    // What is still in use then is swept by the next run.
    await waitFor('the folders to be gone', () => removePlace(place), { timeout: 3000 }).catch(() => {});
  };
  const stopListening = onSignals(() => void shutdown().finally(() => process.exit(130)));
  try {
    pid = await comesUp(launcher, place);
    // What a service of this very machine has is of no concern to those that are tested.
    await enter(pid, ['rm', '-rf', '/var/lib/rom-agent', '/var/lib/private/rom-agent', '/etc/rom-agent']);
    return { name: place.name, pid, shutdown };
  } catch (error) {
    await shutdown();
    throw error;
  }
}

/** Runs a program in the namespaces of the machine. */
export function enter(pid: number, argv: readonly string[], options?: Parameters<typeof command>[1]) {
  return command(['nsenter', '-t', String(pid), '-m', '-p', '-u', '-i', '-C', ...argv], options);
}

/**
 * The mount and the processes are in namespaces of their own, whose first process dies with this one: even a
 * kill -9 of the test run leaves no mount and no machine. (Without that a machine outlives its nspawn.)
 */
function launch({ name, folder, target, cgroups }: Place, tree: string): ChildProcess {
  const root = join(folder, 'root');
  const script = `set -e; for dir in ${cgroups.join(' ')}; do mkdir -p $dir; echo $$ > $dir/cgroup.procs || :; done
    mount --bind ${tree} ${root}; exec systemd-nspawn "$@"`;
  const nspawn = [
    ...['-D', root, '-M', name, '--volatile=overlay', '--register=no', '--keep-unit', '--console=read-only'],
    `--bind-ro=${repoRoot}:${inside.repo}`,
    `--bind-ro=${process.execPath}:${inside.node}`,
    `--bind-ro=${target}:/etc/systemd/system/${targetName}`,
    // The journal of the host is not read, and not copied up by a first write.
    ...['--tmpfs=/var/log/journal', '-b', '--', `systemd.unit=${targetName}`],
  ];
  const scope = ['systemd-run', '--scope', '--quiet', '--collect', '-p', 'Delegate=yes', `--unit=${name}`];
  const argv = [
    ...['--pdeathsig', 'KILL', ...(underSystemd() ? scope : [])],
    ...['unshare', '--pid', '--fork', '--kill-child=KILL', '--mount-proc', '--propagation', 'private'],
    ...['sh', '-c', script, 'sh', ...nspawn],
  ];
  const child = spawn('setpriv', argv, { stdio: ['ignore', 'pipe', 'pipe'] });
  // The test run ends without it: see shutDown() in machine.ts.
  child.unref();
  for (const stream of [child.stdout, child.stderr]) (stream as Socket).unref();
  return child;
}

async function comesUp(launcher: ChildProcess, { name }: Place): Promise<number> {
  const output: string[] = [];
  launcher.stdout?.on('data', (chunk: Buffer) => output.push(`${chunk}`));
  launcher.stderr?.on('data', (chunk: Buffer) => output.push(`${chunk}`));
  const died = new Promise<never>((_, reject) => {
    launcher.once('error', reject);
    launcher.once('exit', (code, signal) => reject(new Error(`systemd-nspawn ended (${code ?? signal})`)));
  });
  died.catch(() => {});
  try {
    const pid = await Promise.race([died, firstProcess(launcher.pid ?? 0)]);
    await Promise.race([died, reachesState(pid).then(() => openControllers(pid))]);
    return pid;
  } catch (error) {
    const tail = output.join('').split('\n').slice(-30).join('\n');
    throw new Error(`${name} did not boot: ${error}\n${tail}`, { cause: error });
  }
}

/** PID 1 of the machine: the descendant that runs systemd as the first of its own PID namespace. */
function firstProcess(launcher: number): Promise<number> {
  return waitFor(
    'the first process of the machine',
    async () => {
      for (const pid of await descendants(launcher)) {
        const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
        if (/^Name:\tsystemd$/m.test(status) && innerPid(status) === 1) return pid;
      }
      return 0;
    },
    { timeout: 30_000, interval: 50 },
  );
}

/**
 * nspawn mounts the controllers of cgroup v1 read-only, and MemoryMax= would be no more than a word.
 * systemd looks at what it may write when it starts, so it is started again in place.
 */
async function openControllers(pid: number): Promise<void> {
  const script = `for c in memory pids cpu; do
    [ ! -e /sys/fs/cgroup/$c/cgroup.procs ] || mount -o remount,bind,rw /sys/fs/cgroup/$c || exit 1; done
    [ ! -e /sys/fs/cgroup/memory/cgroup.procs ] || systemctl daemon-reexec`;
  const { code, stderr } = await enter(pid, ['sh', '-c', script]);
  if (code !== 0) throw new Error(`the cgroup controllers stay read-only: ${stderr}`);
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

async function powerOff(launcher: ChildProcess, pid: number | null): Promise<void> {
  if (launcher.pid === undefined || launcher.exitCode !== null || launcher.signalCode !== null) return;
  const gone = new Promise<void>((resolve) => launcher.once('exit', () => resolve()));
  const kill = setTimeout(() => launcher.kill('SIGKILL'), pid === null ? 0 : 10_000);
  if (pid !== null) await enter(pid, ['systemctl', 'poweroff'], { timeout: 5000 }).catch(() => {});
  await gone;
  clearTimeout(kill);
}

function onSignals(handler: () => void): () => void {
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const signal of signals) process.once(signal, handler);
  return () => {
    for (const signal of signals) process.off(signal, handler);
  };
}
