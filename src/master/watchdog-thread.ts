import { type RawLine, rawLine } from '../logging/raw-line.js';
import type { LogConfig } from '../settings/config.js';

export interface WatchdogSeam {
  /** How long the event loop may stall, ms; 0: without a limit. */
  readonly timeout: number;
  readonly config: Pick<LogConfig, 'format'>;
  /** The thread has begun. */
  readonly onBegun: () => void;
  /** The thread could not start, or it failed: from then on nothing watches the event loop. */
  readonly onProblem: (error: Error) => void;
}

/**
 * ms until the thread starts, unless the limit is shorter. The thread costs 20 ms of CPU time, which the start of the
 * service needs more, and 8 MB of memory, which V8 has to spare once it has collected the garbage of the start.
 */
const startDelay = 10_000;
/** ms from one count of the event loop to the next, at most. */
const longestTick = 1_000;

/**
 * Starts a thread that aborts this process when its event loop stalls, so that the service manager restarts the master.
 * It is for launchd and other service managers without a watchdog. The thread measures a stall by its own ticks, not by
 * the clock: a machine that sleeps, a stopped process and a clock that jumps add one tick at most.
 *
 * @returns what ends it
 */
export function startWatchdog(seam: WatchdogSeam): () => void {
  if (seam.timeout === 0) return () => {};
  let end = (): void => clearTimeout(timer);
  const timer = setTimeout(
    () => {
      end = watch(seam);
    },
    Math.min(startDelay, seam.timeout),
  ).unref();
  return () => end();
}

function watch({ timeout, config, onBegun, onProblem }: WatchdogSeam): () => void {
  const tick = Math.min(longestTick, Math.round(timeout / 4));
  const shared = new Int32Array(new SharedArrayBuffer(8));
  const counting = setInterval(() => Atomics.add(shared, 0, 1), tick).unref();
  const order: Order = { shared, tick, ticks: Math.ceil(timeout / tick), line: lineFor(timeout, config) };
  const failed = (error: Error): void => {
    clearInterval(counting);
    onProblem(error);
  };
  void startThread(order, { onBegun, onError: failed }).catch(failed);
  return () => {
    clearInterval(counting);
    Atomics.store(shared, 1, 1);
    Atomics.notify(shared, 1);
  };
}

interface Order {
  /** [0]: the event loop adds one every tick; [1]: 1 tells the thread to end. */
  readonly shared: Int32Array;
  /** ms */
  readonly tick: number;
  /** The event loop has stalled once [0] has stayed the same for so many ticks. */
  readonly ticks: number;
  readonly line: RawLine;
}

/**
 * The source of the thread. The thread pool writes the line, and the thread waits for it only briefly, because the process
 * may hang in a write to standard output.
 */
const program = `
const { workerData: { shared, tick, ticks, line } } = require('node:worker_threads');
const { write } = require('node:fs');
const wait = (ms) => Atomics.wait(shared, 1, 0, ms) === 'timed-out';
const two = (number) => String(number).padStart(2, '0');
const clock = (at) => [at.getHours(), at.getMinutes(), at.getSeconds()].map(two).join(':') + '.' +
  String(at.getMilliseconds()).padStart(3, '0');
const moment = (at) => line.time === 'iso' ? at.toISOString() : line.time === 'clock' ? clock(at) : '';
let seen = Atomics.load(shared, 0);
let ticksStalled = 0;
while (wait(tick)) {
  const now = Atomics.load(shared, 0);
  ticksStalled = now === seen ? ticksStalled + 1 : 0;
  seen = now;
  if (ticksStalled < ticks) continue;
  write(1, line.before + moment(new Date()) + line.after, () => {});
  if (wait(250)) process.kill(process.pid, 'SIGABRT');
}
`;

async function startThread(
  workerData: Order,
  { onBegun, onError }: { onBegun: () => void; onError: (error: Error) => void },
): Promise<void> {
  const { Worker } = await import('node:worker_threads');
  const thread = new Worker(program, {
    eval: true,
    workerData,
    env: {},
    execArgv: [],
    resourceLimits: limits,
  });
  thread.on('online', onBegun);
  thread.on('error', onError);
  thread.unref();
}

/** MiB. A thread with a heap of less than 6 does not start. */
const limits = { maxOldGenerationSizeMb: 8, maxYoungGenerationSizeMb: 1, stackSizeMb: 1 };

function lineFor(timeout: number, config: WatchdogSeam['config']): RawLine {
  const seconds = Math.round(timeout / 100) / 10;
  return rawLine({
    config,
    bindings: { role: 'master' },
    level: 'fatal',
    message: `master event loop stalled for ${seconds} s: aborting, so that the service manager restarts the master`,
  });
}
