import { accessSync, constants, readFileSync, statSync } from 'node:fs';
import { basename, dirname } from 'node:path';

/** What the system said, as far as it is looked at: errors of Node's fs, net and os. */
export interface Refusal {
  readonly code?: string;
  readonly syscall?: string;
  readonly path?: string;
  readonly address?: string | null;
  readonly port?: number;
  readonly message: string;
  /** Of ERR_SYSTEM_ERROR. */
  readonly info?: { readonly code?: string; readonly syscall?: string };
}

export interface SandboxSeam {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly uid: number;
  readonly readFile: (path: string) => string;
  /** The group of a file; null where there is none, or where it may not be seen. */
  readonly gidOf: (path: string) => number | null;
  /** Why this process may not write there: the code of access(2); null: it may. */
  readonly writeError: (path: string) => string | null;
}

/**
 * Which directive of the unit stands in the way, and the drop-in that opens it; null for what no sandbox has refused, and
 * where no unit of systemd runs this process. See systemd.exec(5).
 */
export function sandboxHint(error: Refusal, seam: SandboxSeam = here): string | null {
  const unit = unitOf(seam);
  if (unit === null) return null;
  const remedy = remedyFor(error, seam);
  if (remedy === null) return null;
  return `${remedy.why}: sudo systemctl edit ${unit}: under [Service] ${remedy.lines.join(', ')}`;
}

interface Remedy {
  readonly why: string;
  readonly lines: readonly string[];
}

function remedyFor(error: Refusal, seam: SandboxSeam): Remedy | null {
  const code = error.info?.code ?? error.code;
  const syscall = error.info?.syscall ?? error.syscall ?? '';
  switch (code) {
    case 'EROFS':
      return readOnly(error, seam);
    case 'EAFNOSUPPORT':
      return families(syscall);
    case 'ENOENT':
      if (syscall === 'mkdir' && isReadOnly(error, seam)) return readOnly(error, seam);
      return syscall === 'uv_os_get_passwd' ? noPasswd : null;
    case 'EACCES':
    case 'EPERM':
      return forbidden(error, syscall, seam);
    default:
      return null;
  }
}

/**
 * mkdir() with `recursive` says ENOENT on a file system that is read-only (Node 20). access(2) looks at the mode first,
 * and says EACCES there too of what belongs to somebody else.
 */
function isReadOnly({ path }: Refusal, { writeError }: SandboxSeam): boolean {
  for (let up = path; up !== undefined; up = dirname(up)) {
    const code = writeError(up);
    if (code !== 'ENOENT' || up === dirname(up)) return code === 'EROFS' || code === 'EACCES';
  }
  return false;
}

function readOnly({ path, syscall }: Refusal, seam: SandboxSeam): Remedy | null {
  if (path === undefined) return null;
  const directory = syscall === 'mkdir' || syscall === 'mkdtemp' ? path : dirname(path);
  const why = `ProtectSystem= of the unit keeps ${directory} read-only`;
  if (!isDynamic(seam.uid)) return { why, lines: [`ReadWritePaths=${directory}`] };
  // A user that is made at each start owns nothing there: the directory is kept among those that systemd gives it.
  const [state = '/var/lib/rom-agent'] = (seam.env.STATE_DIRECTORY ?? '').split(':').filter(Boolean);
  const own = basename(directory);
  return {
    why,
    lines: [
      `StateDirectory=${basename(state)}/${own}`,
      `BindPaths=/var/lib/${basename(state)}/${own}:${directory}`,
    ],
  };
}

function families(syscall: string): Remedy {
  const family = syscall === 'uv_interface_addresses' ? 'AF_NETLINK' : 'with the family that is missing';
  const why = 'RestrictAddressFamilies= of the unit allows no such socket';
  return { why, lines: [`RestrictAddressFamilies=${family}`] };
}

const noPasswd: Remedy = {
  why: 'the user that DynamicUser= makes has no entry in passwd(5) without the package libnss-systemd; install it, or run as a user of your own',
  lines: ['DynamicUser=no', 'User=NAME'],
};

const bind = 'CAP_NET_BIND_SERVICE';

function forbidden(error: Refusal, syscall: string, seam: SandboxSeam): Remedy | null {
  const { port = 0, path } = error;
  if ((syscall === 'listen' || syscall === 'bind') && port > 0 && port < 1024) {
    const lines = ['PrivateUsers=no', `CapabilityBoundingSet=${bind}`, `AmbientCapabilities=${bind}`];
    return { why: 'the unit has no right to it', lines };
  }
  if (/^[fl]?chown$/.test(syscall) && error.code === 'EPERM')
    return { why: 'SystemCallFilter= of the unit refuses chown()', lines: ['SystemCallFilter=@chown'] };
  if (/setpriority$/.test(syscall)) {
    const why = 'SystemCallFilter= of the unit refuses setpriority()';
    return { why, lines: ['SystemCallFilter=setpriority'] };
  }
  if (syscall === 'connect' && port <= 0) return socketOf(error.address ?? path, seam);
  if (error.code === 'EACCES' && path !== undefined && /^(open|scandir|access)$/.test(syscall))
    return unreadable(path, seam);
  return null;
}

function socketOf(address: string | null | undefined, seam: SandboxSeam): Remedy | null {
  const gid = address == null ? null : seam.gidOf(address);
  if (gid === null) return null;
  const group = gid === nobody ? 'GROUP' : groupIn(seam, gid);
  const where = gid === nobody ? ` (ls -l ${address} names its GROUP)` : '';
  const why = `the service's user is not in the group of the socket ${address}${where}`;
  return { why, lines: [`SupplementaryGroups=${group}`] };
}

/** As whom PrivateUsers=yes shows all others. */
const nobody = 65_534;

function unreadable(path: string, { uid }: SandboxSeam): Remedy | null {
  if (!isDynamic(uid)) return null;
  const why =
    `the user that DynamicUser= makes may not read ${path}; systemd reads it for the service, variables with ` +
    `EnvironmentFile=${path}, anything else as a credential`;
  return { why, lines: [`LoadCredential=${basename(path)}:${path}`] };
}

/** Where systemd takes them from: docs/UIDS-GIDS of systemd. */
function isDynamic(uid: number): boolean {
  return uid >= 61_184 && uid <= 65_519;
}

function groupIn({ readFile }: SandboxSeam, gid: number): string {
  try {
    const lines = readFile('/etc/group').split('\n');
    return lines.map((line) => line.split(':')).find((fields) => fields[2] === String(gid))?.[0] ?? `${gid}`;
  } catch {
    return `${gid}`;
  }
}

/** systemd sets INVOCATION_ID, and names the cgroup after the unit; a shell below a service is in one too. */
function unitOf({ env, readFile }: SandboxSeam): string | null {
  if (!env.INVOCATION_ID) return null;
  try {
    return /^[^/]*\/(?:.*\/)?([^/\n]+\.service)(?:\/|$)/m.exec(readFile('/proc/self/cgroup'))?.[1] ?? null;
  } catch {
    return null;
  }
}

const here: SandboxSeam = {
  env: process.env,
  uid: process.getuid?.() ?? 0,
  readFile: (path) => readFileSync(path, 'utf8'),
  gidOf: (path) => {
    try {
      return statSync(path).gid;
    } catch {
      return null;
    }
  },
  writeError: (path) => {
    try {
      accessSync(path, constants.W_OK);
      return null;
    } catch (error) {
      return (error as NodeJS.ErrnoException).code ?? null;
    }
  },
};
