import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

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

type Collect = (how?: { type: 'major'; execution: 'sync'; flavor: 'last-resort' }) => void;

/** Its V8 takes an object for the wish to collect the young generation only, and knows no collection as a last resort. */
const isNode20 = process.versions.node.startsWith('20.');

/** V8 of Node 20 returns the pages with the second collection, if little was allocated since the first. */
export const collectionsNeeded = isNode20 ? 2 : 1;

/**
 * Has V8 collect all garbage now, and return the pages that are free to the system. Takes some 2 ms for each MB in use.
 * V8 gives its function for that to contexts that are created while the flag is set; without `globalThis.gc` the app finds
 * none.
 */
export function returnMemory(): void {
  const isAsked = 'gc' in globalThis;
  setFlagsFromString('--expose-gc');
  try {
    const collect = runInNewContext('gc') as Collect;
    if (isNode20) collect();
    else collect({ type: 'major', execution: 'sync', flavor: 'last-resort' });
  } finally {
    if (!isAsked) setFlagsFromString('--no-expose-gc');
  }
}
