import { channel } from 'node:diagnostics_channel';
import { Server } from 'node:net';
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises';
import { ownEndingCut } from '../../protocol/limits.js';
import type { Channel } from '../channel.js';
import type { Servers } from '../connections/servers.js';
import { deferred } from '../deferred.js';
import type { Drainer } from './drain.js';

/** What the app gets on the diagnostics channel `rom-agent:drain` when its worker is about to end. */
export interface DrainNotice {
  /** When the master kills the worker at the latest. */
  readonly deadline: Date;
  /** The worker does not end before the promise settles or the deadline comes. */
  waitUntil(work: Promise<unknown>): void;
}

export interface Shutdown {
  /**
   * A second call ends the patience of the first.
   *
   * @param options the time that is left once `patience` is over, both ms; `last`: no other worker goes on accepting
   */
  begin(options: { timeout: number; last: boolean; patience?: number }): void;
  /** The listeners of all workers are closed. */
  release(): void;
  /** The master has read that this worker is drained. */
  dismissed(): void;
}

export interface ShutdownSeam {
  readonly servers: Servers;
  readonly drainer: Pick<Drainer, 'drain'>;
  /** Whether the master accepts connections and hands them to the workers. */
  readonly isHanded: boolean;
  readonly signals: ShelteredSignals;
  readonly channel: Channel;
  readonly exit: (code: number) => void;
  readonly onError: (message: string, error: unknown) => void;
  readonly onWarning: (message: string, fields: Readonly<Record<string, unknown>>) => void;
}

/**
 * Ends a worker: the app is told, connections drain, the worker waits for work that the app named, then calls the
 * app's own SIGTERM handlers. As under plain Node they end the process, or let the event loop run empty.
 */
export function createShutdown(seam: ShutdownSeam): Shutdown {
  let begun: { cut: NodeJS.Timeout; patience: Patience } | null = null;
  let drains = true;
  const released = deferred<void>();
  const dismissed = deferred<void>();
  return {
    begin: ({ timeout, last, patience = 0 }) => {
      const cutIn = (ms: number) => setTimeout(() => void cutOff(seam, drains), ms).unref();
      if (begun !== null) {
        if (begun.patience.isOver()) return;
        begun.patience.end();
        clearTimeout(begun.cut);
        begun.cut = cutIn(timeout);
        return;
      }
      begun = { cut: cutIn(patience + timeout), patience: createPatience(patience) };
      const drained = (): void => {
        drains = false;
      };
      const [isReleased, isDismissed] = [released.promise, dismissed.promise];
      const { isOver } = begun.patience;
      void end(seam, {
        ...{ timeout, last, patience, isOver, released: isReleased, dismissed: isDismissed, drained },
      });
    },
    release: () => released.resolve(),
    dismissed: () => dismissed.resolve(),
  };
}

/** How long connections may go on before the drain begins to end them. */
interface Patience {
  isOver(): boolean;
  end(): void;
}

function createPatience(ms: number): Patience {
  const until = performance.now() + ms;
  let ended = false;
  return {
    isOver: () => ended || performance.now() >= until,
    end: () => {
      ended = true;
    },
  };
}

interface Ending {
  readonly timeout: number;
  readonly last: boolean;
  readonly patience: number;
  readonly isOver: Patience['isOver'];
  readonly released: Promise<void>;
  readonly dismissed: Promise<void>;
  /** What is left is the app's own ending. */
  readonly drained: () => void;
}

async function end(
  { servers, drainer, isHanded, signals, channel, exit, onError }: ShutdownSeam,
  { timeout, last, patience, isOver, released, dismissed, drained }: Ending,
): Promise<void> {
  const work = tellApp(patience + timeout, onError);
  await drainer.drain({
    last,
    timeout,
    isPatient: () => !isOver(),
    closed: async () => {
      await tellClosed({ servers, channel });
      await released;
    },
  });
  drained();
  await work();
  await channel.send({ type: 'drained' });
  // The master may have handed connections to this worker before it read that the listeners are closed. Node answers that
  // they are not taken, and the master hands them to another worker, for as long as this one lives (onconnection of
  // lib/internal/cluster/child.js, Node 20 to 26); else nobody would ever close or serve them.
  if (isHanded) await Promise.race([dismissed, sleep(Math.min(longestDismissal, timeout / 2))]);
  const handlers = await signals.deliver().catch((error) => {
    onError('the app failed in its SIGTERM handler', error);
    return 0;
  });
  if (handlers > 0) return channel.unref();
  await closeServers(servers);
  exit(0);
}

/** How long the answer of a master that gets no CPU is waited for, ms. */
const longestDismissal = 10_000;

/** An app may have no signal handler and clean up in its server's 'close' event. */
async function closeServers({ all }: Pick<Servers, 'all'>): Promise<void> {
  for (const { server } of all) if (server.listening) Server.prototype.close.call(server);
  await turn();
}

/**
 * Tells the master that the listeners are closed, how many connections and requests are left, and how many there
 * were.
 */
export function tellClosed({ servers, channel }: Pick<ShutdownSeam, 'servers' | 'channel'>): Promise<void> {
  const { inFlight, accepted } = servers.counts();
  return channel.send({ type: 'closed', inFlight, accepted });
}

function tellApp(timeout: number, onError: ShutdownSeam['onError']): () => Promise<void> {
  const works: Promise<unknown>[] = [];
  const notice: DrainNotice = {
    deadline: new Date(Date.now() + timeout),
    waitUntil: (work) => {
      works.push(
        Promise.resolve(work).catch((error) => onError("the app's work at the drain failed", error)),
      );
    },
  };
  channel('rom-agent:drain').publish(notice);
  return async () => void (await Promise.all(works));
}

/**
 * For an app without a listener: it has no connections to drain, and is told at once. Servers that it has for other
 * purposes, such as metrics, are its own affair.
 */
export const noDrainer: Pick<Drainer, 'drain'> = { drain: async ({ closed }) => void closed() };

/** The app's own handlers of the signals that mean "end". */
interface ShelteredSignals {
  /**
   * Calls the app's handlers for SIGTERM, or else those for SIGINT. Resolves to their number once all are done, or
   * rejects with what the first failing one threw. From then on the signal ends the process unless the app still has
   * a handler for it: many handlers clean up and then send the process the same signal once more.
   */
  deliver(): Promise<number>;
}

const ending = ['SIGTERM', 'SIGINT'] as const;
type Listener = (...args: unknown[]) => unknown;

/**
 * Keeps signals from the app's handlers until its requests are answered. A worker ends when the master says so, but
 * Ctrl-C goes to the whole process group, and `systemctl kill` may, too; an app that exits on it would lose requests.
 * We call the handlers when the requests are done, which is when an app can safely close its pools. The handlers stay
 * registered: code that counts, removes or calls them finds what it would find under plain Node.
 */
export function shelterSignals(worker: NodeJS.Process): ShelteredSignals {
  let delivered: NodeJS.Signals | null = null;
  grip(worker, ['SIGTERM', 'SIGINT', 'SIGHUP'], (signal, number) => {
    // The master handles a terminal that goes away; whatever else the app does about it is its own affair.
    if (signal === 'SIGHUP') emitter(worker).emit(signal, signal, number);
    else if (signal === delivered && worker.listenerCount(signal) === 0) worker.exit(0);
  });
  return {
    deliver: async () => {
      const signal = ending.find((each) => worker.listenerCount(each) > 0);
      if (signal === undefined) return 0;
      delivered = signal;
      // rawListeners() keeps the wrappers, so that a once() handler removes itself.
      const handlers = worker.rawListeners(signal) as Listener[];
      const outcomes = await Promise.allSettled(
        handlers.map(async (handler) => handler.call(worker, signal, numbers[signal])),
      );
      const failed = outcomes.find(({ status }) => status === 'rejected');
      if (failed?.status === 'rejected') throw failed.reason;
      return handlers.length;
    },
  };
}

async function cutOff(
  { servers, drainer, channel, exit, onWarning }: ShutdownSeam,
  drains: boolean,
): Promise<void> {
  const { inFlight, connections } = servers.counts();
  if (connections > 0 && drainer !== noDrainer)
    await channel.send({ type: 'cut', requests: inFlight, connections });
  // One that has no connection and only waits for the others to close has nothing to cut.
  else if (!drains) onWarning(ownEndingCut, { open: openResources() });
  exit(0);
}

/** What keeps the process running, as Node names it (process.getActiveResourcesInfo): `Timeout`, `TCPSocketWrap`. */
function openResources(): string {
  return [...new Set(process.getActiveResourcesInfo())].sort().join(', ');
}

const numbers = { SIGTERM: 15, SIGINT: 2 } as const;

/**
 * Handles signals of this process without a listener that the app could see, count or remove. Node starts to watch
 * for a signal with its first listener, and looks up `process.emit` with each signal; it stops watching at
 * 'removeListener' of the last one (internal/process/signal.js of Node 20 to 26).
 */
function grip(
  worker: NodeJS.Process,
  signals: readonly NodeJS.Signals[],
  take: (signal: NodeJS.Signals, number: number) => void,
): void {
  const gripped: ReadonlySet<string> = new Set(signals);
  const process = emitter(worker);
  const { emit } = process;
  const keep = (): void => {};
  process.emit = (name, ...args) => {
    if (!gripped.has(String(name))) return Reflect.apply(emit, worker, [name, ...args]);
    take(name as NodeJS.Signals, Number(args[1]));
    return true;
  };
  for (const signal of signals) process.on(signal, keep);
  Reflect.deleteProperty(process, 'emit');
  const watchers = process.listeners('removeListener');
  // If this version of Node stops watching in another way, the listeners stay: that the app sees them matters less
  // than the signals.
  if (watchers.length === 0) return;
  process.removeAllListeners('removeListener');
  for (const signal of signals) process.removeListener(signal, keep);
  for (const watcher of watchers)
    process.on('removeListener', (name: string, listener: Listener) => {
      if (!gripped.has(name)) watcher.call(process, name, listener);
    });
}

function emitter(worker: NodeJS.Process): NodeJS.EventEmitter {
  return worker as NodeJS.EventEmitter;
}
