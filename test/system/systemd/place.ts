import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { signalPid } from '../../support/process.js';

/** What one machine has on this side. All of its names hold the PID of the test run that owns it. */
export interface Place {
  readonly name: string;
  /** Holds the empty folder `root`, to mount on, and the files below. */
  readonly folder: string;
  readonly target: string;
  /** One in each hierarchy, to be entered before systemd starts; none where systemd gives it a scope. */
  readonly cgroups: readonly string[];
}

export function preparePlace(): Place {
  sweep();
  const name = `${prefix}${process.pid}-${randomBytes(3).toString('hex')}`;
  const folder = join('/tmp', name);
  const target = join(folder, targetName);
  mkdirSync(join(folder, 'root'), { recursive: true, mode: 0o700 });
  writeFileSync(target, bootTarget);
  return { name, folder, target, cgroups: cgroupParents().map((parent) => join(parent, name)) };
}

/** True when nothing is left: the cgroups of a machine that was just killed are in use for a moment more. */
export function removePlace({ name, folder, cgroups }: Pick<Place, 'name' | 'folder' | 'cgroups'>): boolean {
  for (const file of [targetName, '.#root.lck']) rmSync(join(folder, file), { force: true });
  // rmdir, never rm -r: were the bind mount still there, it would be the whole disk.
  for (const path of [join(folder, 'root'), folder, `/run/systemd/nspawn/propagate/${name}`]) tryRmdir(path);
  for (const cgroup of cgroups) removeCgroup(cgroup);
  return ![folder, ...cgroups].some((path) => existsSync(path));
}

/** Is systemd the init of this side? */
export function underSystemd(): boolean {
  return existsSync('/run/systemd/system');
}

const prefix = 'rom-agent-test-';
export const targetName = 'rom-agent-test.target';

/** Instead of default.target, which would start the services of the host a second time. */
const bootTarget = `[Unit]
Description=What the tests of rom-agent need
Requires=sysinit.target
Wants=dbus.socket dbus.service
After=sysinit.target dbus.service
AllowIsolate=yes
`;

/** The empty folders of test runs that were killed: their machines died with them. */
function sweep(): void {
  const parents = cgroupParents();
  const folders = [...new Set(['/tmp', ...parents].flatMap((parent) => readdirSync(parent)))];
  for (const name of folders) {
    const owner = new RegExp(`^${prefix}(\\d+)-`).exec(name)?.[1];
    if (owner === undefined || signalPid(Number(owner), 0)) continue;
    removePlace({ name, folder: join('/tmp', name), cgroups: parents.map((parent) => join(parent, name)) });
  }
}

/** Two machines in one cgroup would see, and clear away, each other's units: each gets its own below these. */
function cgroupParents(): string[] {
  if (underSystemd()) return [];
  const wanted = new Set(['name=systemd', 'memory', 'pids', 'cpu', 'cpu,cpuacct', '']);
  const lines = readFileSync('/proc/self/cgroup', 'utf8').trim().split('\n');
  return lines.flatMap((line) => {
    const [, controllers = '', ...path] = line.split(':');
    const mount = cgroupMount(controllers);
    return wanted.has(controllers) && mount !== null ? [join(mount, path.join(':'))] : [];
  });
}

function cgroupMount(controllers: string): string | null {
  const v2 = existsSync('/sys/fs/cgroup/cgroup.procs') ? '/sys/fs/cgroup' : '/sys/fs/cgroup/unified';
  const mount = controllers === '' ? v2 : join('/sys/fs/cgroup', controllers.replace(/^name=/, ''));
  return existsSync(join(mount, 'cgroup.procs')) ? mount : null;
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
    // Not there, or still in use: an empty folder more is no reason to fail, the next run sweeps.
  }
}
