import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { attempt } from '../../config/cgroup.js';
import { parseProcStat } from '../../processes.js';
import { systemFiles } from '../system.js';

/** What the kernel says of a process at one moment. */
export interface Look {
  /** R: running or runnable, S: sleeping, D: uninterruptible in the kernel, T: stopped; proc_pid_stat(5), ps(1). */
  readonly state: string;
  /** CPU time of its main thread so far, ms; null: unknown. */
  readonly ran: number | null;
  /** ms, of the monotonic clock */
  readonly at: number;
}

export interface LookSeam {
  /** A file as text; throws where it cannot be read. */
  readonly readFile: (path: string) => string;
  readonly now: () => number;
  readonly platform: NodeJS.Platform;
}

/** null where there is no such process, or where this user may not look at it. */
export async function lookAt(pid: number, seam: LookSeam): Promise<Look | null> {
  const at = seam.now();
  const state = seam.platform === 'linux' ? stateOf(pid, seam) : await stateByPs(pid);
  return state === null ? null : { state, ran: ranOf(pid, seam), at };
}

/** The kernel updates CPU time every 4 to 10 ms: a share over a shorter span than this says nothing, ms. */
const leastSpan = 100;
/**
 * A process that got less than this share of the time between two looks is starved. One that spins on a machine with twice
 * as many busy processes as CPUs gets some 20 %.
 */
const leastShare = 0.05;

/** Whether the process was runnable and got hardly any CPU time. */
export function isStarved(before: Look, after: Look): boolean {
  if (before.state !== 'R' || after.state !== 'R' || before.ran === null || after.ran === null) return false;
  return after.at - before.at >= leastSpan && (after.ran - before.ran) / (after.at - before.at) < leastShare;
}

/** What the process waits for: its place in the kernel, and its children. */
export function waitsFor(pid: number, { readFile }: LookSeam, commandLines: boolean): string | null {
  const place = attempt(readFile, `/proc/${pid}/wchan`);
  const children = childrenOf(pid, readFile).map(
    ({ pid, argv }) => `${commandLines ? commandLine(argv) : programOf(argv)} (pid ${pid})`,
  );
  const parts = [
    ...(place === undefined || !/^[a-z_]/i.test(place) ? [] : [`it waits in ${place}`]),
    ...(children.length === 0
      ? []
      : [`${children.length === 1 ? 'its child is' : 'its children are'} ${children.join(', ')}`]),
  ];
  return parts.length === 0 ? null : parts.join('; ');
}

/** Characters of a command line. */
const longestCommand = 120;
const mostChildren = 5;

function stateOf(pid: number, { readFile }: LookSeam): string | null {
  const stat = attempt(readFile, `/proc/${pid}/stat`);
  return stat === undefined ? null : parseProcStat(stat).state;
}

async function stateByPs(pid: number): Promise<string | null> {
  try {
    const { stdout } = await promisify(execFile)('ps', ['-o', 'state=', '-p', String(pid)], {
      timeout: psLimit,
    });
    return stdout.trim().charAt(0) || null;
  } catch {
    return null;
  }
}

/** ms */
const psLimit = 200;

/** The first number of /proc/PID/schedstat, in ns: the kernel's sched-stats document. */
function ranOf(pid: number, { readFile }: LookSeam): number | null {
  const nanoseconds = Number.parseInt(attempt(readFile, `/proc/${pid}/schedstat`) ?? '', 10);
  return Number.isNaN(nanoseconds) ? null : nanoseconds / 1e6;
}

interface Child {
  readonly pid: string;
  readonly argv: readonly string[];
}

function childrenOf(pid: number, readFile: LookSeam['readFile']): readonly Child[] {
  const pids = (attempt(readFile, `/proc/${pid}/task/${pid}/children`) ?? '').split(' ').filter(Boolean);
  return pids.slice(0, mostChildren).map((child) => ({
    pid: child,
    argv: (attempt(readFile, `/proc/${child}/cmdline`) ?? '').replace(/\0$/, '').split('\0'),
  }));
}

function commandLine(argv: readonly string[]): string {
  return `"${argv.join(' ').trim().slice(0, longestCommand)}"`;
}

/** The program without its arguments, which may be secret. A title that a process gave itself stands in the first word. */
function programOf([title = '', ...args]: readonly string[]): string {
  const [file = ''] = title.split(/\s/, 1);
  const name = `"${file.slice(file.lastIndexOf('/') + 1).slice(0, longestCommand)}"`;
  return args.length === 0 ? name : `${name} with ${args.length} argument${args.length === 1 ? '' : 's'}`;
}

export const systemLooks: LookSeam = { ...systemFiles, now: () => performance.now() };
