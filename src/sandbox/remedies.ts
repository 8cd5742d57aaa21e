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

/** The sandbox of a unit, as who looks at a refusal sees it. */
export interface Sandbox {
  /** Whether DynamicUser= makes the user. */
  readonly isDynamic: boolean;
  /** The first StateDirectory=, without /var/lib. */
  readonly state: string;
  /** Whether ProtectHome= hides the homes. */
  readonly hidesHomes: boolean;
  /** The group of a file; null where there is none, or where it may not be seen. */
  readonly gidOf: (path: string) => number | null;
  /** The name of a group, or its number. */
  readonly groupName: (gid: number) => string;
  /** Whether the file belongs to the service's user. */
  readonly owns: (path: string) => boolean;
  /** Whether the directory that is to be made at this path would be made on a file system that is read-only. */
  readonly isReadOnly: (path: string) => boolean;
  /** Whether the path is there outside of the sandbox; null where that cannot be seen. */
  readonly isOutside: (path: string) => boolean | null;
}

/** The name of a group by group(5), or its number. */
export function groupNameIn(seam: { readonly readFile: (path: string) => string }, gid: number): string {
  try {
    const lines = seam.readFile('/etc/group').split('\n');
    return lines.map((line) => line.split(':')).find((fields) => fields[2] === String(gid))?.[0] ?? `${gid}`;
  } catch {
    return `${gid}`;
  }
}

export interface Remedy {
  /** The one that stands in the way. */
  readonly directive: string;
  /** Without a semicolon: what an error says before it ends with one. */
  readonly why: string;
  /** Under [Service] of a drop-in; none where a unit cannot help, and `why` says what does. */
  readonly lines: readonly string[];
}

/** Which directive stands in the way, and what opens it; null for what no sandbox has refused. See systemd.exec(5). */
export function remedyFor(error: Refusal, sandbox: Sandbox): Remedy | null {
  const syscall = error.info?.syscall ?? error.syscall ?? '';
  const code = unnamed.test(error.message) ? 'EAFNOSUPPORT' : (error.info?.code ?? error.code);
  switch (code) {
    case 'EROFS':
      return readOnly(error, syscall, sandbox);
    case 'EAFNOSUPPORT':
      return families(error, syscall);
    case 'ENOSYS':
      return unknownCall(syscall);
    case 'EAGAIN':
      return syscall.startsWith('spawn') ? tasks : null;
    case 'MODULE_NOT_FOUND':
    case 'ERR_MODULE_NOT_FOUND':
      return hiddenModule(error, sandbox);
    case 'ENOENT':
      return absent(error, syscall, sandbox);
    // Of a user or group that PrivateUsers= does not know.
    case 'EINVAL':
      return identity(syscall);
    case 'EACCES':
    case 'EPERM':
      return forbidden({ ...error, code }, syscall, sandbox);
    default:
      return null;
  }
}

/** EAFNOSUPPORT of Linux, which libuv knows on other systems. */
const unnamed = /\bUnknown system error -?97\b/;

/** How a drop-in is made of it. */
export function commandOf({ lines }: Pick<Remedy, 'lines'>, unit: string): string {
  return `sudo systemctl edit ${unit}: under [Service] ${lines.join(', ')}`;
}

/** Of the kernel's own files, which no drop-in should open for an app. */
const kernels: readonly (readonly [RegExp, string, string])[] = [
  [/^\/proc\/sys\//, 'ProtectKernelTunables', 'set it for the machine, in /etc/sysctl.d'],
  [/^\/sys\/fs\/cgroup\//, 'ProtectControlGroups', 'set limits in the unit, such as MemoryMax= or CPUQuota='],
  [/^\/(?:proc|sys)\//, 'ProtectKernelTunables', 'set it for the machine, in /etc/tmpfiles.d or a udev rule'],
];

function readOnly({ path }: Refusal, syscall: string, { isDynamic, state }: Sandbox): Remedy | null {
  if (path === undefined) return null;
  for (const [kernel, directive, instead] of kernels)
    if (kernel.test(path))
      return { directive, why: `${directive}= of the unit keeps ${path} read-only: ${instead}`, lines: [] };
  const directory = syscall === 'mkdir' || syscall === 'mkdtemp' ? path : dirname(path);
  const directive = 'ProtectSystem';
  const why = `ProtectSystem= of the unit keeps ${directory} read-only`;
  if (!isDynamic) return { directive, why, lines: [`ReadWritePaths=${directory}`] };
  // A user that is made at each start owns nothing there: the directory is kept among those that systemd gives it.
  const own = basename(directory);
  return {
    directive,
    why,
    lines: [`StateDirectory=${state}/${own}`, `BindPaths=/var/lib/${state}/${own}:${directory}`],
  };
}

function families({ address }: Refusal, syscall: string): Remedy {
  const directive = 'RestrictAddressFamilies';
  const why = 'RestrictAddressFamilies= of the unit allows no such socket';
  return { directive, why, lines: [`RestrictAddressFamilies=${familyOf(address ?? '', syscall)}`] };
}

function familyOf(address: string, syscall: string): string {
  if (syscall === 'uv_interface_addresses') return 'AF_NETLINK';
  if (address.startsWith('/')) return 'AF_UNIX';
  if (address.includes(':')) return 'AF_INET6';
  return /^[\d.]+$/.test(address) ? 'AF_INET' : 'with the family that is missing';
}

function unknownCall(syscall: string): Remedy | null {
  if (!/^[a-z][a-z0-9_]*$/.test(syscall) || syscall.startsWith('uv_')) return null;
  const why = `the kernel has no ${syscall}(), or SystemCallFilter= of the unit does not know it`;
  return { directive: 'SystemCallFilter', why, lines: [`SystemCallFilter=${syscall}`] };
}

const tasks: Remedy = {
  directive: 'TasksMax',
  why: 'the service has as many processes and threads as TasksMax= of the unit allows',
  lines: ['TasksMax=infinity'],
};

const home = /^\/(?:home|root|run\/user)\//;

function hidden(path: string, { hidesHomes }: Sandbox): Remedy | null {
  if (!hidesHomes || !home.test(path)) return null;
  const directory = dirname(path);
  return {
    directive: 'ProtectHome',
    why: `ProtectHome= of the unit hides ${directory}, which could move to /srv, or be shown to the service`,
    lines: ['ProtectHome=tmpfs', `BindReadOnlyPaths=${directory}`],
  };
}

function hiddenModule({ message }: Refusal, sandbox: Sandbox): Remedy | null {
  const [, path = ''] = /'(?:file:\/\/)?(\/[^']+)'/.exec(message) ?? [];
  return hidden(path, sandbox);
}

const noPasswd: Remedy = {
  directive: 'DynamicUser',
  why: 'the user that DynamicUser= makes has no entry in passwd(5) without the package libnss-systemd: install it, or run as a user of your own',
  lines: ['DynamicUser=no', 'User=NAME'],
};

const ofProc =
  /^\/proc\/(?:cpuinfo|meminfo|stat|loadavg|uptime|version|diskstats|vmstat|mounts|sys\/.*|net\/.*)$/;

/** What is not there, since the sandbox has taken it away. mkdir() with `recursive` says so of a read-only file system. */
function absent(error: Refusal, syscall: string, sandbox: Sandbox): Remedy | null {
  if (syscall === 'uv_os_get_passwd') return noPasswd;
  const path = error.path ?? error.address ?? '';
  if (syscall === 'mkdir' && sandbox.isReadOnly(path)) return readOnly(error, syscall, sandbox);
  if (path.startsWith('/dev/')) return device(path, sandbox);
  if (/^\/proc\/1\//.test(path)) {
    const why = "ProtectProc= of the unit hides other users' processes";
    return { directive: 'ProtectProc', why, lines: ['ProtectProc=default'] };
  }
  if (ofProc.test(path)) {
    const why = `ProcSubset= of the unit hides ${path}`;
    return { directive: 'ProcSubset', why, lines: ['ProcSubset=all'] };
  }
  return otherTmp(path, syscall, sandbox) ?? hidden(path, sandbox);
}

function device(path: string, { isOutside }: Sandbox): Remedy | null {
  if (isOutside(path) === false) return null;
  const why = `PrivateDevices= of the unit hides ${path}`;
  return { directive: 'PrivateDevices', why, lines: ['PrivateDevices=no', `DeviceAllow=${path} rw`] };
}

/** Apps look for much in /tmp that may be missing, but hardly for the socket of somebody else. */
function otherTmp(path: string, syscall: string, { isDynamic, isOutside }: Sandbox): Remedy | null {
  if (!/^\/(?:var\/)?tmp\//.test(path)) return null;
  const outside = isOutside(path);
  if (outside === false || (outside === null && syscall !== 'connect')) return null;
  const why = `PrivateTmp= of the unit gives it a /tmp of its own, without ${path}, which could be made elsewhere, such as in /run`;
  // It cannot be taken from a user that is made: systemd.exec(5), DynamicUser=.
  const lines = isDynamic ? ['DynamicUser=no', 'User=NAME', 'PrivateTmp=no'] : ['PrivateTmp=no'];
  return { directive: 'PrivateTmp', why, lines };
}

const bind = 'CAP_NET_BIND_SERVICE';

function forbidden(error: Refusal, syscall: string, sandbox: Sandbox): Remedy | null {
  const { port = 0, path, code } = error;
  if ((syscall === 'listen' || syscall === 'bind') && port > 0 && port < 1024) {
    const lines = ['PrivateUsers=no', `CapabilityBoundingSet=${bind}`, `AmbientCapabilities=${bind}`];
    return { directive: 'CapabilityBoundingSet', why: 'the unit has no right to it', lines };
  }
  if (code === 'EPERM') return notPermitted(error, syscall, sandbox);
  if (/setpriority$/.test(syscall)) return higherPriority;
  if (syscall === 'connect' && port <= 0) return socketOf(error.address ?? path, sandbox);
  if (path === undefined) return null;
  if (path.startsWith('/dev/')) return socketOf(path, sandbox);
  const isRead = /^(?:open|scandir|access|stat|lstat|readlink|realpath|chdir)$/.test(syscall);
  return hidden(path, sandbox) ?? (isRead ? unreadable(path, syscall, sandbox) : null);
}

/** The filter says EPERM; EACCES is of setpriority(2) itself. */
const higherPriority: Remedy = {
  directive: 'Nice',
  why: 'the service has no right to a higher priority, which Nice= of the unit gives',
  lines: ['Nice=NUMBER'],
};

function notPermitted(error: Refusal, syscall: string, sandbox: Sandbox): Remedy | null {
  const { port = 0, path, address } = error;
  if (/^[fl]?chown$/.test(syscall)) return filtered('chown()', '@chown');
  if (/setpriority$/.test(syscall)) return filtered('setpriority()', 'setpriority');
  if (/^(?:f?chmod|mkdir)$/.test(syscall) && path !== undefined)
    return sandbox.owns(syscall === 'mkdir' ? dirname(path) : path) ? suid(sandbox) : null;
  const other = identity(syscall);
  if (other !== null) return other;
  if (syscall === 'connect' && port > 0) {
    const why = `IPAddressDeny= of the unit allows no connection to ${address ?? 'this address'}`;
    return { directive: 'IPAddressDeny', why, lines: [`IPAddressAllow=${address ?? 'ADDRESS'}`] };
  }
  if (syscall === 'connect') return socketOf(address ?? path, sandbox);
  if (syscall === 'open' && path?.startsWith('/dev/')) return device(path, sandbox);
  return null;
}

function identity(syscall: string): Remedy | null {
  if (!/^(?:set(?:e?[ug]id|groups)|initgroups)$/.test(syscall)) return null;
  const why = `the service cannot change its user (${syscall}), which the app can leave to the unit`;
  return { directive: 'User', why, lines: ['DynamicUser=no', 'User=NAME'] };
}

function filtered(what: string, call: string): Remedy {
  const why = `SystemCallFilter= of the unit refuses ${what}`;
  return { directive: 'SystemCallFilter', why, lines: [`SystemCallFilter=${call}`] };
}

function suid({ isDynamic }: Sandbox): Remedy {
  const directive = 'RestrictSUIDSGID';
  const why =
    'RestrictSUIDSGID= of the unit refuses files that are set-user-ID or set-group-ID (mode 4000, 2000)';
  // It cannot be taken from a user that is made: systemd.exec(5), DynamicUser=.
  const own = isDynamic ? ['DynamicUser=no', 'User=NAME'] : [];
  return { directive, why, lines: [...own, 'RestrictSUIDSGID=no'] };
}

function socketOf(address: string | null | undefined, { gidOf, groupName }: Sandbox): Remedy | null {
  const gid = address == null ? null : gidOf(address);
  if (gid === null) return null;
  const group = gid === nobody ? 'GROUP' : groupName(gid);
  const where = gid === nobody ? ` (ls -l ${address} names its GROUP)` : '';
  const what = address?.startsWith('/dev/') ? 'device' : 'socket';
  const why = `the service's user is not in the group of the ${what} ${address}${where}`;
  return { directive: 'SupplementaryGroups', why, lines: [`SupplementaryGroups=${group}`] };
}

/** As whom PrivateUsers=yes shows all others. */
const nobody = 65_534;

function unreadable(path: string, syscall: string, { isDynamic }: Sandbox): Remedy | null {
  if (!isDynamic || !/^(?:open|scandir|access)$/.test(syscall)) return null;
  const why =
    `the user that DynamicUser= makes may not read ${path}: systemd reads it for the service, variables with ` +
    `EnvironmentFile=${path}, anything else as a credential`;
  return { directive: 'DynamicUser', why, lines: [`LoadCredential=${basename(path)}:${path}`] };
}
