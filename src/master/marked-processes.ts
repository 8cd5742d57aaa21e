import { execFile } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { readCgroups } from '../config/cgroup.js';
import { parseProcStat } from '../config/proc-stat.js';
import { systemFiles } from './files.js';

/** In the environment of a worker, and so of all that its app starts. */
export const markVariable = 'ROM_CHILD_OF';

export interface Marked {
  readonly pid: number;
  readonly name: string;
}

/**
 * Processes with one of these values in `markVariable` that are in this process's session; elsewhere than on Linux: in its
 * process group. Those that this user may not look at, and those that have overwritten their environment, are not found.
 *
 * @param among where to look; without it: everywhere
 */
export type FindMarked = (
  marks: ReadonlySet<string>,
  among?: readonly Pick<Marked, 'pid'>[],
) => Promise<readonly Marked[]>;

/** How many processes are looked at at once: there may be thousands, and the threads for files are few. */
const atOnce = 8;

/** By proc(5) on Linux, by ps(1) elsewhere. Never rejects: where nothing can be read, nobody is found. */
export const findMarked: FindMarked = async (marks, among) => {
  try {
    return await (process.platform === 'linux' ? fromProc(marks, among) : fromPs(marks, among));
  } catch {
    return [];
  }
};

async function fromProc(
  marks: ReadonlySet<string>,
  among: Parameters<FindMarked>[1],
): Promise<readonly Marked[]> {
  const own = parseProcStat(await readFile('/proc/self/stat', 'utf8'));
  const pids = among?.map(({ pid }) => String(pid)) ?? (await candidates());
  const found: Marked[] = [];
  const look = async (): Promise<void> => {
    for (let pid = pids.pop(); pid !== undefined; pid = pids.pop()) {
      const name = await nameIfMarked(pid, { marks, session: own.session }).catch(() => null);
      if (name !== null) found.push({ pid: Number(pid), name });
    }
  };
  await Promise.all(Array.from({ length: atOnce }, look));
  return found;
}

/** Null for any other. @throws where it is gone, or of another user */
async function nameIfMarked(
  pid: string,
  { marks, session }: { marks: ReadonlySet<string>; session: number },
): Promise<string | null> {
  const stat = parseProcStat(await readFile(`/proc/${pid}/stat`, 'latin1'));
  if (stat.session !== session) return null;
  const environment = await readFile(`/proc/${pid}/environ`, 'latin1');
  return environment.split('\0').some((entry) => isMark(entry, marks)) ? stat.name : null;
}

/** The processes of the own cgroup, with which the children of a service stay; where it cannot be read, all that there are. */
async function candidates(): Promise<string[]> {
  const [own] = readCgroups(systemFiles)({ version: 'v2', controller: '' });
  try {
    if (own === undefined) throw new Error('no cgroup');
    return (await readFile(`${own}/cgroup.procs`, 'utf8')).split('\n').filter((line) => Number(line) > 0);
  } catch {
    return (await readdir('/proc')).filter((name) => Number(name) > 0);
  }
}

async function fromPs(
  marks: ReadonlySet<string>,
  among: Parameters<FindMarked>[1],
): Promise<readonly Marked[]> {
  const { stdout } = await promisify(execFile)('/bin/ps', ['-axEww', '-o', 'pid=,pgid=,command='], {
    maxBuffer: 64 * 1024 * 1024,
  });
  const all = markedIn(stdout, { marks, self: process.pid });
  return among === undefined ? all : all.filter(({ pid }) => among.some((each) => each.pid === pid));
}

/** What ps(1) with -E prints: each command is followed by its environment. */
export function markedIn(
  text: string,
  { marks, self }: { marks: ReadonlySet<string>; self: number },
): readonly Marked[] {
  const processes = text.split('\n').flatMap((line) => {
    const [, pid, group, rest = ''] = /^\s*(\d+)\s+(\d+)\s+(.*)$/.exec(line) ?? [];
    return pid === undefined ? [] : [{ pid: Number(pid), group, words: rest.split(' ') }];
  });
  const group = processes.find(({ pid }) => pid === self)?.group;
  return processes
    .filter((each) => each.group === group && each.words.some((word) => isMark(word, marks)))
    .map(({ pid, words: [name = ''] }) => ({ pid, name }));
}

function isMark(entry: string, marks: ReadonlySet<string>): boolean {
  return entry.startsWith(`${markVariable}=`) && marks.has(entry.slice(markVariable.length + 1));
}
