import { execFile } from 'node:child_process';
import { constants } from 'node:fs';
import { access, mkdir, readdir, readFile, rmdir, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';

/** Makes cgroups for runs below that of the service: systemd's document CGROUP_DELEGATION, and the kernel's cgroup-v2. */
export interface RunCgroups {
  /** Whether the kernel keeps limits of memory there. */
  readonly limitsMemory: boolean;
  /** A new one; null where that failed. @param memoryLimit bytes */
  make(runId: string, memoryLimit: number | null): Promise<RunCgroup | null>;
  /** What a master that was killed has left. */
  endLeft(path: string): Promise<void>;
}

export interface RunCgroup {
  /** A process that writes its number there moves. */
  readonly procs: string;
  readonly path: string;
  /** Kills everything in it, and removes it. @returns whether something in it was killed for its memory */
  end(): Promise<boolean>;
  outOfMemory(): Promise<boolean>;
}

export interface CgroupsSeam {
  /** The cgroup of this process, v2, as a directory; null: unknown. */
  readonly own: string | null;
  readonly unit: { readonly name: string | null; readonly ofUser: boolean };
  readonly uid: number;
  readonly info: (message: string) => void;
}

/** The processes of the service itself, which must be in no inner node of the tree. */
const mainName = 'main';
const prefix = 'job-';
const attempts = 50;
/** How long the processes of a run, killed, are waited for: one that waits for a disk goes when that is over. */
const goneWithin = 10_000;

/**
 * Only where systemd has delegated the subtree (`Delegate=` in the unit), and the file system is writable
 * (`ProtectControlGroups=no`). Elsewhere: null.
 */
export async function openCgroups(seam: CgroupsSeam): Promise<RunCgroups | null> {
  const { own, unit, info } = seam;
  // Without systemd nobody delegates, which is no news.
  if (process.platform !== 'linux' || own === null || unit.name === null) return null;
  try {
    // DelegateSubgroup= puts the processes into a group of their own, as we do without it.
    const base = basename(own).endsWith('.service') ? own : dirname(own);
    if (!(await isDelegated(seam)) || !(await canWrite(base))) {
      info(
        `the runs of jobs get no cgroups of their own: that wants Delegate=memory pids and ProtectControlGroups=no in a drop-in of ${unit.name}`,
      );
      return null;
    }
    if (base === own) await makeRoom(base);
    const limitsMemory = await enable(base, 'memory');
    await enable(base, 'pids');
    info(
      `each run of a job gets a cgroup below ${base}${limitsMemory ? '' : ', without a limit of memory: the controller is not delegated'}`,
    );
    return {
      limitsMemory,
      make: (runId, memoryLimit) => make(join(base, `${prefix}${runId}`), memoryLimit),
      endLeft: async (path) => {
        if (dirname(path) === base && basename(path).startsWith(prefix)) await end(path);
      },
    };
  } catch (error) {
    info(`the runs of jobs get no cgroups of their own: ${(error as Error).message}`);
    return null;
  }
}

/** Everything below the unit of a user, and everything for root, may be written; that does not make it ours. */
async function isDelegated({ own, unit, uid }: CgroupsSeam): Promise<boolean> {
  if (own === null || unit.name === null || !(await canWrite(own))) return false;
  if (uid !== 0 && !unit.ofUser) return true;
  const args = [...(unit.ofUser ? ['--user'] : []), 'show', '--value', '-p', 'Delegate', unit.name];
  const { stdout } = await promisify(execFile)('systemctl', args, { timeout: 10_000 });
  return stdout.trim() === 'yes';
}

/** Moves the processes of the service into a group of their own: the kernel wants them in leaves alone. */
async function makeRoom(base: string): Promise<void> {
  const main = join(base, mainName);
  await mkdir(main).catch(ignoreExisting);
  for (let tries = 0; tries < attempts; tries += 1) {
    const pids = (await readFile(join(base, 'cgroup.procs'), 'utf8')).split('\n').filter(Boolean);
    if (pids.length === 0) return;
    for (const pid of pids) await writeFile(join(main, 'cgroup.procs'), pid).catch(() => {});
  }
  throw new Error(`processes are left in ${base}`);
}

async function enable(base: string, controller: string): Promise<boolean> {
  const available = (await readFile(join(base, 'cgroup.controllers'), 'utf8')).trim().split(' ');
  if (!available.includes(controller)) return false;
  return writeFile(join(base, 'cgroup.subtree_control'), `+${controller}`).then(
    () => true,
    () => false,
  );
}

async function make(path: string, memoryLimit: number | null): Promise<RunCgroup | null> {
  try {
    await mkdir(path).catch(ignoreExisting);
    if (memoryLimit !== null) {
      await writeFile(join(path, 'memory.max'), `${memoryLimit}`);
      // Without swap there is no such file.
      await writeFile(join(path, 'memory.swap.max'), '0').catch(() => {});
      await writeFile(join(path, 'memory.oom.group'), '1').catch(() => {});
    }
    const outOfMemory = (): Promise<boolean> => isOutOfMemory(path);
    return {
      path,
      procs: join(path, 'cgroup.procs'),
      outOfMemory,
      end: async () => {
        const killed = await outOfMemory();
        await end(path);
        return killed;
      },
    };
  } catch {
    await rmdir(path).catch(() => {});
    return null;
  }
}

async function isOutOfMemory(path: string): Promise<boolean> {
  const events = await readFile(join(path, 'memory.events'), 'utf8').catch(() => '');
  return Number(/^oom_kill (\d+)$/m.exec(events)?.[1] ?? 0) > 0;
}

async function end(path: string): Promise<void> {
  const kill = (): Promise<void> =>
    // Since Linux 5.14; before it, one by one.
    writeFile(join(path, 'cgroup.kill'), '1').catch(() => killEach(path));
  for (let waited = 0; waited < goneWithin; waited += 20) {
    await kill().catch(() => {});
    if (await isRemoved(path)) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function isRemoved(path: string): Promise<boolean> {
  // A run may have made groups below its own.
  const inner = await readdir(path, { withFileTypes: true }).catch(() => []);
  for (const entry of inner) if (entry.isDirectory()) await isRemoved(join(path, entry.name));
  return rmdir(path).then(
    () => true,
    (error: NodeJS.ErrnoException) => error.code === 'ENOENT',
  );
}

async function killEach(path: string): Promise<void> {
  const pids = (await readFile(join(path, 'cgroup.procs'), 'utf8')).split('\n').filter(Boolean);
  for (const pid of pids) {
    try {
      process.kill(Number(pid), 'SIGKILL');
    } catch {}
  }
}

function canWrite(directory: string): Promise<boolean> {
  return access(join(directory, 'cgroup.procs'), constants.W_OK).then(
    () => true,
    () => false,
  );
}

function ignoreExisting(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EEXIST') throw error;
}
