import { attempt, type Hierarchy, limitIn, readCgroups } from './cgroup.js';

/** What this process may use of the machine it runs on. */
export interface Machine {
  /** Whole CPUs, at least 1. */
  readonly cpus: number;
  /** What limits them: `CPU affinity`, `cgroup CPU quota 1.5`. */
  readonly cpusFrom: string;
  /** Mebibytes. */
  readonly memory: number;
  /** What limits it: `memory of the machine`, `cgroup memory limit`. */
  readonly memoryFrom: string;
  /** Whether a cgroup has less of it than the machine. */
  readonly memoryIsLimited: boolean;
}

/** What readMachine needs of the operating system. */
export interface MachineSeam {
  /** A file as text; throws where it cannot be read. */
  readonly readFile: (path: string) => string;
  /** os.availableParallelism */
  readonly availableParallelism: () => number;
  /** Bytes. */
  readonly totalmem: () => number;
  readonly platform: NodeJS.Platform;
}

/**
 * CPUs by affinity and by the quotas of the own cgroup and all of its ancestors that can be seen, v1 and v2; memory
 * likewise. A quota is rounded up to whole CPUs. Sources: cgroups(7), the kernel's cgroup-v2 and sched-bwc documents.
 */
export function readMachine(seam: MachineSeam): Machine {
  const files = seam.platform === 'linux' ? cgroupFiles(seam) : noFiles;
  return { ...cpusOf(seam, quotaOf(files)), ...memoryOf(seam, memoryLimitOf(files)) };
}

/** The contents of a cgroup's file, of the own cgroup first, then its ancestors'. */
type CgroupFiles = (version: Hierarchy['version'], controller: string, file: string) => readonly string[];

const noFiles: CgroupFiles = () => [];
const mebibyte = 1024 * 1024;

function cpusOf(seam: MachineSeam, quota: number): Pick<Machine, 'cpus' | 'cpusFrom'> {
  const affinity = affinityOf(seam, quota);
  const whole = Math.max(1, Math.ceil(quota));
  if (whole < affinity) {
    return { cpus: whole, cpusFrom: `cgroup CPU quota ${Math.round(quota * 100) / 100}` };
  }
  return { cpus: affinity, cpusFrom: seam.platform === 'linux' ? 'CPU affinity' : 'CPUs of the machine' };
}

/**
 * libuv since 1.49 cuts the quota's fraction off and counts it as parallelism: 1 for a quota of 1.5. Where that may
 * have happened, the affinity is read from the kernel.
 */
function affinityOf({ availableParallelism, readFile }: MachineSeam, quota: number): number {
  const parallelism = Math.max(1, availableParallelism());
  if (Number.isInteger(quota) || parallelism !== Math.max(1, Math.floor(quota))) return parallelism;
  const allowed = /^Cpus_allowed_list:\s*(\S+)$/m.exec(attempt(readFile, '/proc/self/status') ?? '')?.[1];
  const online = attempt(readFile, '/sys/devices/system/cpu/online')?.trim();
  if (allowed === undefined || online === undefined) return parallelism;
  const onlineCpus = cpuList(online);
  return Math.max(parallelism, [...cpuList(allowed)].filter((cpu) => onlineCpus.has(cpu)).length);
}

/** The numbers of a list such as `0-3,8`. */
function cpuList(list: string): Set<number> {
  const numbers = new Set<number>();
  for (const range of list.split(',')) {
    const [first, last] = range.split('-').map(Number);
    for (let cpu = first ?? 0; cpu <= (last ?? first ?? -1); cpu++) numbers.add(cpu);
  }
  return numbers;
}

function memoryOf(
  { totalmem }: MachineSeam,
  limit: number,
): Pick<Machine, 'memory' | 'memoryFrom' | 'memoryIsLimited'> {
  const total = totalmem();
  // v1 writes "no limit" as a number near 2^63
  const limited = limit < total;
  return {
    memory: Math.floor((limited ? limit : total) / mebibyte),
    memoryFrom: limited ? 'cgroup memory limit' : 'memory of the machine',
    memoryIsLimited: limited,
  };
}

/** CPUs, Infinity where there is no quota. */
function quotaOf(files: CgroupFiles): number {
  const v2 = files('v2', '', 'cpu.max').map((line) => line.trim().split(/\s+/));
  const quotas = files('v1', 'cpu', 'cpu.cfs_quota_us');
  const periods = files('v1', 'cpu', 'cpu.cfs_period_us');
  const v1 = quotas.map((quota, index) => [quota.trim(), periods[index]?.trim()]);
  return Math.min(
    ...[...v2, ...v1].map(([quota, period]) => limitIn(quota) / limitIn(period)).filter(isLimit),
  );
}

/** Bytes, Infinity where there is no limit. */
function memoryLimitOf(files: CgroupFiles): number {
  // Above memory.high the kernel throttles, until next to nothing runs any more.
  const v2 = ['memory.high', 'memory.max'].flatMap((file) => files('v2', '', file));
  const v1 = files('v1', 'memory', 'memory.limit_in_bytes');
  return Math.min(...[...v2, ...v1].map(limitIn).filter(isLimit));
}

function isLimit(value: number): boolean {
  return value > 0 && Number.isFinite(value);
}

function cgroupFiles(seam: MachineSeam): CgroupFiles {
  const directoriesOf = readCgroups(seam);
  return (version, controller, file) =>
    directoriesOf({ version, controller })
      .map((directory) => attempt(seam.readFile, `${directory}/${file}`))
      .filter((content) => content !== undefined);
}
