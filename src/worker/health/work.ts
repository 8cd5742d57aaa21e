import { getHeapStatistics } from 'node:v8';
import { type Collector, processCounters } from '../../metrics/collect.js';
import type { RequestTally } from '../../metrics/tally.js';
import type { Millis } from '../../protocol/limits.js';
import { residentSet } from '../../protocol/memory.js';
import { monotonic } from '../../protocol/messages.js';
import type { Work } from '../../protocol/route-cost.js';
import { countsByKind } from './collections.js';

export interface WorkSeam {
  readonly tally: Pick<RequestTally, 'counts'>;
  readonly collector: Pick<Collector, 'takeLongest'>;
  /** Of the heartbeats, ms. */
  readonly interval: Millis;
  readonly isServing: () => boolean;
  readonly tell: (work: Work) => void;
  /** ms */
  readonly now?: () => Millis;
  readonly counters?: typeof processCounters;
}

/** Longer than what one request takes, so that most requests begin and end in one span, ms. */
const shortest: Millis = 5_000;

/** Tells every few seconds what has been spent and what has been answered until then: see costs/spending.ts. */
export function createWork({ tally, collector, interval, isServing, tell, ...seam }: WorkSeam): {
  /** Called once per interval, after the heartbeat has measured the event-loop delay. */
  beat(): void;
} {
  const now = seam.now ?? monotonic;
  const counters = seam.counters ?? processCounters;
  let beats = 0;
  let told = 0;

  return {
    beat: () => {
      beats += 1;
      if (beats * interval < shortest || !isServing()) return;
      const counts = countsByKind(tally.counts());
      const answers = Object.values(counts).reduce((sum, count) => sum + count, 0);
      // A worker without requests has nothing to explain: its next span is a longer one.
      if (answers === told) return;
      beats = 0;
      told = answers;
      const { cpuSeconds, loopActiveSeconds } = counters();
      tell({
        atMs: now(),
        cpuMs: cpuSeconds * 1_000,
        loopMs: loopActiveSeconds * 1_000,
        longestMs: collector.takeLongest(),
        outsideBytes: outsideOfTheHeap(),
        counts,
      });
    },
  };
}

/** What native code has allocated, and the program itself. */
function outsideOfTheHeap(): number {
  const { total_physical_size: heap, external_memory: external, malloced_memory: v8 } = getHeapStatistics();
  return Math.max(0, residentSet() - heap - external - v8);
}
