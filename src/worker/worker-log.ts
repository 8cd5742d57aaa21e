import { type LazyLog, lazyLog } from '../logging/lazy-log.js';
import { followOutput, type Output } from '../logging/output-file.js';
import type { LogConfig } from '../settings/config.js';
import { pointStream } from './node-internals/process.js';

/** A worker's log. The number in its lines changes once, when a spare gets its place. */
export interface WorkerLog extends LazyLog {
  setWorker(worker: number): void;
}

export function workerLog(config: LogConfig, worker: number | null, stdout: Output): WorkerLog {
  const open = (number: number | null): LazyLog =>
    lazyLog({ config, bindings: { worker: number ?? 'spare' }, stdout });
  let log = open(worker);
  return {
    trace: (...line) => log.trace(...line),
    debug: (...line) => log.debug(...line),
    info: (...line) => log.info(...line),
    warn: (...line) => log.warn(...line),
    error: (...line) => log.error(...line),
    fatal: (...line) => log.fatal(...line),
    get format() {
      return log.format;
    },
    flush: () => log.flush(),
    close: () => log.close(),
    setWorker: (next) => {
      void log.close();
      log = open(next);
    },
  };
}

/**
 * Follows the rotated file of standard output, and takes along what the app writes to process.stdout and process.stderr.
 * Children of the app, and native code, keep the file that they began with.
 *
 * @param path null: there is none
 */
export function followWithStreams(path: string | null, process: NodeJS.Process): Output {
  return followOutput({
    path,
    onMoved: (fd) => {
      for (const stream of [process.stdout, process.stderr]) pointStream(stream, fd);
    },
  });
}
