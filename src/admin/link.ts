import type { ControlClient } from '../control/client.js';
import type { ControlEvent } from '../protocol/control-api.js';
import type { LogsLine } from '../protocol/log-line.js';
import type { ClusterStats } from '../protocol/stats.js';
import type { DaemonState } from './api.js';

export interface LinkSeam {
  readonly client: Pick<ControlClient, 'status' | 'events' | 'logs'>;
  /** Wall clock, ms since 1970. */
  readonly clock: () => number;
  /** Calls back after so many ms; returns what prevents it. */
  readonly after: (ms: number, call: () => void) => () => void;
  /** Whether somebody looks at this moment. */
  readonly isWatched: () => boolean;
  /** Called with each change, first with the beginning of a connection. */
  readonly onState: (state: DaemonState) => void;
  readonly onStats: (stats: ClusterStats) => void | Promise<void>;
  readonly onEvent: (event: ControlEvent) => void;
  readonly onLog: (line: LogsLine) => void;
}

/** The connection to the daemon, which is made again for as long as this server lives. */
export interface Link {
  state(): DaemonState;
  /** Somebody looks: the next question does not wait. */
  wake(): void;
  /** Resolves once `end` is called. */
  run(): Promise<void>;
  end(): void;
}

/** Between two questions while somebody looks, and otherwise, ms. */
const watchedInterval = 1_000;
const idleInterval = 10_000;
/** The first and the longest wait for a daemon that is lost, ms. */
const firstRetry = 250;
const longestRetry = 2_000;
/** Of the master's own lines, how many are asked for at the beginning. */
const linesWanted = 500;

export function createLink(seam: LinkSeam): Link {
  const { client, clock, after, isWatched, onState, onStats, onEvent, onLog } = seam;
  let ended = false;
  let connected: AbortController | null = null;
  let resume = (): void => {};
  let state: DaemonState = { state: 'lost', reason: 'not asked yet', sinceMs: clock() };

  const become = (next: Pick<DaemonState, 'state' | 'reason'>): void => {
    if (next.state === state.state && next.reason === state.reason) return;
    // The same loss, explained otherwise, still began then.
    state = { ...next, sinceMs: next.state === state.state ? state.sinceMs : clock() };
    onState(state);
  };
  /** There is one at a time: between two questions, or between two attempts. */
  const pause = (ms: number): Promise<void> =>
    new Promise((resolve) => {
      const forget = after(ms, resolve);
      resume = () => {
        forget();
        resolve();
      };
    });
  /** Asks again and again, until it fails or the connection is over. */
  const ask = async (signal: AbortSignal): Promise<void> => {
    for (;;) {
      await pause(isWatched() ? watchedInterval : idleInterval);
      if (signal.aborted) return;
      const stats = await client.status();
      if (signal.aborted) return;
      await onStats(stats);
    }
  };
  /** @returns why it is over */
  const connection = async (): Promise<string> => {
    const stats = await client.status();
    const controller = new AbortController();
    const { signal } = controller;
    connected = controller;
    if (ended) controller.abort();
    try {
      become({ state: 'up', reason: null });
      // A daemon of an older build has no such route; its end is told by the events.
      client.logs({ lines: linesWanted, onLine: onLog, signal }).catch(() => {});
      const events = client.events(onEvent, signal);
      // It is waited for below.
      events.catch(() => {});
      await onStats(stats);
      await Promise.race([events, ask(signal)]);
      return 'the daemon has ended, or is being restarted';
    } finally {
      connected = null;
      controller.abort();
      resume();
    }
  };

  return {
    state: () => state,
    wake: () => resume(),
    end: () => {
      ended = true;
      connected?.abort();
      resume();
    },
    run: async () => {
      let delay = firstRetry;
      while (!ended) {
        const begun = clock();
        const reason = await connection().catch((error: unknown) =>
          error instanceof Error ? error.message : String(error),
        );
        if (ended) return;
        if (clock() - begun > longestRetry) delay = firstRetry;
        become({ state: 'lost', reason });
        await pause(delay);
        delay = Math.min(2 * delay, longestRetry);
      }
    },
  };
}
