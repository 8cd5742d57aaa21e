import { readFileSync } from 'node:fs';

/** User and system time of the processes so far, ms; clock ticks of 10 ms each (proc_pid_stat(5), USER_HZ). */
export function cpuTime(pids: readonly number[]): number {
  return sum(pids.map((pid) => ticks(readFileSync(`/proc/${pid}/stat`, 'utf8')) * 10));
}

/** Proportional set size of the processes, kB: a page that n processes share counts 1/n for each (proc_pid_smaps(5)). */
export function pss(pids: readonly number[]): number {
  return sum(pids.map((pid) => pssOf(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))));
}

/** utime and stime are fields 14 and 15; the name in field 2 may hold spaces. */
export function ticks(stat: string): number {
  const [utime, stime] = stat
    .slice(stat.lastIndexOf(')') + 2)
    .split(' ')
    .slice(11, 13);
  return Number(utime) + Number(stime);
}

export function pssOf(rollup: string): number {
  return Number(/^Pss:\s+(\d+) kB$/m.exec(rollup)?.[1]);
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
