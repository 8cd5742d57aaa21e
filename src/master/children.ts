import { execFile } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { readCgroups } from '../config/cgroup.js';
import { parseProcStat } from '../processes.js';
import { killGrace } from '../protocol/limits.js';
import type { WorkerKey } from '../protocol/messages.js';
import { systemFiles } from './system.js';

/** Processes that the app started in its workers and did not end. */
export interface Children {
  /** The environment variable that a worker's processes inherit, and by which they are found. */
  mark(key: WorkerKey): Readonly<Record<string, string>>;
  /** The worker has exited: ends those of its processes that are left. */
  left(key: WorkerKey): void;
  /** Resolves once the processes of all workers that exited have ended. */
  settled(): Promise<void>;
}

export interface ChildrenSeam {
  readonly find: FindMarked;
  readonly kill: (pid: number, signal: 'SIGTERM' | 'SIGKILL') => void;
  readonly sleep: (delay: number) => Promise<unknown>;
  readonly info: (message: string) => void;
  readonly warn: (message: string) => void;
}

/** How long they may take to end after SIGTERM, and how often they are looked for meanwhile, ms. */
const grace = 2 * killGrace;
const interval = 100;
const namedAtMost = 8;

/**
 * Under plain Node a helper process that its app forgets survives the app. Here each reload ends every worker, so that such
 * helpers would pile up. A variable of their environment identifies them, because a process whose parent has exited is
 * reparented. A process that should outlive its app starts a session of its own (`detached: true`) or removes the variable.
 * One search serves all workers that exit together.
 */
export function trackChildren({ find, kill, sleep, info, warn }: ChildrenSeam): Children {
  // Not a secret. node:crypto would be 3 ms on the way to the first fork.
  const run = `${process.pid.toString(36)}-${Math.random().toString(36).slice(2, 10)}`;
  const markOf = (key: WorkerKey): string => `${run}.${key}`;
  let gone = new Set<string>();
  let ending: Promise<void> | null = null;

  const endAll = async (): Promise<void> => {
    // Workers that exit together are reported one after the other.
    await sleep(0);
    const marks = gone;
    gone = new Set();
    const found = await find(marks);
    if (found.length === 0) return;
    info(`a worker exited and left ${names(found)} behind: sending SIGTERM`);
    for (const { pid } of found) kill(pid, 'SIGTERM');
    // There may be new ones since.
    for (let waited = 0; waited < grace; waited += interval) {
      await sleep(interval);
      if ((await find(marks, found)).length === 0) break;
    }
    const rest = await find(marks);
    if (rest.length === 0) return;
    warn(`${names(rest)}, left behind by a worker, did not end within ${grace} ms: sending SIGKILL`);
    for (const { pid } of rest) kill(pid, 'SIGKILL');
  };
  const endInTurn = async (): Promise<void> => {
    while (gone.size > 0) await endAll();
  };
  return {
    mark: (key) => ({ [markVariable]: markOf(key) }),
    left: (key) => {
      gone.add(markOf(key));
      ending ??= endInTurn().finally(() => {
        ending = null;
      });
    },
    settled: async () => void (await ending),
  };
}

/** Does nothing where the process is gone, or now belongs to another user. */
export function signalIfAlive(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {}
}

function names(found: Awaited<ReturnType<FindMarked>>): string {
  const named = found.slice(0, namedAtMost).map(({ pid, name }) => `${name} (pid ${pid})`);
  const others = found.length - named.length;
  return [...named, ...(others > 0 ? [`${others} more`] : [])].join(', ');
}

/** In the environment of a worker, and so of every process that its app starts. */
export const markVariable = 'ROM_CHILD_OF';

export interface Marked {
  readonly pid: number;
  readonly name: string;
}

/**
 * Finds processes with one of these values in `markVariable` that are in this process's session, or, elsewhere than on
 * Linux, in its process group. Processes that this user may not look at, or that overwrote their environment, are not found.
 *
 * @param among where to look; without it: everywhere
 */
export type FindMarked = (
  marks: ReadonlySet<string>,
  among?: readonly Pick<Marked, 'pid'>[],
) => Promise<readonly Marked[]>;

/** How many processes are read at a time: there may be thousands, and libuv has four threads for files. */
const atOnce = 8;

/** By proc(5) on Linux, by ps(1) elsewhere. Never rejects: finds nothing where nothing can be read. */
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

/** Null for a process without a mark. @throws where the process is gone, or belongs to another user */
async function nameIfMarked(
  pid: string,
  { marks, session }: { marks: ReadonlySet<string>; session: number },
): Promise<string | null> {
  const stat = parseProcStat(await readFile(`/proc/${pid}/stat`, 'latin1'));
  if (stat.session !== session) return null;
  const environment = await readFile(`/proc/${pid}/environ`, 'latin1');
  return environment.split('\0').some((entry) => isMark(entry, marks)) ? stat.name : null;
}

/** The processes of the own cgroup, which the children of a service do not leave; where it cannot be read, all processes. */
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

/** Reads the output of ps(1) with -E, which prints the environment after each command. */
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
