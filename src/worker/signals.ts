type Listener = (...args: unknown[]) => unknown;

/** The app's own handlers of the signals that mean "end". */
export interface ShelteredSignals {
  /**
   * Calls the app's handlers for SIGTERM, else those for SIGINT. Resolves to how many there were, once all are
   * done; rejects then with what the first that failed threw. From then on that
   * signal ends the process: many a handler cleans up and then sends itself the signal once more, to die of it.
   */
  deliver(): Promise<number>;
}

const ending = ['SIGTERM', 'SIGINT'] as const;

/**
 * Workers obey the master alone: a Ctrl-C goes to the whole process group and `systemctl kill` may too, and an
 * app that exits on it would drop its requests. The app's handlers are therefore taken off as they come, and
 * called when its requests are done, which is when an app can close its pools without hurting anyone.
 */
export function shelterSignals(worker: NodeJS.Process): ShelteredSignals {
  const kept = new Map<string, Set<Listener>>(ending.map((signal) => [signal, new Set()]));
  let delivered: string | null = null;
  for (const signal of ending) {
    worker.on(signal, () => {
      if (signal === delivered) worker.exit(0);
    });
  }
  worker.on('SIGHUP', () => {});
  worker.on('newListener', (name: string, listener: Listener) => {
    const listeners = kept.get(name);
    if (listeners === undefined) return;
    listeners.add(listener);
    queueMicrotask(() => worker.removeListener(name, listener));
  });
  return {
    deliver: async () => {
      const [terminate, interrupt] = ending.map((signal) =>
        [...(kept.get(signal) ?? [])].map((listener) => ({ signal, listener })),
      );
      const handlers = terminate && terminate.length > 0 ? terminate : (interrupt ?? []);
      delivered = handlers[0]?.signal ?? null;
      const outcomes = await Promise.allSettled(
        handlers.map(async ({ signal, listener }) =>
          listener.call(worker, signal, signal === 'SIGTERM' ? 15 : 2),
        ),
      );
      const failed = outcomes.find(({ status }) => status === 'rejected');
      if (failed?.status === 'rejected') throw failed.reason;
      return handlers.length;
    },
  };
}
