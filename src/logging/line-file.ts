import { fileDevice } from './daily-file.js';
import { createSink, type Sink } from './sink.js';

export interface LineFileOptions {
  /** Absolute; its directory is created where it is missing. */
  readonly path: string;
  /** Called with the first of a row of errors. */
  readonly onTrouble: (error: Error) => void;
}

/**
 * A file that takes whole lines from several processes, as the daily files of the log do: begun again when it was moved
 * away or deleted, never a reason to wait.
 */
export function createLineFile({ path, onTrouble }: LineFileOptions): Sink {
  return createSink({ device: fileDevice({ path, clock: Date.now }), onTrouble });
}
