import { readdirSync, readFileSync, statSync } from 'node:fs';
import { constants, type PerformanceEntry, PerformanceObserver, performance } from 'node:perf_hooks';
import { getHeapStatistics } from 'node:v8';
import { residentSet } from '../protocol/memory.js';
import {
  type AppRegistry,
  type GcKind,
  gcKinds,
  pauseLimits,
  type WorkerMetrics,
} from '../protocol/metrics.js';
import { Histogram, type RequestTally } from './tally.js';

/** What a worker counts and measures. It does nothing by itself: each part is called where the thing happens. */
export interface Collector {
  /** A heartbeat measured the event-loop delay, ms. */
  delayed(delay: number): void;
  /** The longest of them since the last call, ms. */
  takeLongest(): number;
  /** What there is to tell now, without the app's own metrics. */
  collect(): WorkerMetrics;
  /** As collect(), and begins to watch the garbage collector: whoever never asks pays nothing for it. */
  asked(): Promise<WorkerMetrics>;
}

export interface CollectorSeam {
  readonly tally: Pick<RequestTally, 'counts'>;
  readonly counts: () => {
    readonly requests: number;
    readonly accepted: number;
    readonly connections: number;
    readonly inFlight: number;
  };
  /** Requests that were answered with 503 without the app. */
  readonly shed?: () => number;
  /** Reads the app's own metrics; null where that is not wanted. */
  readonly readApp: (() => Promise<AppRegistry>) | null;
  readonly watchGc?: typeof watchGc;
}

export function createCollector({ tally, counts, readApp, ...seam }: CollectorSeam): Collector {
  const delays = new Histogram(pauseLimits);
  let lastDelay = 0;
  let longest = 0;
  let gc: GcPauses | null = null;

  const collect = (): WorkerMetrics => {
    const { requests, accepted, connections, inFlight } = counts();
    const heap = getHeapStatistics();
    return {
      counters: { requests, accepted, shed: seam.shed?.() ?? 0, ...processCounters() },
      routes: tally.counts(),
      delays: delays.value(),
      gc: gc?.pauses() ?? {},
      gauges: {
        rssBytes: residentSet(),
        heapUsedBytes: heap.used_heap_size,
        heapSizeBytes: heap.total_heap_size,
        heapLimitBytes: heap.heap_size_limit,
        externalBytes: heap.external_memory,
        connections,
        inFlight,
        eventLoopDelaySeconds: lastDelay,
        ...descriptors(),
      },
      app: null,
    };
  };
  return {
    delayed: (delay) => {
      lastDelay = delay / 1_000;
      longest = Math.max(longest, delay);
      delays.add(lastDelay);
    },
    takeLongest: () => {
      const taken = longest;
      longest = 0;
      return taken;
    },
    collect,
    asked: async () => {
      gc ??= (seam.watchGc ?? watchGc)();
      const app = (await readApp?.()) ?? null;
      return { ...collect(), app };
    },
  };
}

/** CPU time and the time of the event loop of this process, s. */
export function processCounters(): {
  readonly cpuSeconds: number;
  readonly loopActiveSeconds: number;
  readonly loopIdleSeconds: number;
} {
  const { user, system } = process.cpuUsage();
  const { active, idle } = performance.eventLoopUtilization();
  return {
    cpuSeconds: (user + system) / 1e6,
    loopActiveSeconds: active / 1_000,
    loopIdleSeconds: idle / 1_000,
  };
}

/** Open file descriptors of this process and how many it may have (proc_pid_fd(5), proc_pid_limits(5)); null: unknown. */
export function descriptors(): { readonly openFds: number | null; readonly maxFds: number | null } {
  return {
    // Since Linux 6.2 the size of the directory is their number; before, the size is 0.
    openFds: orNull(() => statSync('/proc/self/fd').size || readdirSync('/proc/self/fd').length),
    maxFds: orNull(() =>
      numberIn(/^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1]),
    ),
  };
}

export interface GcPauses {
  pauses(): WorkerMetrics['gc'];
}

/** Counts the pauses of the garbage collector from now on, by its kind. */
function watchGc(): GcPauses {
  const byKind = new Map<GcKind, Histogram>();
  const note = (entry: PerformanceEntry): void => {
    const kind = gcKindOf(entry);
    if (kind === null) return;
    const pauses = byKind.get(kind) ?? new Histogram(pauseLimits);
    byKind.set(kind, pauses);
    pauses.add(entry.duration / 1_000);
  };
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) note(entry);
  }).observe({ entryTypes: ['gc'] });
  return {
    pauses: () => Object.fromEntries([...byKind].map(([kind, pauses]) => [kind, pauses.value()])),
  };
}

/** null: it is no collection, or of a kind that is not known. */
export function gcKindOf(entry: PerformanceEntry): GcKind | null {
  switch ((entry as PerformanceEntry & { detail?: { kind?: number } }).detail?.kind) {
    case constants.NODE_PERFORMANCE_GC_MINOR:
      return gcKinds[0];
    case constants.NODE_PERFORMANCE_GC_MAJOR:
      return gcKinds[1];
    case constants.NODE_PERFORMANCE_GC_INCREMENTAL:
      return gcKinds[2];
    case constants.NODE_PERFORMANCE_GC_WEAKCB:
      return gcKinds[3];
    default:
      return null;
  }
}

function numberIn(text: string | undefined): number | null {
  return text === undefined ? null : Number(text);
}

function orNull<Value>(read: () => Value): Value | null {
  try {
    return read();
  } catch {
    return null;
  }
}
