import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { parseProcStat } from '../processes.js';
import type { Koffi } from './unix-datagram.js';

/** The children of this process that have ended and that nobody has waited for, and how to wait for one. */
export interface Zombies {
  list(): readonly number[];
  reap(pid: number): void;
}

/** ms between two looks */
const interval = 500;
/** waitpid(2): does not wait. */
const noHang = 1;

/**
 * Node.js waits for the children that it has started itself. Process 1 is given those of others too, when their parents
 * have ended: this waits for them. What is a zombie twice in a row is none of Node's own: it has had a turn of its event
 * loop to take it.
 *
 * Returns the look, to be taken again and again.
 */
export function reapAdopted({ list, reap }: Zombies): () => void {
  let before: ReadonlySet<number> = new Set();
  return () => {
    const now = list();
    for (const pid of now) if (before.has(pid)) reap(pid);
    before = new Set(now.filter((pid) => !before.has(pid)));
  };
}

/** Begins to reap, for as long as this process lives. False where that cannot be: koffi, or Linux, is not there. */
export function beginReaping(): boolean {
  const zombies = zombiesOfThis();
  if (zombies === null) return false;
  setInterval(reapAdopted(zombies), interval).unref();
  return true;
}

export function canReap(): boolean {
  return zombiesOfThis() !== null;
}

function zombiesOfThis(): Zombies | null {
  try {
    const koffi = createRequire(import.meta.url)('koffi') as Koffi;
    const waitpid = koffi.load(null).func('int waitpid(int pid, void *status, int options)');
    childrenOfThis();
    return {
      list: () => childrenOfThis().filter(isZombie),
      reap: (pid) => void waitpid(pid, null, noHang),
    };
  } catch {
    return null;
  }
}

/**
 * Those of the first thread, which is given what process 1 adopts (proc_pid_task_tid_children(5)).
 *
 * @throws where the kernel does not tell
 */
function childrenOfThis(): readonly number[] {
  const children = readFileSync(`/proc/self/task/${process.pid}/children`, 'utf8').split(' ');
  return children.map(Number).filter((pid) => pid > 0);
}

function isZombie(pid: number): boolean {
  try {
    return parseProcStat(readFileSync(`/proc/${pid}/stat`, 'utf8')).state === 'Z';
  } catch {
    return false;
  }
}
