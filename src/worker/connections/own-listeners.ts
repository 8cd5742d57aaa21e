const own = new WeakSet<object>();

/** Marks a listener of ours on the app's servers and connections, so that it is not taken for one of the app's. */
export function ours<Listener extends object>(listener: Listener): Listener {
  own.add(listener);
  return listener;
}

export function isOurs(listener: object): boolean {
  return own.has(listener);
}
