import { constants } from 'node:buffer';
import { readFile, stat } from 'node:fs/promises';
import { getHeapStatistics } from 'node:v8';
import { isSnapshot } from '../../heap/snapshot.js';
import { type SnapshotSummary, summarize } from '../../heap/summary.js';
import { bytes } from '../../heap/words.js';

/** What a snapshot says, or why it was not read: a sentence without its subject. */
export type Told = { readonly summary: SnapshotSummary } | { readonly problem: string };

export interface Room {
  /** Of the machine or the cgroup. */
  readonly availableBytes: number;
  /** Of this process's JavaScript heap. */
  readonly heapBytes: number;
}

/** Bytes of memory that reading takes for each byte of the file, at most. */
const factor = 8;

/** The largest snapshot that is read, bytes. A service that has little memory left is not to lose it to its operator. */
export function largestSnapshot({ availableBytes, heapBytes }: Room): number {
  return Math.floor(Math.min(constants.MAX_STRING_LENGTH, availableBytes / factor, heapBytes / factor));
}

/** Reads a heap snapshot that the daemon has written on this machine. */
export async function readSummary(path: string, room: Room = roomNow()): Promise<Told> {
  try {
    const { size } = await stat(path);
    const most = largestSnapshot(room);
    if (size > most) {
      return { problem: `it has ${bytes(size)}, and there is memory to read ${bytes(most)} of it at most` };
    }
    const found: unknown = JSON.parse(await readFile(path, 'utf8'));
    return isSnapshot(found) ? { summary: summarize(found) } : { problem: 'it is no heap snapshot of V8' };
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'EACCES' || code === 'EPERM')
      return { problem: 'only the account of the daemon may; use sudo' };
    return { problem: code === 'ENOENT' ? 'it is not on this machine, or out of reach' : message };
  }
}

function roomNow(): Room {
  const { heap_size_limit, used_heap_size } = getHeapStatistics();
  return { availableBytes: process.availableMemory(), heapBytes: heap_size_limit - used_heap_size };
}
