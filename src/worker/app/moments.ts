import type { Server } from 'node:net';
import type { WorkerSettings } from '../../protocol/settings.js';
import type { Servers } from '../connections/servers.js';
import { underWay } from '../node-internals/process.js';
import { addressOf, isTarget } from './target.js';

/**
 * - `served`: the app listens where it is configured to, or where its siblings do
 * - `empty`: nothing is under way any more, and what is exported is to be listened for
 * - `ended`: the same, and nothing is exported: plain Node would end
 * - `settled`: the app listens elsewhere, and has nothing else under way
 * - `late`: the limit is over
 */
export type Moment = 'served' | 'empty' | 'ended' | 'settled' | 'late';

export interface MomentSeam {
  readonly servers: Pick<Servers, 'listening' | 'pending'>;
  readonly settings: Pick<WorkerSettings, 'listen' | 'siblings' | 'onTrial' | 'portWait'>;
  readonly emptied: EmptyLoop;
  /** What keeps the event loop besides servers that listen; null: unknown. */
  readonly active?: () => readonly string[] | null;
  /** How often the app is looked at, ms. */
  readonly interval?: number;
}

export interface Moments {
  /** A server has begun to listen. */
  wake(): void;
  /**
   * Resolves at the next one.
   *
   * @param options `exportLimit`: how long what is exported may still begin to listen by itself, ms; null: nothing is
   */
  next(options: { exportLimit: number | null }): Promise<Moment>;
}

/** So many looks in a row show that the app does nothing but listen. */
const quietLooks = 5;

/** Watches an app that boots: whether it serves, and what shows that it will not. */
export function watchMoments({
  servers,
  settings,
  emptied,
  active = underWay,
  interval = 100,
}: MomentSeam): Moments {
  let wake = (): void => {};
  const { siblings, onTrial } = settings;
  // Where the ones before it serve, a canary has to serve: its boot has a limit of its own.
  const portWait = onTrial && siblings?.onTarget ? Number.POSITIVE_INFINITY : settings.portWait;
  return {
    wake: () => wake(),
    next: ({ exportLimit }) =>
      new Promise((resolve) => {
        const begun = performance.now();
        let elsewhereSince: number | null = null;
        let quiet = 0;
        let isOver = false;
        const limit = exportLimit !== null && Number.isFinite(exportLimit) ? exportLimit : portWait;
        const settle = (moment: Moment): void => {
          if (isOver) return;
          isOver = true;
          clearInterval(timer);
          wake = () => {};
          emptied.onEmpty(() => false);
          emptied.onEnd(() => {});
          resolve(moment);
        };
        const look = (): void => {
          if (isServed(servers.listening(), settings)) return confirm();
          if (servers.pending() > 0) {
            quiet = 0;
            return;
          }
          const now = performance.now();
          const count = servers.listening().length;
          if (count === 0) {
            if (exportLimit !== null && now - begun >= exportLimit) settle('late');
            return;
          }
          elsewhereSince ??= now;
          quiet = active()?.length === 0 ? quiet + 1 : 0;
          if (quiet >= quietLooks) settle('settled');
          else if (now - elsewhereSince >= limit) settle('late');
        };
        /** A library that looks for a free port closes its server as soon as it listens: that is none. */
        const confirm = (): void => {
          setImmediate(() =>
            setImmediate(() => {
              if (isServed(servers.listening(), settings)) settle('served');
            }),
          );
        };
        const timer = setInterval(look, interval).unref();
        wake = look;
        emptied.onEmpty(() => {
          if (exportLimit === null || servers.pending() > 0) return false;
          settle('empty');
          return true;
        });
        emptied.onEnd(() => settle('ended'));
        look();
      }),
  };
}

function isServed(
  listening: readonly Server[],
  { listen, siblings }: Pick<WorkerSettings, 'listen' | 'siblings'>,
): boolean {
  if (listening.some((server) => isTarget(server, listen))) return true;
  // An app that knows nothing of what is configured: it listens where it always does.
  if (siblings === null || siblings.onTarget || siblings.urls.length === 0) return false;
  const urls = new Set(listening.map(addressOf));
  return siblings.urls.every((url) => urls.has(url));
}

/** What of the event loop running empty is the app's to know. */
interface EmptyLoop {
  /**
   * Called when nothing is under way any more. True: something is to follow that plain Node would not do, and the app
   * does not hear of it. Without: `beforeExit` is the app's, as in plain Node.
   */
  onEmpty(handle: () => boolean): void;
  /** Called after the app has heard of it, and has begun nothing. */
  onEnd(handle: () => void): void;
  /** From here on everything is as in plain Node. */
  release(): void;
}

type Emit = (this: unknown, ...args: unknown[]) => boolean;
type Watched = Pick<NodeJS.Process, 'emit'>;

/**
 * Knows of `beforeExit` before the app does. A listener of ours could not keep it from the app's, which then take the
 * service for finished: close-with-grace closes the app, exit-hook ends the process.
 */
export function watchEmptyLoop(worker: Watched = process, active = underWay): EmptyLoop {
  const emit = worker.emit as unknown as Emit;
  const own = Object.getOwnPropertyDescriptor(worker, 'emit');
  let isWatching = true;
  let takes = (): boolean => false;
  let ended = (): void => {};

  const watched = function (this: unknown, ...args: unknown[]): boolean {
    if (!isWatching || args[0] !== 'beforeExit') return Reflect.apply(emit, this, args);
    if (takes()) return true;
    const heard = Reflect.apply(emit, this, args);
    if (isWatching && active()?.length === 0) ended();
    return heard;
  };
  Object.defineProperty(worker, 'emit', {
    value: watched,
    configurable: true,
    writable: true,
    enumerable: false,
  });
  return {
    onEmpty: (handle) => {
      takes = handle;
    },
    onEnd: (handle) => {
      ended = handle;
    },
    release: () => {
      isWatching = false;
      // Somebody else, signal-exit say, may have put its own before ours: then ours only passes on.
      if ((worker.emit as unknown) !== watched) return;
      if (own === undefined) Reflect.deleteProperty(worker, 'emit');
      else Object.defineProperty(worker, 'emit', own);
    },
  };
}
