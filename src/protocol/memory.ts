import { getHeapStatistics } from 'node:v8';

let last = 0;

/** Resident set size of this process, bytes: as it was last where the process has no file descriptor left to find it out. */
export function residentSet(): number {
  try {
    last = process.memoryUsage.rss();
  } catch {}
  return last;
}

/** What is in use of V8's heap, bytes: process.memoryUsage().heapUsed, which needs no file descriptor. */
export function heapUsed(): number {
  return getHeapStatistics().used_heap_size;
}
