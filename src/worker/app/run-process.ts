import { exitCodes, RomAgentError } from '../../errors.js';
import type { WorkerSettings } from '../../protocol/settings.js';
import type { Channel } from '../channel.js';
import { deferred } from '../deferred.js';
import type { Boot } from './host.js';
import { watchEmptyLoop } from './moments.js';

export interface ProcessSeam {
  readonly settings: Pick<WorkerSettings, 'app' | 'execArgv' | 'waitReady' | 'portWait'>;
  readonly channel: Pick<Channel, 'ref' | 'unref'>;
  /** All that is ours is loaded: the next is the app. */
  readonly onLoaded: () => void;
  /** The module failed after the app was taken for ready. */
  readonly onFailure: (error: unknown) => void;
}

/** How long an app runs behind the evaluation of its module before it counts as started, ms: most that fail do so by then. */
const settleTime = 1_000;

/**
 * Runs an app that is no server as `node <file>` would. It is ready when its main module has been evaluated and it has run
 * for a second since. A module that is still in a top-level `await` after `portWait` has its loop there, and is ready, too.
 * With `waitReady` it is ready when it calls `process.send('ready')`.
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
      // Until it has said so a module may end well or not at all; only its failure counts.
      const started = said === null ? [loaded, unreffed(portWait)] : [loaded.then(() => said), said];
      await Promise.race([...started, ended]);
      loaded.catch(onFailure);
    } catch (error) {
      // For the last words.
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
      // The master's answer to a listen() comes on a channel that does not keep the process by itself.
      if (count > 0 === isOpening) return;
      isOpening = count > 0;
      if (isOpening) channel.ref();
      else channel.unref();
    },
  };
}

/** The app's `process.send('ready')`, which reaches the master as any message of the app. */
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

/** Does not keep the process. */
function unreffed(time: number): Promise<void> {
  return new Promise((resolve) => void setTimeout(resolve, time).unref());
}

function hasEnded(): RomAgentError {
  const message =
    'app: it has nothing left to do, and ended before it was ready; ' +
    'kind "process" is for an app that runs on: a script that ends belongs into a systemd timer or cron';
  return new RomAgentError(message, { exitCode: exitCodes.appFailed });
}
