import type { CheckReport } from '../../protocol/heartbeat.js';
import type { ProbeResult } from './probe.js';

/**
 * Asks the app for a path again and again, for as long as the worker serves: an event loop that turns does not show that
 * the app answers. The heartbeats carry what came of it, and the core decides.
 */
export interface Checks {
  begin(): void;
  /** What the last requests came to; undefined before the first is answered. */
  report(): CheckReport | undefined;
}

export interface ChecksSeam {
  /** A path of the app, asked by GET; null: none is. */
  readonly path: string | null;
  /** From the start of one request to the start of the next, and how long one may take, ms. */
  readonly interval: number;
  readonly timeout: number;
  /** Asks the app once, as `probe` does; never rejects. */
  readonly ask: (question: { readonly path: string; readonly timeout: number }) => Promise<ProbeResult>;
  /** A worker that drains is asked no more. */
  readonly isServing: () => boolean;
  readonly after?: (ms: number, act: () => void) => void;
  /** ms */
  readonly now?: () => number;
}

export function createChecks({ path, interval, timeout, ask, isServing, ...seam }: ChecksSeam): Checks {
  const { after = afterTime, now = () => performance.now() } = seam;
  let report: CheckReport | undefined;
  const next = async (asked: string): Promise<void> => {
    if (!isServing()) return;
    const begun = now();
    const { failure } = await ask({ path: asked, timeout });
    report = { failures: failure === null ? 0 : (report?.failures ?? 0) + 1, failure };
    after(Math.max(0, interval - (now() - begun)), () => void next(asked));
  };
  return {
    begin: () => {
      if (path !== null) after(interval, () => void next(path));
    },
    report: () => report,
  };
}

function afterTime(ms: number, act: () => void): void {
  setTimeout(act, ms).unref();
}
