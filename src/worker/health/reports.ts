import type { Worker as Thread } from 'node:worker_threads';
import type { Parts } from '../serve.js';
import { startWitness } from './witness.js';

/* What a worker reports beside its heartbeats, where that is wanted: it is loaded once the worker serves. */

/** The thread that looks at the main thread while that is blocked. */
export function witness({ settings, log }: Pick<Parts, 'settings' | 'log'>): Promise<Thread | null> | null {
  const { capture, stallReport } = settings.health;
  if (capture === 'off' && stallReport === 0) return null;
  const lost = capture === 'off' ? 'stalls are not reported' : 'it would be replaced without a stack';
  return startWitness(
    (error) => log.warn(`the thread that tells where this worker hangs cannot run: ${lost}`, { error }),
    capture === 'on',
  );
}

export interface ReportsSeam {
  readonly thread: Promise<Thread | null> | null;
  /** The directory of this program's own files. */
  readonly own: string;
}

/** Has stalls of the event loop reported from now on, and what is left of the heap after collections. */
export async function report(parts: Parts, { thread, own }: ReportsSeam): Promise<void> {
  const { settings, servers, turns, tally, channel } = parts;
  if (tally !== null && settings.kind !== 'process') {
    const { tellCollections } = await import('./collections.js');
    tellCollections({ tally, tell: (collection) => void channel.send({ type: 'collected', ...collection }) });
  }
  const { stallReport } = settings.health;
  const looker = await thread;
  if (stallReport === 0 || looker === null) return;
  const { watchStalls } = await import('./stalls.js');
  await watchStalls({
    thread: looker,
    threshold: stallReport,
    turns,
    own,
    current: servers.current,
    tell: (stall) => void channel.send({ type: 'stall', stall }),
  });
}
