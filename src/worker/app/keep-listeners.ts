type Listener = (...args: unknown[]) => void;

/**
 * What an app may clear away as a whole (`process.removeAllListeners()`), with all that it has put there itself and has
 * been put there before it: node:cluster's way of hearing the master, Node's watch over signals, and ours. Not
 * 'warning': an app that removes its listeners silences Node, as it means to.
 */
const kept = new Set<string | symbol>([
  'internalMessage',
  'disconnect',
  'newListener',
  'removeListener',
  'exit',
  'uncaughtExceptionMonitor',
  'SIGHUP',
]);

/** From now on removeAllListeners() leaves those listeners alone that are there by now. */
export function keepListeners(worker: NodeJS.EventEmitter): void {
  const ours = new Map([...kept].map((name) => [name, new Set(worker.rawListeners(name))]));
  const removeAll = worker.removeAllListeners;
  const removeOthers = (name: string | symbol): void => {
    const staying = ours.get(name);
    if (staying === undefined || staying.size === 0) return void removeAll.call(worker, name);
    for (const listener of worker.rawListeners(name).reverse()) {
      if (!staying.has(listener)) worker.removeListener(name, listener as Listener);
    }
  };
  Object.defineProperty(worker, 'removeAllListeners', {
    configurable: true,
    writable: true,
    value: function removeAllListeners(this: unknown, ...names: [name?: string | symbol]) {
      if (names.length === 0) for (const name of worker.eventNames()) removeOthers(name);
      else removeOthers(names[0] as string | symbol);
      return worker;
    },
  });
}
