import { accessSync, constants, readFileSync, statSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { commandOf, groupNameIn, type Refusal, remedyFor, type Sandbox } from '../../sandbox/remedies.js';

export interface SandboxSeam {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly uid: number;
  readonly readFile: (path: string) => string;
  /** null where the file does not exist, or where this process may not see it. */
  readonly ownerOf: (path: string) => { readonly uid: number; readonly gid: number } | null;
  /** Why this process may not write there, as the error code of access(2); null where it may. */
  readonly writeError: (path: string) => string | null;
  /** Whether this process may enter the directory. */
  readonly mayEnter: (path: string) => boolean;
}

/**
 * Names the directive of the unit that refused access, and the drop-in that allows it; null where no sandbox refused,
 * and where this process does not run in a systemd unit. See systemd.exec(5).
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
    // Without ProtectHome= every user may enter /home.
    hidesHomes: !mayEnter('/home'),
    gidOf: (path) => ownerOf(path)?.gid ?? null,
    groupName: (gid) => groupNameIn(seam, gid),
    owns: (path) => ownerOf(path)?.uid === uid,
    isReadOnly: (path) => isReadOnly(path, seam),
    isOutside: () => null,
  };
}

/**
 * On a read-only file system mkdir() with `recursive` fails with ENOENT (Node 20). access(2) checks the mode first,
 * and fails with EACCES where another user owns the directory.
 */
function isReadOnly(path: string, { writeError }: SandboxSeam): boolean {
  for (let up = path; up !== ''; up = dirname(up)) {
    const code = writeError(up);
    if (code !== 'ENOENT' || up === dirname(up)) return code === 'EROFS' || code === 'EACCES';
  }
  return false;
}

/** The range from which systemd takes dynamic users: docs/UIDS-GIDS of systemd. */
function isDynamic(uid: number): boolean {
  return uid >= 61_184 && uid <= 65_519;
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
