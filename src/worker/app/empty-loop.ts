import { underWay } from '../node-internals.js';

/** What of the event loop running empty is the app's to know. */
export interface EmptyLoop {
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
