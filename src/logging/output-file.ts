import * as fs from 'node:fs';

/**
 * The file that the service manager opened as standard output, where it is one that somebody rotates: launchd opens it
 * once and never again. Our plist names it.
 */
export const outputVariable = 'ROM_AGENT_OUTPUT';

/** Where standard output goes. The number changes when the file was rotated: ask for it with each write. */
export interface Output {
  readonly fd: number;
}

export interface FollowOptions {
  /** Absolute path of the file; null: nothing is followed. */
  readonly path: string | null;
  /** Called with the new descriptor, each time that another file was found under the path. */
  readonly onMoved?: (fd: number) => void;
  /** The inherited descriptor. */
  readonly fd?: number;
  /** How often the path is looked at, ms. */
  readonly interval?: number;
}

/** newsyslog makes the new file within moments of the renaming; until then lines go to the old one. */
const checkInterval = 1_000;

/**
 * Follows a file of standard output through its rotation: what newsyslog(8) has renamed is left, and the file that it
 * made in its place is opened. Nothing is created or renamed here, so that this needs no right to write to the directory.
 * Never throws.
 */
export function followOutput({ path, onMoved, fd = 1, interval = checkInterval }: FollowOptions): Output {
  const output = { fd };
  if (path === null || !path.startsWith('/') || !isFile(fd)) return output;
  /** Left at the one before: a write to it may still be out in the thread pool. */
  let left: number | null = null;
  const look = (): void => {
    const next = openOther(path, output.fd);
    if (next === null) return;
    if (left !== null) fs.closeSync(left);
    left = output.fd === fd ? null : output.fd;
    output.fd = next;
    onMoved?.(next);
  };
  setInterval(look, interval).unref();
  return output;
}

function isFile(fd: number): boolean {
  try {
    return fs.fstatSync(fd).isFile();
  } catch {
    return false;
  }
}

/** A descriptor of the file that has the path, where that is not the open one; null where it is, or cannot be opened. */
function openOther(path: string, open: number): number | null {
  try {
    const named = fs.lstatSync(path);
    const held = fs.fstatSync(open);
    if (!named.isFile() || (named.ino === held.ino && named.dev === held.dev)) return null;
    const { O_WRONLY, O_APPEND, O_NOFOLLOW, O_NONBLOCK } = fs.constants;
    return fs.openSync(path, O_WRONLY | O_APPEND | O_NOFOLLOW | O_NONBLOCK);
  } catch {
    return null;
  }
}
