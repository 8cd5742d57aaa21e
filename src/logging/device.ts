import * as fs from 'node:fs';
import type { Output } from './output-file.js';

/** What a sink writes to. `done` may be called before write() returns. */
export interface Device {
  write(chunk: Buffer, done: (error: NodeJS.ErrnoException | null, written: number) => void): void;
  /** @throws NodeJS.ErrnoException */
  writeSync(chunk: Buffer): number;
  close(): void;
  /** True where the device opens itself anew after any error, false where a dead reader stays dead. */
  readonly reopens: boolean;
}

/**
 * A descriptor that was inherited, such as standard output, as a device that never stalls the event loop.
 *
 * A pipe or a terminal is opened a second time, without blocking, through /proc (proc(5)). Setting O_NONBLOCK
 * on the inherited descriptor itself would not last: the flag is shared with every process that has it, and
 * libuv takes it away with each child that it starts, Node with each child that ends. What cannot be opened
 * again, a socket such as the journal's above all, is written to in libuv's thread pool; there a blocked
 * write costs a thread, and process.exit() waits for it. The number of the descriptor is asked for with each write,
 * since a file may be rotated.
 */
export function openDevice(output: Output): Device {
  const own = reopenNonBlocking(output.fd);
  return own === null ? pooledDevice(output) : nonBlockingDevice(own);
}

function reopenNonBlocking(fd: number): number | null {
  if (process.platform !== 'linux') return null;
  const { O_WRONLY, O_NONBLOCK, O_NOCTTY } = fs.constants;
  try {
    const stat = fs.fstatSync(fd);
    // A regular file opened again would begin at offset 0.
    if (!stat.isFIFO() && !stat.isCharacterDevice()) return null;
    return fs.openSync(`/proc/self/fd/${fd}`, O_WRONLY | O_NONBLOCK | O_NOCTTY);
  } catch {
    return null;
  }
}

function nonBlockingDevice(fd: number): Device {
  return {
    reopens: false,
    write(chunk, done) {
      let written = 0;
      try {
        written = fs.writeSync(fd, chunk);
      } catch (error) {
        return done(error as NodeJS.ErrnoException, 0);
      }
      done(null, written);
    },
    writeSync: (chunk) => fs.writeSync(fd, chunk),
    close: () => fs.closeSync(fd),
  };
}

function pooledDevice(output: Output): Device {
  return {
    reopens: false,
    write: (chunk, done) => fs.write(output.fd, chunk, done),
    writeSync: (chunk) => fs.writeSync(output.fd, chunk),
    close: () => {},
  };
}
