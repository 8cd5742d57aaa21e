/** The app's own handlers of the signals that mean "end". */
export interface ShelteredSignals {
  /**
   * Calls the app's handlers for SIGTERM, else those for SIGINT. Resolves to how many there were, once all are
   * done; rejects then with what the first that failed threw. From then on that signal ends the process where the app
   * has no handler for it left: many a handler cleans up and then sends itself the signal once more, to die of it.
   */
  deliver(): Promise<number>;
}

const ending = ['SIGTERM', 'SIGINT'] as const;
type Listener = (...args: unknown[]) => unknown;

/**
 * Workers obey the master alone: a Ctrl-C goes to the whole process group and `systemctl kill` may too, and an
 * app that exits on it would drop its requests. The signals end here, therefore, and the app's handlers are called when
 * its requests are done, which is when an app can close its pools without hurting anyone. The handlers themselves stay
 * where the app has put them: whoever counts them, takes them off or calls them finds what plain Node would show.
 */
export function shelterSignals(worker: NodeJS.Process): ShelteredSignals {
  let delivered: NodeJS.Signals | null = null;
  grip(worker, ['SIGTERM', 'SIGINT', 'SIGHUP'], (signal, number) => {
    // A terminal that goes away is the master's business; what else an app does about it is its own.
    if (signal === 'SIGHUP') emitter(worker).emit(signal, signal, number);
    else if (signal === delivered && worker.listenerCount(signal) === 0) worker.exit(0);
  });
  return {
    deliver: async () => {
      const signal = ending.find((each) => worker.listenerCount(each) > 0);
      if (signal === undefined) return 0;
      delivered = signal;
      // With their wrappers: one that is to be called once takes itself off.
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
 * Takes signals for this process, without a listener that the app could see, count or take off. Node starts to watch
 * for a signal with its first listener, and calls what `process.emit` is at that moment; it stops with the last one, of
 * which it hears by 'removeListener' (internal/process/signal.js of Node 20 to 26).
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
  // Where Node hears of it in another way the listeners stay: the signals are worth more than their number.
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
