import * as fs from 'node:fs';
import { dirname, join } from 'node:path';
import { exitCodes, RomAgentError } from '../errors.js';
import { makeDirectorySync } from '../files.js';
import type { Device } from './device.js';
import { createSink, type Sink, type SinkOptions } from './sink.js';

export interface DailyFileOptions extends Omit<SinkOptions, 'device'> {
  /** Absolute path; created where it is missing. */
  readonly dir: string;
  /** Milliseconds since the epoch. */
  readonly clock: () => number;
}

/** How often a file is looked at for having been moved or deleted, ms. */
const CHECK_INTERVAL = 1000;

/**
 * Lines go to DIR/YYYY-MM-DD.log, by the local date at which they are written. Many processes may share the
 * directory: every write carries whole lines to a descriptor in append mode (O_APPEND, open(2)). Never throws;
 * a file that is moved away or deleted is begun again.
 */
export function createDailyFile({ dir, clock, ...rest }: DailyFileOptions): Sink {
  let day = '';
  let today: Sink | null = null;
  let before = 0;
  const turn = (next: string): Sink => {
    today?.end();
    before += today?.dropped() ?? 0;
    day = next;
    today = createSink({ ...rest, device: fileDevice({ path: join(dir, `${next}.log`), clock }) });
    return today;
  };
  return {
    write(line) {
      const now = localDate(clock());
      const sink = today === null || now !== day ? turn(now) : today;
      sink.write(line);
    },
    flush: () => today?.flush(),
    drained: async () => today?.drained(),
    end: () => today?.end(),
    dropped: () => before + (today?.dropped() ?? 0),
  };
}

/**
 * Opens today's file once, to learn at start whether the directory can be written.
 * @throws RomAgentError with the status of EX_CANTCREAT, which names the directory
 */
export function openDailyFile({ dir, clock }: Pick<DailyFileOptions, 'dir' | 'clock'>): void {
  try {
    fs.closeSync(open(dir, join(dir, `${localDate(clock())}.log`)));
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new RomAgentError(
      `log directory ${dir} cannot be written: ${reason}; give LOG_DIR a directory that this user may write, or none`,
      { exitCode: exitCodes.cannotCreate, cause },
    );
  }
}

/** YYYY-MM-DD in the time zone of the process. */
export function localDate(millis: number): string {
  const date = new Date(millis);
  const two = (value: number) => String(value).padStart(2, '0');
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
}

function open(dir: string, path: string): number {
  makeDirectorySync(dir, 0o750);
  return fs.openSync(path, 'a', 0o640);
}

/** A file for appending, which is begun again when it was moved away or deleted. */
export function fileDevice({ path, clock }: { path: string; clock: () => number }): Device {
  const dir = dirname(path);
  let fd: number | null = null;
  let checkedAt = 0;
  const close = () => {
    if (fd !== null) fs.closeSync(fd);
    fd = null;
  };
  const current = (): number => {
    const now = clock();
    if (fd !== null && Math.abs(now - checkedAt) >= CHECK_INTERVAL && !isStill(fd, path)) close();
    if (fd === null || Math.abs(now - checkedAt) >= CHECK_INTERVAL) checkedAt = now;
    fd ??= open(dir, path);
    return fd;
  };
  return {
    reopens: true,
    write(chunk, done) {
      try {
        fs.write(current(), chunk, (error, written) => done(error, written));
      } catch (error) {
        done(error as NodeJS.ErrnoException, 0);
      }
    },
    writeSync(chunk) {
      // Without the check: a write may be out in the thread pool, and its descriptor must not be closed.
      fd ??= open(dir, path);
      return fs.writeSync(fd, chunk);
    },
    close,
  };
}

/** Whether the path still names the open file (logrotate moves it, an operator deletes it). */
function isStill(fd: number, path: string): boolean {
  const named = fs.statSync(path, { throwIfNoEntry: false });
  if (named === undefined) return false;
  const held = fs.fstatSync(fd);
  return named.ino === held.ino && named.dev === held.dev;
}
