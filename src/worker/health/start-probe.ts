import { setTimeout as sleep } from 'node:timers/promises';
import { exitCodes, RomAgentError } from '../../errors.js';
import type { ProbeResult } from './probe.js';

export interface StartProbe {
  readonly path: string;
  /** When to give up, by `now`, ms. */
  readonly until: number;
}

export interface StartProbeSeam {
  /** Asks the app once; see probe.ts. */
  readonly ask: (question: { readonly path: string; readonly timeout: number }) => Promise<ProbeResult>;
  /** A worker that drains is not asked any more. */
  readonly isDraining: () => boolean;
  /** ms */
  readonly now?: () => number;
  /** Between two questions, ms. */
  readonly pause?: number;
}

/** Short, as a start waits for it; the app answers more often than that as soon as it serves. ms */
const usualPause = 200;
/** A question with less time than this says nothing, ms. */
const shortest = 100;

/**
 * Asks the app for a path until it answers with a status below 500: an app that listens may still be waiting for its
 * database. Resolves to how long the last answer took, ms; to null where the worker drains meanwhile.
 *
 * @throws RomAgentError (exit 75) with what was wrong with the last answer, at `until`
 */
export async function answersAtStart(
  { path, until }: StartProbe,
  { ask, isDraining, now = () => performance.now(), pause = usualPause }: StartProbeSeam,
): Promise<number | null> {
  const begun = now();
  for (;;) {
    const { failure, took } = await ask({ path, timeout: Math.round(Math.max(shortest, until - now())) });
    if (isDraining()) return null;
    if (failure === null) return took;
    if (now() + pause >= until) throw failed(failure, now() - begun);
    await sleep(pause);
  }
}

function failed(failure: string, waited: number): RomAgentError {
  const message =
    `start.probe: ${failure}, and no better within ${(waited / 1000).toFixed(1)} s; ` +
    'expected a status below 500 within boot_timeout';
  return new RomAgentError(message, { exitCode: exitCodes.tryAgain });
}
