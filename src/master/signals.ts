import type { Event } from '../core/events.js';

/**
 * What signals ask of the master. A second Ctrl-C means "now", as it does for most programs of a terminal; a second
 * SIGTERM is harmless. SIGHUP says that the terminal has gone.
 *
 * @returns what undoes it
 */
export function onSignals(master: NodeJS.Process, post: (event: Event) => void): () => void {
  let interrupted = false;
  const handlers: Partial<Record<NodeJS.Signals, () => void>> = {
    SIGTERM: () => post({ type: 'stop', why: 'SIGTERM', now: false }),
    SIGHUP: () => post({ type: 'stop', why: 'SIGHUP', now: false }),
    SIGINT: () => {
      post({ type: 'stop', why: 'SIGINT', now: interrupted });
      interrupted = true;
    },
  };
  const entries = Object.entries(handlers) as [NodeJS.Signals, () => void][];
  for (const [signal, handler] of entries) master.on(signal, handler);
  return () => {
    for (const [signal, handler] of entries) master.off(signal, handler);
  };
}
