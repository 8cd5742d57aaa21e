/** How the memory of one process goes, from its samples; nothing here knows the DOM. */

/** A heap that grows and does not fall back. */
export interface Growth {
  readonly pid: number;
  readonly worker: number | null;
  readonly fromBytes: number;
  readonly toBytes: number;
  /** Between the two. */
  readonly overMs: number;
  readonly bytesPerSecond: number;
}

/** Points of one process that are kept: ten minutes at one a second. */
const mostPoints = 600;

/** Windows into which the time is cut: in each, the least is what the garbage collector cannot free. */
const windows = 5;
const leastPoints = 15;
const leastMs = 14_000;
const leastGrowth = 12 * 1024 * 1024;
const leastShare = 0.25;

/** The heap of each process that lives, bounded. */
export class Heaps {
  readonly #heaps = new Map<number, { worker: number | null; at: number[]; used: number[] }>();

  /** Notes one sample and forgets the processes that are not in it. */
  note(
    atMs: number,
    workers: readonly {
      readonly id: number | null;
      readonly pid: number | null;
      readonly heapUsedBytes: number;
    }[],
  ): void {
    if (workers.length === 0) return;
    const seen = new Set<number>();
    for (const { id, pid, heapUsedBytes } of workers) {
      if (pid === null || heapUsedBytes <= 0) continue;
      seen.add(pid);
      let heap = this.#heaps.get(pid);
      if (heap === undefined) {
        heap = { worker: id, at: [], used: [] };
        this.#heaps.set(pid, heap);
      }
      heap.worker = id;
      heap.at.push(atMs);
      heap.used.push(heapUsedBytes);
      if (heap.at.length > mostPoints * 1.2) {
        heap.at.splice(0, heap.at.length - mostPoints);
        heap.used.splice(0, heap.used.length - mostPoints);
      }
    }
    for (const pid of this.#heaps.keys()) if (!seen.has(pid)) this.#heaps.delete(pid);
  }

  /** What grows, the most first. */
  growing(): readonly Growth[] {
    const found: Growth[] = [];
    for (const [pid, { worker, at, used }] of this.#heaps) {
      const growth = growthOf(at, used);
      if (growth !== null) found.push({ pid, worker, ...growth });
    }
    return found.sort((a, b) => b.toBytes - a.toBytes);
  }

  clear(): void {
    this.#heaps.clear();
  }
}

/**
 * Whether a heap grows: the floor of each fifth of the time is above that of the one before, by much in sum. What a heap
 * does in its first seconds, when the app is loaded, is left out.
 */
export function growthOf(
  at: readonly number[],
  used: readonly number[],
): Pick<Growth, 'fromBytes' | 'toBytes' | 'overMs' | 'bytesPerSecond'> | null {
  const points = at.length;
  const first = at[0];
  const last = at[points - 1];
  if (points < leastPoints || first === undefined || last === undefined || last - first < leastMs)
    return null;
  const floors: number[] = [];
  const times: number[] = [];
  for (let window = 0; window < windows; window++) {
    const begin = Math.floor((window * points) / windows);
    const end = Math.floor(((window + 1) * points) / windows);
    const least = Math.min(...used.slice(begin, end));
    floors.push(least);
    times.push(at[begin + used.slice(begin, end).indexOf(least)] ?? 0);
  }
  for (let window = 1; window < windows; window++) {
    if ((floors[window] ?? 0) <= (floors[window - 1] ?? 0)) return null;
  }
  const fromBytes = floors[0] ?? 0;
  const toBytes = floors[windows - 1] ?? 0;
  const overMs = (times[windows - 1] ?? 0) - (times[0] ?? 0);
  const grown = toBytes - fromBytes;
  if (overMs <= 0 || grown < Math.max(leastGrowth, fromBytes * leastShare)) return null;
  return { fromBytes, toBytes, overMs, bytesPerSecond: (grown / overMs) * 1_000 };
}
