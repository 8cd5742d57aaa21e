/** What is needed to find cgroups. */
export interface CgroupSeam {
  /** A file as text; throws where it cannot be read. */
  readonly readFile: (path: string) => string;
}

export interface Hierarchy {
  readonly version: 'v1' | 'v2';
  /** The controller of v1; '' with v2. */
  readonly controller: string;
}

/**
 * Directories of the cgroup that this process is in and of all of its ancestors that can be seen, the own one first.
 * Whether they exist, and have a file that is sought, is for the caller to find out.
 */
export type Cgroups = (hierarchy: Hierarchy) => readonly string[];

/** As of now: a process may be moved. */
export function readCgroups({ readFile }: CgroupSeam): Cgroups {
  const groups = attempt(readFile, '/proc/self/cgroup') ?? '';
  const mounts = parseMounts(attempt(readFile, '/proc/self/mountinfo') ?? '');
  return ({ version, controller }) => {
    const path = groupPath(groups, controller);
    return directories(findMount(mounts, { version, controller, path }), path);
  };
}

/** The text of a file, undefined where it cannot be read. */
export function attempt(readFile: CgroupSeam['readFile'], path: string): string | undefined {
  try {
    return readFile(path);
  } catch {
    return undefined;
  }
}

/** Infinity for "max", -1 and what is no number. v1 writes "no limit" as a number near 2^63. */
export function limitIn(text: string | undefined): number {
  const number = Number(text?.trim());
  return number > 0 ? number : Number.POSITIVE_INFINITY;
}

interface Mount {
  readonly version: Hierarchy['version'];
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
  { version, controller, path }: Hierarchy & { path: string },
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

/** Whose process it is. */
export interface UnitOfProcess {
  /** Its service, the innermost one; null where there is none. */
  readonly unit: string | null;
  /** Whether the manager of a user runs it: its service is below that of the manager (systemd.slice(5)). */
  readonly ofUser: boolean;
}

/** @param text of /proc/PID/cgroup */
export function unitInCgroup(text: string): UnitOfProcess {
  const [, above = '', unit] = /^[^/]*(\/(?:.*\/)?)([^/\n]+\.service)(?:\/|$)/m.exec(text) ?? [];
  return { unit: unit ?? null, ofUser: /\/user@\d+\.service\//.test(above) };
}
