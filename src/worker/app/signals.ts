/** The app's own handlers of the signals that mean "end". */
export interface ShelteredSignals {
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
