import type { State, WorkerKey } from '../core/model.js';
import type { MasterMessage, ReadyWorker } from '../ipc/messages.js';

/** Tells the workers who is ready, where that has changed. */
export function announceReady(
  { before, after }: { before: State; after: State },
  send: (key: WorkerKey, message: MasterMessage) => void,
): void {
  if (before.workers === after.workers) return;
  const ready = readyOf(after);
  if (keysOf(readyOf(before)) === keysOf(ready)) return;
  for (const { key } of ready) send(key, { type: 'workers', own: key, ready });
}

function readyOf({ workers }: State): ReadyWorker[] {
  return workers.flatMap(({ key, slot, phase }) => (phase === 'ready' ? [{ key, slot }] : []));
}

function keysOf(workers: readonly ReadyWorker[]): string {
  return workers.map(({ key }) => key).join();
}
