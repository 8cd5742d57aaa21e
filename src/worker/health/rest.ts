import type { Millis } from '../../protocol/limits.js';
import { collectionsNeeded, heapUsed, residentSet, returnMemory } from '../../protocol/memory.js';
import type { WorkerSettings } from '../../protocol/settings.js';
import type { Turns } from './turns.js';

/** Returns memory to the system once a worker is at rest. */
export interface Rest {
  /** Called once per interval. */
  beat(): void;
}

export interface RestSeam {
  /** Of the heartbeats, ms. */
  readonly interval: Millis;
  /** Whether the worker had work in the interval that ends. */
  readonly busy: () => boolean;
  /** Bytes. */
  readonly rss: () => number;
  readonly heapUsed: () => number;
  /** Collects all garbage; see returnMemory() in protocol/memory.ts. */
  readonly collect: () => void;
  /** How many collections it takes, see collectionsNeeded. */
  readonly collections: number;
}

/**
 * For so long a worker has been at rest before it collects, ms. Afterwards requests cost a quarter to a half more for some two
 * seconds: a service that is asked twice a minute is to stay warm.
 */
const pause: Millis = 45_000;
/** Between two collections of one rest, ms. */
const shortPause: Millis = 10_000;
/** Between two rests that are used, ms, for the same reason. */
const longPause: Millis = 600_000;
/** What a worker has grown by since the last time, where it is worth it, bytes. */
const worthIt = 8 * 2 ** 20;
/** A worker at rest works for a smaller share of an interval. For its own it takes 0.1 %. */
const restingBelow = 0.02;
/** V8 takes some 2 ms per MB that is alive: with more in use the next request might wait for longer than 100 ms. */
export const mostUsed = 64 * 2 ** 20;

/**
 * V8 returns what it needed under load only while it allocates, so that a worker at rest keeps it: half of its memory. The
 * start leaves garbage, too. A worker that has been at rest for `pause` collects, and again once it has grown.
 */
export function createRest({ interval, busy, rss, heapUsed, collect, collections }: RestSeam): Rest {
  let restsFor = 0;
  let left = collections;
  let since = longPause;
  /** After the last collection; null: not known yet. */
  let least: number | null = null;

  return {
    beat: () => {
      since += interval;
      restsFor = busy() ? 0 : restsFor + interval;
      if (restsFor < pause) return;
      if (left === 0) {
        // V8 returns the pages beside the main thread, so that the first look is a beat later.
        least ??= rss();
        if (rss() - least < worthIt) return;
      }
      if (since < (left > 0 && left < collections ? shortPause : longPause) || heapUsed() > mostUsed) return;
      if (left === 0) left = collections;
      left--;
      since = 0;
      least = null;
      collect();
    },
  };
}

/** That of this process. */
export function restOf(
  { memory, heartbeatInterval: interval }: Pick<WorkerSettings, 'memory' | 'heartbeatInterval'>,
  { worked }: Pick<Turns, 'worked'>,
): Rest {
  if (memory.trim === 'off') return { beat: () => {} };
  const [rss, collect, collections] = [residentSet, returnMemory, collectionsNeeded];
  const busy = () => worked() > restingBelow;
  return createRest({ interval, busy, rss, heapUsed, collect, collections });
}
