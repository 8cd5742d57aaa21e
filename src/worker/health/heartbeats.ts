import {
  type EventLoopUtilization,
  type IntervalHistogram,
  monitorEventLoopDelay,
  performance,
} from 'node:perf_hooks';
import { getHeapStatistics } from 'node:v8';
import type { CheckReport, Heartbeat, ShedReport } from '../../protocol/heartbeat.js';
import type { Millis } from '../../protocol/limits.js';
import { heapUsed, residentSet } from '../../protocol/memory.js';
import type { Servers } from '../connections/servers.js';
import type { Turns } from './turns.js';

export interface Heartbeats {
  /**
   * `withBytes`: the heartbeat also says how many bytes were written, which means a look at every connection.
   */
  start(options: { withBytes: boolean }): void;
  /** Sends one more heartbeat now. */
  now(): void;
  /** Calls `act` about every `ms`, with heartbeats, so that it wakes the worker up no more often; returns what ends it. */
  every(ms: Millis, act: () => void): () => void;
}

/** Fine enough for a percentile over a second, and costs fifty wake-ups a second: only a busy worker has them. */
const delayResolution = 20;

export interface HeartbeatsSeam {
  readonly servers: Servers;
  /** See Heartbeat. */
  readonly kept: () => number | null;
  readonly send: (heartbeat: Heartbeat) => void;
  /** What the checks of the app came to, see check.ts. */
  readonly check?: () => CheckReport | undefined;
  /** What was shed: see shed.ts. */
  readonly shed?: () => ShedReport | undefined;
  /** Of the app's servers, ms. */
  readonly keepAliveTimeout?: () => number | undefined;
  /** Hears of the event-loop delay of each heartbeat, ms. */
  readonly onDelay?: (delay: number) => void;
  /** Called once per interval, after the heartbeat. */
  readonly onBeat?: () => void;
  /** How often the worker shows that its event loop turns, ms. */
  readonly interval: number;
  readonly turns: Turns;
  readonly delay?: Pick<IntervalHistogram, 'enable' | 'disable' | 'percentile' | 'reset'>;
}

export function createHeartbeats({
  servers,
  kept,
  send,
  interval,
  turns,
  ...seam
}: HeartbeatsSeam): Heartbeats {
  const delay = seam.delay ?? monitorEventLoopDelay({ resolution: delayResolution });
  let utilization: EventLoopUtilization = performance.eventLoopUtilization();
  let timer: NodeJS.Timeout | null = null;
  let withBytesNow = false;
  const besides = new Set<() => void>();
  turns.onChange((busy) => (busy ? delay.enable() : delay.disable()));

  const heartbeat = (withBytes: boolean): Heartbeat => {
    const now = performance.eventLoopUtilization();
    const share = performance.eventLoopUtilization(now, utilization).utilization;
    utilization = now;
    // While the worker is idle, whoever comes waits for one turn at most.
    const late = Math.max(0, delay.percentile(99) / 1e6 - delayResolution, turns.takeLongest());
    delay.reset();
    servers.renewClock();
    seam.onDelay?.(late);
    return {
      ...servers.counts(),
      kept: kept(),
      bytesWritten: withBytes ? servers.bytesWritten() : 0,
      rssBytes: residentSet(),
      heapUsedBytes: heapUsed(),
      heapLimitBytes: getHeapStatistics().heap_size_limit,
      eventLoopDelayMs: Math.round(late * 10) / 10,
      eventLoopUtilization: Math.round(share * 1000) / 1000,
      current: servers.current(),
      begun: servers.begun(),
      check: seam.check?.(),
      shed: seam.shed?.(),
      keepAliveTimeoutMs: seam.keepAliveTimeout?.(),
    };
  };

  return {
    every: (ms, act) => {
      const after = Math.max(1, Math.round(ms / interval));
      let beats = 0;
      const beat = (): void => {
        beats++;
        if (beats % after === 0) act();
      };
      besides.add(beat);
      return () => void besides.delete(beat);
    },
    now: () => {
      if (timer !== null) send(heartbeat(withBytesNow));
    },
    start: ({ withBytes }) => {
      withBytesNow = withBytes;
      turns.begin();
      if (timer !== null) clearInterval(timer);
      send(heartbeat(withBytes));
      timer = setInterval(() => {
        send(heartbeat(withBytes));
        turns.settle();
        seam.onBeat?.();
        for (const beat of besides) beat();
      }, interval).unref();
    },
  };
}
