import {
  type EventLoopUtilization,
  type IntervalHistogram,
  monitorEventLoopDelay,
  performance,
} from 'node:perf_hooks';
import { getHeapStatistics } from 'node:v8';
import type { Heartbeat } from '../../protocol/heartbeat.js';
import { heapUsed, residentSet } from '../../protocol/memory.js';
import type { Servers } from '../connections/servers.js';

export interface Heartbeats {
  /**
   * `withBytes`: the heartbeat also says how many bytes were written, which means a look at every connection. `idle`:
   * the worker serves nothing yet, and does not measure its event loop, which would wake it up for nothing else.
   */
  start(options: { withBytes: boolean; idle?: boolean }): void;
  /** Sends one more heartbeat now. */
  now(): void;
}

/** Fine enough for a percentile over a second, and costs fifty wake-ups a second. */
const delayResolution = 20;

export interface HeartbeatsSeam {
  readonly servers: Servers;
  /** See Heartbeat. */
  readonly kept: () => number | null;
  readonly send: (heartbeat: Heartbeat) => void;
  /** How often the worker shows that its event loop turns, ms. */
  readonly interval: number;
  readonly delay?: Pick<IntervalHistogram, 'enable' | 'percentile' | 'reset'>;
}

export function createHeartbeats({ servers, kept, send, interval, ...seam }: HeartbeatsSeam): Heartbeats {
  const delay = seam.delay ?? monitorEventLoopDelay({ resolution: delayResolution });
  let utilization: EventLoopUtilization = performance.eventLoopUtilization();
  let timer: NodeJS.Timeout | null = null;
  let withBytesNow = false;

  const heartbeat = (withBytes: boolean): Heartbeat => {
    const now = performance.eventLoopUtilization();
    const share = performance.eventLoopUtilization(now, utilization).utilization;
    utilization = now;
    const late = Math.max(0, delay.percentile(99) / 1e6 - delayResolution);
    delay.reset();
    servers.renewClock();
    return {
      ...servers.counts(),
      kept: kept(),
      bytesWritten: withBytes ? servers.bytesWritten() : 0,
      rss: residentSet(),
      heapUsed: heapUsed(),
      heapLimit: getHeapStatistics().heap_size_limit,
      eventLoopDelay: Math.round(late * 10) / 10,
      eventLoopUtilization: Math.round(share * 1000) / 1000,
      current: servers.current(),
      begun: servers.begun(),
    };
  };

  return {
    now: () => {
      if (timer !== null) send(heartbeat(withBytesNow));
    },
    start: ({ withBytes, idle = false }) => {
      withBytesNow = withBytes;
      if (!idle) delay.enable();
      if (timer !== null) clearInterval(timer);
      send(heartbeat(withBytes));
      timer = setInterval(() => send(heartbeat(withBytes)), interval).unref();
    },
  };
}
