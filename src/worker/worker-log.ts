import type { LogConfig } from '../config/config.js';
import { type LazyLog, lazyLog } from '../logging/lazy-log.js';
import type { Output } from '../logging/output-file.js';

/** A worker's log. The number in its lines changes once, when a spare gets its place. */
export interface WorkerLog extends LazyLog {
  setWorker(worker: number): void;
}

export function workerLog(config: LogConfig, worker: number, stdout: Output): WorkerLog {
  const open = (number: number): LazyLog =>
    lazyLog({ config, bindings: { worker: number === 0 ? 'spare' : number }, stdout });
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
