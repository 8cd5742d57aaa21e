import { PerformanceObserver } from 'node:perf_hooks';
import { getHeapStatistics } from 'node:v8';
import { gcKindOf } from '../../metrics/collect.js';
import type { RequestTally } from '../../metrics/tally.js';
import type { Collection } from '../../protocol/leak.js';
import { monotonic } from '../../protocol/messages.js';
import type { RouteCounts } from '../../protocol/metrics.js';

export interface CollectionsSeam {
  readonly tally: Pick<RequestTally, 'counts'>;
  readonly tell: (collection: Collection) => void;
  /** Has `collected` called after each full collection of the heap. */
  readonly onCollected?: (collected: () => void) => void;
  /** ms */
  readonly now?: () => number;
  /** What the heap and its ArrayBuffers take, bytes. */
  readonly heapBytes?: () => number;
}

/** A worker that is short of memory collects all the time, ms. */
const shortest = 1_000;

/** Tells what is left after each full collection of the heap, and what was asked until then: see costs/leaks.ts. */
export function tellCollections({ tally, tell, ...seam }: CollectionsSeam): void {
  const now = seam.now ?? monotonic;
  const heapBytes = seam.heapBytes ?? bytesInUse;
  let told = Number.NEGATIVE_INFINITY;
  (seam.onCollected ?? watchCollections)(() => {
    const atMs = now();
    if (atMs - told < shortest) return;
    told = atMs;
    tell({ atMs, bytes: heapBytes(), counts: countsByKind(tally.counts()) });
  });
}

/** Answers of any status: `GET /reports/:id`. */
export function countsByKind(routes: readonly RouteCounts[]): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const { route, answers } of routes) {
    for (const [name, count] of Object.entries(answers)) {
      const kind = `${name.slice(0, name.indexOf(' '))} ${route}`;
      counts[kind] = (counts[kind] ?? 0) + count;
    }
  }
  return counts;
}

function watchCollections(collected: () => void): void {
  new PerformanceObserver((list) => {
    if (list.getEntries().some((entry) => gcKindOf(entry) === 'major')) collected();
  }).observe({ entryTypes: ['gc'] });
}

function bytesInUse(): number {
  const { used_heap_size: used, external_memory: external } = getHeapStatistics();
  return used + external;
}
