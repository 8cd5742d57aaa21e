type Listener = (...args: unknown[]) => unknown;

/** The app's own handlers of the signals that mean "end". */
export interface ShelteredSignals {
  /** Calls the app's handlers for SIGTERM, else those for SIGINT. Resolves to how many there were. */
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
  for (const signal of [...ending, 'SIGHUP'] as const) worker.on(signal, () => {});
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
      await Promise.all(
        handlers.map(async ({ signal, listener }) =>
          listener.call(worker, signal, signal === 'SIGTERM' ? 15 : 2),
        ),
      );
      return handlers.length;
    },
  };
}
