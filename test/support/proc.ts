import { execFile } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { parseProcStat } from '../../src/processes.js';

export interface ProcessInfo {
  readonly pid: number;
  readonly parent: number;
  readonly group: number;
  /** R, S, D, T (stopped), Z (zombie) ...: proc_pid_stat(5), ps(1). */
  readonly state: string;
  readonly name: string;
}

/** Every process of this machine. From /proc on Linux, from ps(1) elsewhere. */
export function processes(): Promise<ProcessInfo[]> {
  return process.platform === 'linux' ? fromProc() : fromPs();
}

/** PIDs of the children of `pid`, their children and so on, zombies left out. */
export async function descendants(pid: number): Promise<number[]> {
  const all = (await processes()).filter(({ state }) => state !== 'Z');
  const below = (parent: number): number[] =>
    all.filter((info) => info.parent === parent).flatMap((info) => [info.pid, ...below(info.pid)]);
  return below(pid);
}

/** PIDs of a process group, zombies left out. */
export async function groupMembers(group: number): Promise<number[]> {
  const all = await processes();
  return all.filter((info) => info.group === group && info.state !== 'Z').map(({ pid }) => pid);
}

async function fromProc(): Promise<ProcessInfo[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const infos = await Promise.all(
    pids.map((pid) => readFile(`/proc/${pid}/stat`, 'utf8').then(parseStat, () => null)),
  );
  return infos.filter((info) => info !== null);
}

function parseStat(stat: string): ProcessInfo {
  const { name, state, parent, group } = parseProcStat(stat);
  return { pid: Number.parseInt(stat, 10), name, state, parent, group };
}

async function fromPs(): Promise<ProcessInfo[]> {
  const { stdout } = await promisify(execFile)('ps', ['-axo', 'pid=,ppid=,pgid=,state=,comm=']);
  return stdout.split('\n').flatMap((line) => {
    const [pid, parent, group, state = '?', ...name] = line.trim().split(/\s+/);
    if (!pid) return [];
    return [
      {
        pid: Number(pid),
        parent: Number(parent),
        group: Number(group),
        state: state.charAt(0),
        name: name.join(' '),
      },
    ];
  });
}
