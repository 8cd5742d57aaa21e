import { closeSync, openSync, readdirSync, readFileSync, readlinkSync, readSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';

/** A TCP socket that listens, as the kernel lists it: proc_net(5). */
export interface Listener {
  readonly family: 'tcp' | 'tcp6';
  /** As it stands there: hexadecimal, in the byte order of the machine. */
  readonly address: string;
  readonly port: number;
  readonly inode: string;
}

/**
 * The listeners of a network namespace. The kernel lists them before the connections, which are not read: on a machine
 * with many of them that takes half a second and more, and blocks the event loop.
 *
 * @param net folder of the tables, such as /proc/net; where one is missing, as tcp6 without IPv6, it counts as empty
 */
export function* tcpListeners(net: string): Generator<Listener> {
  for (const family of ['tcp', 'tcp6'] as const) {
    for (const line of lines(`${net}/${family}`)) {
      const row = line.trim().split(/\s+/);
      if (row[0] === 'sl') continue;
      if (row[3] !== listening) break;
      const [address = '', port = ''] = (row[1] ?? '').split(':');
      yield { family, address, port: Number.parseInt(port, 16), inode: row[9] ?? '' };
    }
  }
}

/** Whether there is such a process; another user's answers EPERM: kill(2). */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** Does nothing where the group is gone, or now belongs to another user. */
export function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch {}
}

/** Ends a process at once; does nothing where it is gone, or belongs to another user. */
export function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {}
}

/** The numbers of all processes (Linux). Rejects where there is no /proc. */
export async function allProcesses(): Promise<readonly number[]> {
  return (await readdir('/proc')).map(Number).filter((pid) => pid > 0);
}

/**
 * Those of the processes whose environment has this entry, but for this one: what a command has started is found by it, also
 * when it has left its group and its parent (Linux).
 *
 * @param entry such as NAME=value
 */
export async function withEnvironment(entry: string, pids: readonly number[]): Promise<readonly number[]> {
  const found: number[] = [];
  for (const pid of pids) {
    if (pid === process.pid) continue;
    const environment = await readFile(`/proc/${pid}/environ`, 'latin1').catch(() => '');
    if (environment.split('\0').includes(entry)) found.push(pid);
  }
  return found;
}

/** The sockets that a process has open, by inode; none where it is gone or belongs to somebody else. */
export function openSockets(process: string): ReadonlySet<string> {
  const folder = `${process}/fd`;
  return new Set(entries(folder).flatMap((fd) => socketInode(`${folder}/${fd}`) ?? []));
}

/** The inode of the socket behind a link such as /proc/self/fd/3; null where it is no socket. */
export function socketInode(link: string): string | null {
  try {
    return /^socket:\[(\d+)\]$/.exec(readlinkSync(link))?.[1] ?? null;
  } catch {
    return null;
  }
}

export interface Holder {
  readonly pid: number;
  readonly name: string;
}

/**
 * Who listens on a TCP port, as far as this user may look; null where it cannot be found (another user's process,
 * or no /proc as on macOS).
 */
export function portHolder(port: number, proc = '/proc'): Holder | null {
  try {
    const listeners = [...tcpListeners(`${proc}/net`)].filter((listener) => listener.port === port);
    const inodes = new Set(listeners.map(({ inode }) => inode));
    if (inodes.size === 0) return null;
    for (const pid of readdirSync(proc).filter((name) => /^\d+$/.test(name))) {
      if ([...openSockets(`${proc}/${pid}`)].some((inode) => inodes.has(inode))) {
        return { pid: Number(pid), name: readFileSync(`${proc}/${pid}/comm`, 'utf8').trim() };
      }
    }
  } catch {
    // Best effort: the error itself already names the port.
  }
  return null;
}

/** What /proc/PID/stat says of a process. */
export interface ProcStat {
  readonly name: string;
  /** R runs or would, S sleeps, D is in the kernel and cannot be disturbed, T is stopped, Z is a zombie. */
  readonly state: string;
  readonly parent: number;
  readonly group: number;
  readonly session: number;
  /** When it began, in ticks since the machine did: a number that another process got later has another one. */
  readonly start: string | null;
}

/** proc_pid_stat(5): the name is in parentheses and may hold spaces and parentheses itself. */
export function parseProcStat(text: string): ProcStat {
  const end = text.lastIndexOf(')');
  const fields = text.slice(end + 2).split(' ');
  const [state = '', parent, group, session] = fields;
  return {
    name: text.slice(text.indexOf('(') + 1, end),
    state,
    parent: Number(parent),
    group: Number(group),
    session: Number(session),
    start: fields[19] ?? null,
  };
}

/** The state LISTEN. */
const listening = '0A';

function* lines(path: string): Generator<string> {
  const file = open(path);
  if (file === null) return;
  try {
    const chunk = Buffer.alloc(16_384);
    let rest = '';
    for (let size = readSync(file, chunk); size > 0; size = readSync(file, chunk)) {
      const complete = (rest + chunk.toString('latin1', 0, size)).split('\n');
      rest = complete.pop() ?? '';
      yield* complete;
    }
  } finally {
    closeSync(file);
  }
}

function open(path: string): number | null {
  try {
    return openSync(path, 'r');
  } catch {
    return null;
  }
}

function entries(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
