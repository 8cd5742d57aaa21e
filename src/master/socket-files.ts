import { type FSWatcher, linkSync, lstatSync, readdirSync, unlinkSync, watch } from 'node:fs';
import { basename, dirname, join } from 'node:path';

/** The files of the unix sockets that workers listen on. */
export interface SocketFiles {
  /** A socket was bound there just now. */
  bound(path: string): void;
  /** It is closed. */
  closed(path: string): void;
  /** Its file is there again where it was removed. */
  check(path: string): void;
}

interface Known {
  /** Another name of the socket's inode: without any the file could not be made again. */
  readonly spare: string;
  readonly watcher: FSWatcher | null;
}

/** link(2) works on sockets where the file system has them as files (Linux); elsewhere a removed file stays removed. */
export function createSocketFiles(onRestored: (path: string) => void): SocketFiles {
  const known = new Map<string, Known>();

  const check = (path: string): void => {
    const entry = known.get(path);
    if (entry === undefined || lstatSync(path, { throwIfNoEntry: false }) !== undefined) return;
    try {
      linkSync(entry.spare, path);
      onRestored(path);
    } catch {
      // Somebody else was sooner, or the directory is gone.
    }
  };
  const forget = (path: string): void => {
    const entry = known.get(path);
    known.delete(path);
    entry?.watcher?.close();
    if (entry !== undefined) removeQuietly(entry.spare);
  };
  return {
    check,
    bound: (path) => {
      // An abstract one is no file (unix(7)).
      if (path.startsWith('\0')) return;
      forget(path);
      removeLeftOvers(path);
      const spare = spareOf(path, process.pid);
      if (!links(path, spare)) return;
      known.set(path, { spare, watcher: watchNames(spare, () => check(path)) });
    },
    closed: forget,
  };
}

/**
 * An app that removes what an earlier run may have left takes the live file of its siblings: it is made again at once.
 * inotify(7) tells of a change in the number of names that an inode has, so that no directory has to be watched.
 */
function watchNames(spare: string, onChange: () => void): FSWatcher | null {
  try {
    const watcher = watch(spare, { persistent: false }, onChange);
    return watcher.on('error', () => watcher.close());
  } catch {
    return null;
  }
}

function links(path: string, spare: string): boolean {
  try {
    linkSync(path, spare);
    return true;
  } catch {
    return false;
  }
}

/** A hidden file beside the socket: link(2) stays within a file system. */
function spareOf(path: string, pid: number): string {
  return join(dirname(path), `.${basename(path)}.rom-agent-${pid}`);
}

/** Of daemons that were killed. */
function removeLeftOvers(path: string): void {
  const prefix = spareOf(basename(path), 0).slice(0, -1);
  for (const name of readNames(dirname(path))) {
    const pid = name.startsWith(prefix) ? Number(name.slice(prefix.length)) : Number.NaN;
    if (Number.isInteger(pid) && (pid === process.pid || !isAlive(pid)))
      removeQuietly(join(dirname(path), name));
  }
}

function readNames(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

function removeQuietly(path: string): void {
  try {
    unlinkSync(path);
  } catch {}
}
