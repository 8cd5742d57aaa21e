import { setTimeout as sleep } from 'node:timers/promises';
import { exitCodes } from '../../errors.js';
import type { Failure } from '../../protocol/death-record.js';
import { lastAnswers } from '../../protocol/limits.js';
import type { Channel } from '../channel.js';

/** ms */
const lastWordsLimit = 1_000;
/**
 * How long after the worker is ready the code that a failure needs is loaded, ms: loading it earlier would delay
 * readiness.
 */
const prepareDelay = 2_000;
/** How long a worker that is to be replaced waits for the master's order to drain, ms. */
const orderLimit = 5_000;

export interface FailSeam {
  readonly channel: Pick<Channel, 'send'>;
  /** The worker is ready and does not drain. */
  readonly isServing: () => boolean;
  readonly isDraining: () => boolean;
  /** Tells the master which requests are in flight, so that it can say later which were lost. */
  readonly tellCurrent: () => void;
  /**
   * Stops accepting and answers the requests in flight, unless the failure prevents it. Other workers go on
   * accepting.
   */
  readonly answerWhatIsIn: () => Promise<void>;
  readonly exit: (code: number) => void;
  readonly load?: () => Promise<Pick<typeof import('./failures.js'), 'failureOf'>>;
}

export interface Failing {
  /** The worker cannot go on: it says why, answers its requests in flight for a moment, and ends. */
  fail(error: unknown): Promise<void>;
  /** The worker runs but is of no use: the master replaces it, and it drains as long as any other. */
  retire(error: Error): Promise<void>;
  /**
   * Loads the code that a failure needs in time: later the file descriptors may run out, or an upgrade may replace
   * the files.
   */
  prepare(): void;
}

export function createFailing({
  channel,
  isServing,
  isDraining,
  tellCurrent,
  answerWhatIsIn,
  exit,
  load = () => import('./failures.js'),
}: FailSeam): Failing {
  let failing = false;
  let loaded: ReturnType<typeof load> | null = null;
  const explain = async (error: unknown): Promise<Failure> => {
    try {
      loaded ??= load();
      return (await loaded).failureOf(error);
    } catch {
      return plainFailure(error);
    }
  };
  const fail = async (error: unknown): Promise<void> => {
    // A second failure on the way out adds nothing.
    if (failing) return;
    failing = true;
    const failure = await explain(error);
    tellCurrent();
    // A master that does not read must not keep a broken worker alive.
    await Promise.race([channel.send({ type: 'failed', failure }), sleep(lastWordsLimit)]);
    if (isServing()) await Promise.race([answerWhatIsIn(), sleep(lastAnswers)]);
    exit(1);
  };
  return {
    fail,
    retire: async (error) => {
      const failure = await explain(error);
      await Promise.race([channel.send({ type: 'failed', failure, drains: true }), sleep(orderLimit)]);
      // Without an order the master is not going to replace this worker: it is starting, or the service stops.
      setTimeout(() => void (isDraining() || fail(error)), orderLimit).unref();
    },
    prepare: () =>
      void setTimeout(() => {
        loaded ??= load();
        loaded.catch(() => {
          loaded = null;
        });
        // Without this module a worker can no longer prove that it answers.
        import('../health/probe.js').catch(() => {});
      }, prepareDelay).unref(),
  };
}

/**
 * Calls `handle` with an error that the app throws and does not catch. This is no listener of `uncaughtException`,
 * because Sentry and PostHog end the process only where theirs is the only one. An app with a listener of its own
 * decides what follows; every other app dies as it would without us.
 */
export function onUncaught(worker: NodeJS.Process, handle: (error: unknown) => void): void {
  worker.on('uncaughtExceptionMonitor', () => {
    if (worker.listenerCount('uncaughtException') > 0 || worker.hasUncaughtExceptionCaptureCallback()) return;
    // Node looks for it next: see process.setUncaughtExceptionCaptureCallback().
    worker.setUncaughtExceptionCaptureCallback(handle);
  });
}

/** What the master is told where the code that explains failures cannot be loaded. */
function plainFailure(error: unknown): Failure {
  const stack = error instanceof Error ? error.stack : undefined;
  return {
    message: String(error).split('\n', 1)[0] ?? '',
    exitCode: exitCodes.appFailed,
    ...(stack === undefined ? {} : { stack }),
  };
}
