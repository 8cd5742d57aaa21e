import { attempt, limitIn, readCgroups } from '../../config/cgroup.js';
import { type MachineSeam, readMachine } from '../../config/machine.js';
import type { DescriptorFacts, MachineFacts } from '../facts.js';
import type { ServiceUnit } from '../service-unit.js';

const mebibyte = 2 ** 20;

/** What the daemon may use: of this process's place in the machine, or of the unit's. */
export function machineFacts(own: MachineSeam, unit: ServiceUnit | null): MachineFacts {
  const seam = unit === null ? own : within(own, unit);
  const machine = readMachine(seam);
  const {
    memoryMax = Infinity,
    memoryHigh = Infinity,
    cpuQuota = Infinity,
    tasksMax = Infinity,
  } = unit ?? {};
  const memory = Math.floor(Math.min(memoryMax, memoryHigh) / mebibyte);
  const cpus = Math.max(1, Math.ceil(cpuQuota));
  return {
    ...machine,
    ...(memory < machine.memory ? { memory, memoryFrom: memoryNameOf(unit), memoryIsLimited: true } : {}),
    ...(cpus < machine.cpus ? { cpus, cpusFrom: `CPUQuota=${Math.round(cpuQuota * 100)}%` } : {}),
    hierarchy: hierarchyOf(own),
    memoryHigh: memoryHigh / mebibyte,
    memoryInAll: Math.floor(own.totalmem() / mebibyte),
    tasks: Math.min(tasksMax, taskLimit(seam)),
  };
}

/** Of a daemon that runs what it has, else what this process would hand on to it. */
export function descriptorFacts(
  { readFile, platform }: MachineSeam,
  { pid, unit }: { pid: number | null; unit: ServiceUnit | null },
): DescriptorFacts {
  const running = pid === null ? null : openFilesIn(attempt(readFile, `/proc/${pid}/limits`));
  if (running !== null) return { limit: running, of: `pid ${pid}` };
  if (unit !== null) return { limit: unit.descriptors, of: unit.name };
  const of = 'this shell';
  return { limit: platform === 'linux' ? openFilesIn(attempt(readFile, '/proc/self/limits')) : null, of };
}

function memoryNameOf(unit: ServiceUnit | null): string {
  return unit !== null && unit.memoryHigh < unit.memoryMax ? 'MemoryHigh=' : 'MemoryMax=';
}

/** `Max open files            1024                 524288               files`: soft, then hard. */
function openFilesIn(limits: string | undefined): number | null {
  const hard = /^Max open files\s+\S+\s+(\S+)/m.exec(limits ?? '')?.[1];
  if (hard === undefined) return null;
  return hard === 'unlimited' ? Number.POSITIVE_INFINITY : Number(hard);
}

/** Reads of this process become reads of the unit's, or of the cgroup that it will be in. */
function within(own: MachineSeam, { mainPid, controlGroup }: ServiceUnit): MachineSeam {
  const future = ['0::', '1:cpu,cpuacct:', '2:memory:', '3:pids:'].map((id) => `${id}${controlGroup}\n`);
  const readFile = (path: string) => {
    if (mainPid !== 0 && /^\/proc\/self\/(cgroup|status)$/.test(path))
      return own.readFile(path.replace('self', String(mainPid)));
    return path === '/proc/self/cgroup' ? future.join('') : own.readFile(path);
  };
  return { ...own, readFile };
}

function taskLimit(seam: MachineSeam): number {
  if (seam.platform !== 'linux') return Number.POSITIVE_INFINITY;
  const cgroups = readCgroups(seam);
  const directories = [
    ...cgroups({ version: 'v2', controller: '' }),
    ...cgroups({ version: 'v1', controller: 'pids' }),
  ];
  return Math.min(...directories.map((path) => limitIn(attempt(seam.readFile, `${path}/pids.max`))));
}

/** v1 where memory is one of its controllers, whatever else is mounted beside it. */
function hierarchyOf({ readFile, platform }: MachineSeam): 'v1' | 'v2' | null {
  const mounts = platform === 'linux' ? (attempt(readFile, '/proc/self/mountinfo') ?? '') : '';
  if (/ - cgroup \S+ \S*\bmemory\b/.test(mounts)) return 'v1';
  return / - cgroup2 /.test(mounts) ? 'v2' : null;
}
