import { RomAgentError } from '../errors/errors.js';
import { exitCodes } from '../errors/exit-codes.js';
import type { WorkerSettings } from '../ipc/settings.js';
import type { Channel } from './channel.js';
import { deferred } from './deferred.js';
import { listenFor } from './listen.js';
import type { Operations } from './operations.js';
import type { Recognised } from './recognise.js';
import type { Servers } from './servers.js';

export interface Boot {
  /** Resolves once at least one server of the app listens; rejects with what was wrong. */
  readonly done: Promise<void>;
  /** A server has begun to listen. */
  wake(): void;
}

export interface HostSeam {
  readonly settings: WorkerSettings;
  readonly servers: Servers;
  readonly channel: Channel;
  readonly operations: Operations;
  /** All that is ours is loaded: the next is the app. */
  readonly onLoaded: () => void;
}

/** How long an app that exports something may still call `listen()` itself, while it has work under way, ms. */
const exportGrace = 500;

/** Runs the app and sees to it that it listens, by itself or by us. */
export function hostApp(seam: HostSeam): Boot {
  const { promise, resolve } = deferred<void>();
  // Not before the composition root has everything in place.
  const done = Promise.resolve().then(() => boot(seam, promise));
  return { done, wake: () => resolve() };
}

async function boot(
  { settings, servers, channel, operations, onLoaded }: HostSeam,
  firstListening: Promise<void>,
): Promise<void> {
  if (settings.app === null) {
    const app = await operations.builtin();
    onLoaded();
    return listenFor(app, settings.listen);
  }
  channel.unref();
  const stop = keepWhileOpening(servers);
  const [{ loadApp }, { recognise }, { startThreadsWith }] = await Promise.all([
    import('./load-app.js'),
    import('./recognise.js'),
    import('./threads.js'),
    operations.prepare(),
  ]);
  onLoaded();
  startThreadsWith(settings.execArgv);
  const exported = await loadApp(settings.app);
  const app = listens(servers) ? nothing : await recognise(exported);
  const limit = app.kind === 'nothing' ? null : exportGrace;
  const error = app.kind === 'nothing' ? app.error : undefined;
  const listening = await waitForApp(servers, { firstListening, limit, error });
  stop();
  // From here on the process stays, also for the master's answer to a listen() of ours.
  channel.ref();
  if (!listening) await listenFor(app, settings.listen);
}

const nothing: Recognised = { kind: 'nothing' };

/**
 * Waits for the app's own `listen()`. An event loop that has run empty shows that none will come: then, and at the
 * limit, an app that exported something is to be served by us; one that did not has failed.
 */
async function waitForApp(
  servers: Servers,
  {
    firstListening,
    limit,
    error,
  }: { firstListening: Promise<void>; limit: number | null; error?: Error | undefined },
): Promise<boolean> {
  if (servers.listening().length > 0) return true;
  const idle = loopEmpty(servers).then(() => 'idle' as const);
  const late = limit === null ? new Promise<never>(() => {}) : after(limit).then(() => 'late' as const);
  const outcome = await Promise.race([firstListening.then(() => 'listening' as const), idle, late]);
  if (outcome === 'listening') return true;
  if (limit === null)
    throw (
      servers.listenError() ?? error ?? new RomAgentError(neverListened, { exitCode: exitCodes.appFailed })
    );
  if (servers.pending() > 0) return firstListening.then(() => true);
  return false;
}

const neverListened =
  'app: it neither exported an app nor called listen(), and has nothing left to do; ' +
  'expected a default export (module.exports) or a server that listens';

function listens(servers: Servers): boolean {
  return servers.listening().length > 0 || servers.pending() > 0;
}

/** `beforeExit` comes when nothing is under way any more; a listener that waits for the master's answer is. */
function loopEmpty(servers: Servers): Promise<void> {
  return new Promise((resolve) => {
    const check = (): void => {
      if (servers.pending() === 0) {
        resolve();
        return;
      }
      process.once('beforeExit', check);
      // Keeps the process: the answer arrives on a channel that does not.
      setTimeout(() => {}, 10);
    };
    process.once('beforeExit', check);
  });
}

/** A module may await its own listen(): the master's answer then comes on a channel that does not keep the process. */
function keepWhileOpening(servers: Servers): () => void {
  const keep = (): void => {
    if (servers.pending() > 0) setTimeout(() => {}, 10);
  };
  process.on('beforeExit', keep);
  return () => void process.removeListener('beforeExit', keep);
}

function after(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms).unref());
}
