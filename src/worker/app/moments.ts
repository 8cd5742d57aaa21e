import type { Server } from 'node:net';
import type { WorkerSettings } from '../../protocol/settings.js';
import type { Servers } from '../connections/servers.js';
import { underWay } from '../node-internals/process.js';
import { addressOf, isTarget } from './target.js';

/**
 * - `served`: the app listens where it is configured to, or where its siblings do
 * - `empty`: the event loop has run empty, and we open a server for what the app exports
 * - `ended`: the event loop has run empty, and the app exports nothing: plain Node would end
 * - `settled`: the app listens elsewhere, and has nothing else under way
 * - `late`: the time limit is over
 */
export type Moment = 'served' | 'empty' | 'ended' | 'settled' | 'late';

export interface MomentSeam {
  readonly servers: Pick<Servers, 'listening' | 'pending'>;
  readonly settings: Pick<WorkerSettings, 'listen' | 'siblings' | 'onTrial' | 'portWait'>;
  readonly emptied: EmptyLoop;
  /** What keeps the event loop running besides servers that listen; null: unknown. */
  readonly active?: () => readonly string[] | null;
  /** How often the state of the app is checked, ms. */
  readonly interval?: number;
}

export interface Moments {
  /** A server has begun to listen. */
  wake(): void;
  /**
   * Resolves at the next moment.
   *
   * @param options `exportLimit`: how long we wait for what the app exports to listen by itself, ms; null: the app
   * exports nothing
   */
  next(options: { exportLimit: number | null }): Promise<Moment>;
}

/** After so many checks in a row without other work, the app does nothing but listen. */
const quietLooks = 5;

/** Watches an app while it boots: whether it serves, and what shows that it never will. */
export function watchMoments({
  servers,
  settings,
  emptied,
  active = underWay,
  interval = 100,
}: MomentSeam): Moments {
  let wake = (): void => {};
  const { siblings, onTrial } = settings;
  // A canary must listen where the workers before it do: the master limits its boot.
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
        /**
         * A library that looks for a free port closes its server as soon as it listens; such a server does not count.
         */
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
  // The app ignores the configured address and listens where its siblings do.
  if (siblings === null || siblings.onTarget || siblings.urls.length === 0) return false;
  const urls = new Set(listening.map(addressOf));
  return siblings.urls.every((url) => urls.has(url));
}

/** Decides whether the app hears that the event loop has run empty. */
interface EmptyLoop {
  /**
   * Calls `handle` when the event loop has run empty. True: we go on with something that plain Node would not do, and
   * the app gets no `beforeExit`. False: the app gets it, as in plain Node.
   */
  onEmpty(handle: () => boolean): void;
  /** Calls `handle` when the app has had its `beforeExit` and has begun nothing. */
  onEnd(handle: () => void): void;
  /** From here on everything is as in plain Node. */
  release(): void;
}

type Emit = (this: unknown, ...args: unknown[]) => boolean;
type Watched = Pick<NodeJS.Process, 'emit'>;

/**
 * Learns of `beforeExit` before the app does. With a listener of ours the app's listeners would run as well and take
 * the service for finished: close-with-grace closes the app, exit-hook ends the process.
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
      // Another package, such as signal-exit, may have replaced `emit` after us: then ours stays and only passes
      // events on.
      if ((worker.emit as unknown) !== watched) return;
      if (own === undefined) Reflect.deleteProperty(worker, 'emit');
      else Object.defineProperty(worker, 'emit', own);
    },
  };
}
