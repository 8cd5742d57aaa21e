import type { ReadyWorker } from '../../protocol/messages.js';

/** Names a worker: the number of its slot, and which of the slot's workers it is. */
export function cookieValue({ slot, key }: ReadyWorker): string {
  return `${slot}.${key}`;
}

/** The `Cookie` field of a request's head, whatever follows that; empty where there is none. */
export function cookieField(head: string): string {
  const end = head.indexOf('\r\n\r\n');
  const fields = [...(end === -1 ? head : head.slice(0, end)).matchAll(/^cookie:[ \t]*(.*)$/gim)];
  return fields.map(([, value = '']) => value.trim()).join('; ');
}

/**
 * The worker that a `Cookie` field means: itself, or once it was replaced the newest of its slot. Undefined where the
 * cookie is missing or wrong, or the slot is gone.
 */
export function workerOf(
  field: string,
  { cookie, ready }: { cookie: string; ready: readonly ReadyWorker[] },
): ReadyWorker | undefined {
  for (const pair of field.split(';')) {
    const [name = '', value = ''] = pair.trim().split('=', 2);
    const match = name === cookie ? /^(\d{1,9})\.(\d{1,15})$/.exec(value) : null;
    if (match === null) continue;
    const [, slot, key] = match;
    return ready.find((worker) => worker.key === Number(key)) ?? newestOf(ready, Number(slot));
  }
  return undefined;
}

export function newestOf(ready: readonly ReadyWorker[], slot: number): ReadyWorker | undefined {
  return ready
    .filter((worker) => worker.slot === slot)
    .reduce<ReadyWorker | undefined>((best, next) => ((best?.key ?? -1) < next.key ? next : best), undefined);
}
