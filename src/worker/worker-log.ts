import { sharedJournal } from '../logging/journal.js';
import { type LazyLog, lazyLog } from '../logging/lazy-log.js';
import { followOutput, type Output } from '../logging/output-file.js';
import type { WorkerSettings } from '../protocol/settings.js';
import { pointStream } from './node-internals/process.js';

/** A worker's log. Its lines carry the worker's number, which a spare gets when it is promoted. */
export interface WorkerLog extends LazyLog {
  setWorker(worker: number): void;
}

export function workerLog(
  { log: config, worker, generation, cell }: Pick<WorkerSettings, 'log' | 'worker' | 'generation' | 'cell'>,
  stdout: Output,
): WorkerLog {
  const openJournal = sharedJournal();
  const open = (number: number | null): LazyLog => {
    const about = { ...(number === null ? {} : { ROM_WORKER: number }), ROM_GENERATION: generation };
    const journal = { open: openJournal, subject: () => about };
    return lazyLog({
      config,
      bindings: { worker: number ?? (cell === null ? 'spare' : 'cell') },
      stdout,
      journal,
    });
  };
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
 * Follows standard output when its file is rotated, and makes process.stdout and process.stderr follow as well.
 * Children of the app and native code keep the file with which they started.
 *
 * @param path null: standard output is not a file that rotates
 */
export function followWithStreams(path: string | null, process: NodeJS.Process): Output {
  return followOutput({
    path,
    onMoved: (fd) => {
      for (const stream of [process.stdout, process.stderr]) pointStream(stream, fd);
    },
  });
}
