import { accessSync, constants, readFileSync, statSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { commandOf, type Refusal, remedyFor, type Sandbox } from '../../sandbox/remedies.js';

export interface SandboxSeam {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly uid: number;
  readonly readFile: (path: string) => string;
  /** null where there is none, or where it may not be seen. */
  readonly ownerOf: (path: string) => { readonly uid: number; readonly gid: number } | null;
  /** Why this process may not write there: the code of access(2); null: it may. */
  readonly writeError: (path: string) => string | null;
  /** Whether this process may enter the directory. */
  readonly mayEnter: (path: string) => boolean;
}

/**
 * Which directive of the unit stands in the way, and the drop-in that opens it; null for what no sandbox has refused, and
 * where no unit of systemd runs this process. See systemd.exec(5).
 */
export function sandboxHint(error: Refusal, seam: SandboxSeam = here): string | null {
  const unit = unitOf(seam);
  if (unit === null) return null;
  const remedy = remedyFor(error, sandboxAround(seam));
  if (remedy === null) return null;
  return remedy.lines.length === 0 ? remedy.why : `${remedy.why}: ${commandOf(remedy, unit)}`;
}

function sandboxAround(seam: SandboxSeam): Sandbox {
  const { env, uid, ownerOf, mayEnter } = seam;
  const [state = '/var/lib/rom-agent'] = (env.STATE_DIRECTORY ?? '').split(':').filter(Boolean);
  return {
    isDynamic: isDynamic(uid),
    state: basename(state),
    // Where ProtectHome= does not hold, everybody may.
    hidesHomes: !mayEnter('/home'),
    gidOf: (path) => ownerOf(path)?.gid ?? null,
    groupName: (gid) => groupIn(seam, gid),
    owns: (path) => ownerOf(path)?.uid === uid,
    isReadOnly: (path) => isReadOnly(path, seam),
    isOutside: () => null,
  };
}

/**
 * mkdir() with `recursive` says ENOENT on a file system that is read-only (Node 20). access(2) looks at the mode first,
 * and says EACCES there too of what belongs to somebody else.
 */
function isReadOnly(path: string, { writeError }: SandboxSeam): boolean {
  for (let up = path; up !== ''; up = dirname(up)) {
    const code = writeError(up);
    if (code !== 'ENOENT' || up === dirname(up)) return code === 'EROFS' || code === 'EACCES';
  }
  return false;
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
  ownerOf: (path) => {
    try {
      return statSync(path);
    } catch {
      return null;
    }
  },
  writeError: (path) => accessError(path, constants.W_OK),
  mayEnter: (path) => accessError(path, constants.X_OK) !== 'EACCES',
};

function accessError(path: string, mode: number): string | null {
  try {
    accessSync(path, mode);
    return null;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? null;
  }
}
