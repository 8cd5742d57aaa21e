import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import {
  allProcesses,
  isAlive,
  kill,
  type ProcStat,
  parseProcStat,
  signalGroup,
  withEnvironment,
} from '../processes.js';
import type { ProcessMark } from './store.js';

/** In the environment of each process of a run: its id. A process whose parent has exited is found by it. */
export const runVariable = 'ROM_JOB_RUN';

export async function markOf(pid: number): Promise<ProcessMark> {
  if (process.platform === 'linux') return { pid, start: (await statOf(pid))?.start ?? null };
  return { pid, start: await startByPs(pid) };
}

/** Whether it is the same process still. */
export async function isSameProcess({ pid, start }: ProcessMark): Promise<boolean> {
  if (!isAlive(pid)) return false;
  const now = await markOf(pid);
  return start === null || now.start === null || start === now.start;
}

/**
 * Kills what is left of a run: its process group, and the processes that have left the group and bear its mark (Linux).
 *
 * @param procs a file that lists the processes among which they are, such as the cgroup.procs of the service; null: all
 */
export async function killRest({
  leader,
  runId,
  procs,
}: {
  readonly leader: ProcessMark | null;
  readonly runId: string;
  readonly procs: string | null;
}): Promise<void> {
  // The number of a group is not given to another process while the group lasts: fork(2).
  if (leader !== null && (!isAlive(leader.pid) || (await isSameProcess(leader))))
    signalGroup(leader.pid, 'SIGKILL');
  if (process.platform !== 'linux') return;
  // One that forks while it is looked for is found by the next look.
  for (let looks = 0; looks < 3; looks += 1) {
    const found = await marked(runId, procs);
    if (found.length === 0) return;
    for (const pid of found) kill(pid);
  }
}

/** Memory of the processes of a session, bytes; null: unknown. */
export async function sessionMemory(session: number): Promise<number | null> {
  try {
    if (process.platform !== 'linux') return await memoryByPs(session);
    let pages = 0;
    for (const pid of await allProcesses()) {
      if ((await statOf(pid))?.session !== session) continue;
      const [, resident] = (await readFile(`/proc/${pid}/statm`, 'utf8').catch(() => '')).split(' ');
      pages += Number(resident ?? 0);
    }
    return pages * pageSize;
  } catch {
    return null;
  }
}

/** On each system that this runs on but ARM servers with a kernel of their own. */
const pageSize = 4_096;

async function marked(runId: string, procs: string | null): Promise<readonly number[]> {
  const listed = procs === null ? null : await readFile(procs, 'utf8').catch(() => null);
  const pids = listed === null ? await allProcesses() : listed.split('\n').filter(Boolean).map(Number);
  const found: number[] = [];
  for (const pid of await withEnvironment(`${runVariable}=${runId}`, pids)) {
    const stat = await statOf(pid);
    if (stat !== null && stat.state !== 'Z') found.push(pid);
  }
  return found;
}

/** null where there is no such process, or no /proc. */
async function statOf(pid: number): Promise<ProcStat | null> {
  const text = await readFile(`/proc/${pid}/stat`, 'latin1').catch(() => null);
  return text === null ? null : parseProcStat(text);
}

const run = promisify(execFile);

async function startByPs(pid: number): Promise<string | null> {
  const { stdout } = await run('/bin/ps', ['-o', 'lstart=', '-p', `${pid}`]).catch(() => ({ stdout: '' }));
  return stdout.trim() || null;
}

/** Of the group, which is the session's but for shells with job control. */
async function memoryByPs(group: number): Promise<number> {
  const { stdout } = await run('/bin/ps', ['-axo', 'pgid=,rss=']);
  const rows = stdout.split('\n').map((line) => line.trim().split(/\s+/).map(Number));
  return rows.reduce((sum, [of, kib]) => sum + (of === group ? (kib ?? 0) * 1_024 : 0), 0);
}
