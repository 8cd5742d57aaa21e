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
type CgroupFiles = (version: 'v1' | 'v2', controller: string, file: string) => readonly string[];

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
    ...[...v2, ...v1].map(([quota, period]) => positive(quota) / positive(period)).filter(isLimit),
  );
}

/** Bytes, Infinity where there is no limit. */
function memoryLimitOf(files: CgroupFiles): number {
  const v2 = files('v2', '', 'memory.max');
  const v1 = files('v1', 'memory', 'memory.limit_in_bytes');
  return Math.min(...[...v2, ...v1].map((line) => positive(line.trim())).filter(isLimit));
}

/** Infinity for "max", -1 and what is no number. */
function positive(text: string | undefined): number {
  const number = Number(text);
  return number > 0 ? number : Number.POSITIVE_INFINITY;
}

function isLimit(value: number): boolean {
  return value > 0 && Number.isFinite(value);
}

function cgroupFiles({ readFile }: MachineSeam): CgroupFiles {
  const groups = attempt(readFile, '/proc/self/cgroup') ?? '';
  const mounts = parseMounts(attempt(readFile, '/proc/self/mountinfo') ?? '');
  return (version, controller, file) => {
    const path = groupPath(groups, controller);
    const mount = findMount(mounts, { version, controller, path });
    const contents = directories(mount, path).map((directory) => attempt(readFile, `${directory}/${file}`));
    return contents.filter((content) => content !== undefined);
  };
}

interface Mount {
  readonly version: 'v1' | 'v2';
  readonly controllers: readonly string[];
  /** The cgroup that is seen at the mount point. */
  readonly root: string;
  readonly point: string;
}

/** Lines of proc_pid_mountinfo(5): id, parent, device, root, mount point, ... - type, source, options. */
function parseMounts(mountinfo: string): readonly Mount[] {
  return mountinfo.split('\n').flatMap((line) => {
    const [left = '', right = ''] = line.split(' - ');
    const [, , , root = '/', point = ''] = left.split(' ').map(decodeOctal);
    const [type, , options = ''] = right.split(' ');
    if (type !== 'cgroup' && type !== 'cgroup2') return [];
    return [
      { version: type === 'cgroup' ? 'v1' : 'v2', controllers: options.split(','), root, point } as const,
    ];
  });
}

function decodeOctal(field: string): string {
  return field.replaceAll(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );
}

/** The own cgroup of a v1 controller; with no controller that of v2. Lines of cgroups(7): id:controllers:path. */
function groupPath(groups: string, controller: string): string {
  for (const line of groups.split('\n')) {
    const [, names = '', path] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    if (path !== undefined && names.split(',').includes(controller)) return path;
  }
  return '/';
}

function findMount(
  mounts: readonly Mount[],
  { version, controller, path }: { version: 'v1' | 'v2'; controller: string; path: string },
): Mount {
  const fitting = mounts.filter(
    (mount) => mount.version === version && (version === 'v2' || mount.controllers.includes(controller)),
  );
  const usual = {
    version,
    controllers: [],
    root: '/',
    point: `/sys/fs/cgroup/${controller}`.replace(/\/$/, ''),
  };
  return fitting.find(({ root }) => below(path, root) !== undefined) ?? fitting[0] ?? usual;
}

/** Directories of the own cgroup and its ancestors. In a container the path may mean nothing below the mount. */
function directories(mount: Mount, path: string): readonly string[] {
  const segments = (below(path, mount.root) ?? path).split('/').filter((segment) => segment !== '');
  if (segments.includes('..')) return [mount.point];
  const depths = Array.from({ length: segments.length + 1 }, (_, index) => segments.length - index);
  return depths.map((depth) => [mount.point, ...segments.slice(0, depth)].join('/'));
}

/** The part of `path` below `root`, undefined where it is not below. */
function below(path: string, root: string): string | undefined {
  if (root === '/') return path;
  return path === root || path.startsWith(`${root}/`) ? path.slice(root.length) : undefined;
}

function attempt(readFile: MachineSeam['readFile'], path: string): string | undefined {
  try {
    return readFile(path);
  } catch {
    return undefined;
  }
}
