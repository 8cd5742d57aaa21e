import { setTimeout as sleep } from 'node:timers/promises';
import type { Device } from './device.js';

/** Where lines go: bounded in memory, never a reason to wait. */
export interface Sink {
  /** Takes one whole line, its newline included. Never throws, never blocks. */
  write(line: string): void;
  /** Writes what is left at once, for an exit; gives up after `flushLimit`. */
  flush(): void;
  /** Resolves when the write that is out has ended, or after `drainLimit`: before a flush(), which cannot see its end. */
  drained(): Promise<void>;
  /** Delivers what is left in its own time and then closes the device; what fails from now on is dropped. */
  end(): void;
  /** Lines lost so far. */
  dropped(): number;
}

export interface SinkOptions {
  readonly device: Device;
  /** Bytes that may wait; a line that would exceed them is dropped and counted. */
  readonly maxBytes?: number;
  /** Called with the number of lines lost, once everything that waited is out. */
  readonly onRecovered?: (lost: number) => void;
  /** Called with the first of a row of errors that are not mere lack of room (EAGAIN). */
  readonly onTrouble?: (error: Error) => void;
  /** How long to wait after such an error, ms. */
  readonly retryDelay?: number;
  /** ms; 250, or 5,000 for a file */
  readonly flushLimit?: number;
  /** ms; 1,000 */
  readonly drainLimit?: number;
}

/** One write carries whole lines up to PIPE_BUF of Linux (pipe(7)), so that lines of many processes do not mix. */
const PIPE_BUF = 4096;
const MAX_BYTES = 4 * 1024 * 1024;
/** First and longest wait for a full pipe, ms. */
const FULL_DELAY = 10;
const FULL_DELAY_MAX = 100;
/** A write that is out for longer than this is taken for blocked by flush(), ms: a busy thread hears of an end late. */
const STUCK = 2_000;
/** What flush() may take, ms: a pipe's reader may be gone or asleep, a slow disk gets on. */
const FLUSH_LIMIT = 250;
const FILE_FLUSH_LIMIT = 5_000;
/** What drained() may take, ms. */
const DRAIN_LIMIT = 1_000;
/** What flush() allows a fresh write in the thread pool, whose end it cannot see, ms. */
const IN_FLIGHT = 20;
/** The reader is gone for good: nothing written here will ever be read. */
const GONE = new Set(['EPIPE', 'ECONNRESET', 'EBADF', 'EIO', 'ENOTCONN']);

export function createSink(options: SinkOptions): Sink {
  return new LineSink(options);
}

class LineSink implements Sink {
  readonly #options: Required<Omit<SinkOptions, 'onRecovered' | 'onTrouble'>> & SinkOptions;
  #queue: Buffer[] = [];
  #bytes = 0;
  #dropped = 0;
  #unreported = 0;
  /** The chunk that the device works on, and since when. */
  #inFlight: Buffer | null = null;
  #since = 0;
  #pumping = false;
  #timer: NodeJS.Timeout | null = null;
  #delay = FULL_DELAY;
  #trouble = false;
  #gone = false;
  #ending = false;

  constructor(options: SinkOptions) {
    const flushLimit = options.device.reopens ? FILE_FLUSH_LIMIT : FLUSH_LIMIT;
    this.#options = {
      maxBytes: MAX_BYTES,
      retryDelay: 1000,
      flushLimit,
      drainLimit: DRAIN_LIMIT,
      ...options,
    };
  }

  write(line: string): void {
    const buffer = Buffer.from(line);
    if (this.#gone || this.#bytes + buffer.length > this.#options.maxBytes) {
      this.#drop(1);
      return;
    }
    this.#queue.push(buffer);
    this.#bytes += buffer.length;
    this.#pump();
  }

  flush(): void {
    const start = performance.now();
    if (this.#inFlight !== null) {
      // A write to a pipe that is out for long is blocked and stays before the rest; one to a file is slow at most. A
      // fresh one is given time, for the order's sake.
      if (start - this.#since > STUCK && !this.#options.device.reopens) return;
      if (this.#queue.length > 0) pause(IN_FLIGHT);
    }
    while (this.#queue.length > 0 && !this.#gone && performance.now() - start < this.#options.flushLimit) {
      if (!this.#writeNow()) pause(FULL_DELAY);
    }
  }

  async drained(): Promise<void> {
    const start = performance.now();
    // At least one turn: the write may have ended long ago, and this thread was too busy to hear of it.
    do await sleep(1);
    while (this.#inFlight !== null && performance.now() - start < this.#options.drainLimit);
  }

  end(): void {
    this.#ending = true;
    if (this.#trouble && this.#inFlight === null) this.#abandon();
    else if (this.#idle) this.#options.device.close();
  }

  dropped(): number {
    return this.#dropped;
  }

  get #idle(): boolean {
    return this.#inFlight === null && this.#queue.length === 0;
  }

  /** Iterative, because a device may be done before its write() returns. */
  #pump(): void {
    if (this.#pumping) return;
    this.#pumping = true;
    while (this.#inFlight === null && this.#timer === null && this.#queue.length > 0)
      this.#send(this.#take());
    this.#pumping = false;
  }

  #send(chunk: Buffer): void {
    this.#inFlight = chunk;
    this.#since = performance.now();
    this.#options.device.write(chunk, (error, written) => {
      this.#inFlight = null;
      if (error === null) this.#advance(chunk, written);
      else this.#failed(chunk, error);
      this.#pump();
    });
  }

  /** False where there is no room now. */
  #writeNow(): boolean {
    const chunk = this.#take();
    try {
      this.#advance(chunk, this.#options.device.writeSync(chunk));
      return true;
    } catch (error) {
      this.#failed(chunk, error as NodeJS.ErrnoException);
      return false;
    }
  }

  /** As many whole lines as fit one atomic write, one at least. */
  #take(): Buffer {
    let size = 0;
    let count = 0;
    for (const line of this.#queue) {
      if (count > 0 && size + line.length > PIPE_BUF) break;
      size += line.length;
      count += 1;
    }
    const lines = this.#queue.splice(0, count);
    return lines.length === 1 && lines[0] !== undefined ? lines[0] : Buffer.concat(lines, size);
  }

  #advance(chunk: Buffer, written: number): void {
    this.#bytes -= written;
    this.#delay = FULL_DELAY;
    this.#trouble = false;
    if (written < chunk.length) this.#queue.unshift(chunk.subarray(written));
    if (!this.#idle) return;
    if (this.#ending) this.#options.device.close();
    else if (this.#unreported > 0) this.#report();
  }

  #report(): void {
    const lost = this.#unreported;
    this.#unreported = 0;
    this.#options.onRecovered?.(lost);
  }

  #failed(chunk: Buffer, error: NodeJS.ErrnoException): void {
    this.#queue.unshift(chunk);
    const code = error.code ?? '';
    if (code === 'EAGAIN' || code === 'EBUSY') this.#retryIn(this.#nextDelay());
    else if (this.#ending || (GONE.has(code) && !this.#options.device.reopens)) this.#abandon();
    else this.#troubled(error);
  }

  #troubled(error: Error): void {
    const first = !this.#trouble;
    this.#trouble = true;
    this.#retryIn(this.#options.retryDelay);
    if (first) this.#options.onTrouble?.(error);
  }

  #nextDelay(): number {
    const delay = this.#delay;
    this.#delay = Math.min(delay * 2, FULL_DELAY_MAX);
    return delay;
  }

  /** The timer holds no process: what waits at its end is flush()'s to write. */
  #retryIn(delay: number): void {
    if (this.#timer !== null) return;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#pump();
    }, delay);
    this.#timer.unref();
  }

  #abandon(): void {
    this.#gone = true;
    const lines = this.#queue.reduce((sum, buffer) => sum + countLines(buffer), 0);
    this.#queue = [];
    this.#bytes = 0;
    this.#drop(lines);
    this.#options.device.close();
  }

  #drop(lines: number): void {
    this.#dropped += lines;
    this.#unreported += lines;
  }
}

function countLines(buffer: Buffer): number {
  return buffer.reduce((sum, byte) => sum + (byte === 10 ? 1 : 0), 0);
}

/** Blocks this thread, for flush() alone. */
export function pause(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}
