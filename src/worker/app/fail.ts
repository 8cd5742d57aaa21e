import { setTimeout as sleep } from 'node:timers/promises';
import { exitCodes } from '../../errors.js';
import type { Failure } from '../../protocol/death-record.js';
import { lastAnswers } from '../../protocol/limits.js';
import type { Channel } from '../channel.js';

/** ms */
const lastWordsLimit = 1_000;
/** When what a failure needs is loaded, ms after the worker is ready: not on the way to readiness. */
const prepareDelay = 2_000;
/** How long a worker that is to be replaced waits for the master's order to drain, ms. */
const orderLimit = 5_000;

export interface FailSeam {
  readonly channel: Pick<Channel, 'send'>;
  /** It is ready, and does not drain. */
  readonly isServing: () => boolean;
  readonly isDraining: () => boolean;
  /** For who asks afterwards what was lost. */
  readonly tellCurrent: () => void;
  /** Others accept from here on; what is in is answered, unless the failure is in its way. */
  readonly answerWhatIsIn: () => Promise<void>;
  readonly exit: (code: number) => void;
  readonly load?: () => Promise<Pick<typeof import('./failures.js'), 'failureOf'>>;
}

export interface Failing {
  /** The worker cannot go on: says why, answers what is in for a moment, and ends. */
  fail(error: unknown): Promise<void>;
  /** The worker is well, but of no use: it is replaced, and drains as long as any other. */
  retire(error: Error): Promise<void>;
  /** Loads what a failure needs while there is no trouble: descriptors may run out, or an upgrade replace the files. */
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
    // What fails on the way out has nothing to add.
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
      // Without an order it is not one of those that the master replaces: it starts, or stops.
      setTimeout(() => void (isDraining() || fail(error)), orderLimit).unref();
    },
    prepare: () =>
      void setTimeout(() => {
        loaded ??= load();
        loaded.catch(() => {
          loaded = null;
        });
        // Without it a worker cannot show any more that it answers.
        import('../health/probe.js').catch(() => {});
      }, prepareDelay).unref(),
  };
}

/**
 * Hears of what the app throws and does not catch, and is no listener of `uncaughtException`: Sentry and PostHog end the
 * process only where they are alone with it. An app with a listener of its own has decided what follows; every other one
 * dies as it would without us.
 */
export function onUncaught(worker: NodeJS.Process, handle: (error: unknown) => void): void {
  worker.on('uncaughtExceptionMonitor', () => {
    if (worker.listenerCount('uncaughtException') > 0 || worker.hasUncaughtExceptionCaptureCallback()) return;
    // Node looks for it next: see process.setUncaughtExceptionCaptureCallback().
    worker.setUncaughtExceptionCaptureCallback(handle);
  });
}

/** Where even the explanation cannot be loaded. */
function plainFailure(error: unknown): Failure {
  const stack = error instanceof Error ? error.stack : undefined;
  return {
    message: String(error).split('\n', 1)[0] ?? '',
    exitCode: exitCodes.appFailed,
    ...(stack === undefined ? {} : { stack }),
  };
}
