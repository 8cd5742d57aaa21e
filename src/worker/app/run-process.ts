import { exitCodes, RomAgentError } from '../../errors.js';
import type { WorkerSettings } from '../../protocol/settings.js';
import type { Channel } from '../channel.js';
import { deferred } from '../deferred.js';
import type { Boot } from './host.js';
import { watchEmptyLoop } from './moments.js';

export interface ProcessSeam {
  readonly settings: Pick<WorkerSettings, 'app' | 'execArgv' | 'waitReady' | 'portWait'>;
  readonly channel: Pick<Channel, 'ref' | 'unref'>;
  /** Called when all of our own modules are loaded, just before the app is. */
  readonly onLoaded: () => void;
  /** The module failed after the worker was ready. */
  readonly onFailure: (error: unknown) => void;
}

/**
 * How long an app must run after its module was evaluated before it is ready, ms: most failures at a start come
 * sooner.
 */
const settleTime = 1_000;

/**
 * Runs an app without a listener as `node <file>` would. It is ready one second after its main module was evaluated.
 * A module that is still in a top-level `await` after `portWait` has its main loop there, and is ready, too. With
 * `waitReady` it is ready when it calls `process.send('ready')`.
 *
 * The process ends when the app has nothing left to do. While it starts, that is a failure.
 */
export function runProcess({ settings, channel, onLoaded, onFailure }: ProcessSeam): Boot {
  let isOpening = false;
  const begin = async (): Promise<void> => {
    const { app, execArgv, waitReady, portWait } = settings;
    if (app === null) throw new Error('a process without an app');
    const said = waitReady === 'on' ? untilSaid(process) : null;
    const emptied = watchEmptyLoop();
    channel.unref();
    try {
      const { loadApp, startThreadsWith } = await import('./load-app.js');
      onLoaded();
      startThreadsWith(execArgv);
      const loaded = loadApp(app).then(() => unreffed(Math.min(settleTime, portWait)));
      const ended = new Promise<never>((_, reject) => emptied.onEnd(() => reject(hasEnded())));
      // Before it says 'ready' the module may finish or never finish; only its failure counts.
      const started = said === null ? [loaded, unreffed(portWait)] : [loaded.then(() => said), said];
      await Promise.race([...started, ended]);
      loaded.catch(onFailure);
    } catch (error) {
      // The channel must stay open for the message about the failure.
      channel.ref();
      throw error;
    } finally {
      emptied.release();
    }
  };
  return {
    done: Promise.resolve().then(begin),
    wake: () => {},
    pending: (count) => {
      // The master's answer to a listen() comes over a channel that does not keep the process running by itself.
      if (count > 0 === isOpening) return;
      isOpening = count > 0;
      if (isOpening) channel.ref();
      else channel.unref();
    },
  };
}

/** Resolves at the app's `process.send('ready')`, which still reaches the master like any message of the app. */
function untilSaid(worker: NodeJS.Process): Promise<void> {
  const { promise, resolve } = deferred<void>();
  const { send } = worker;
  if (send === undefined) return promise;
  worker.send = function (this: unknown, ...args: unknown[]): boolean {
    if (args[0] === 'ready') resolve();
    return Reflect.apply(send, this, args);
  };
  return promise;
}

/** A timer that does not keep the process running. */
function unreffed(time: number): Promise<void> {
  return new Promise((resolve) => void setTimeout(resolve, time).unref());
}

function hasEnded(): RomAgentError {
  const message =
    'app: it has nothing left to do, and ended before it was ready; ' +
    'kind "process" is for an app that runs on: a script that ends belongs into a systemd timer or cron';
  return new RomAgentError(message, { exitCode: exitCodes.appFailed });
}
