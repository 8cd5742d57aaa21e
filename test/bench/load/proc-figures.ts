import { readdirSync, readFileSync } from 'node:fs';

/**
 * What the threads of the processes have run so far, ms: exact at any moment, where the times of proc_pid_stat(5) go in
 * steps of 10 ms (schedstat, Documentation/scheduler/sched-stats of Linux). What a thread ran that has ended is missing.
 */
export function cpuTime(pids: readonly number[]): number {
  return sum(pids.map((pid) => sum(readdirSync(`/proc/${pid}/task`).map((thread) => ranFor(pid, thread)))));
}

function ranFor(pid: number, thread: string): number {
  return nanoseconds(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8')) / 1e6;
}

/** Proportional set size of the processes, kB: a page that n processes share counts 1/n for each (proc_pid_smaps(5)). */
export function pss(pids: readonly number[]): number {
  return sum(pids.map((pid) => pssOf(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))));
}

/** On a CPU, waiting for one, and how often, in one line. */
export function nanoseconds(schedstat: string): number {
  return Number(/^\d+/.exec(schedstat)?.[0]);
}

export function pssOf(rollup: string): number {
  return Number(/^Pss:\s+(\d+) kB$/m.exec(rollup)?.[1]);
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
