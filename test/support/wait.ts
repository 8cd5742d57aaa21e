import { setTimeout as sleep } from 'node:timers/promises';
import { inspect } from 'node:util';

export interface WaitOptions<T> {
  /** ms; a minute unless told: a machine may be ten times slower than usual. A probe that hangs counts against it too. */
  readonly timeout?: number;
  /** ms between two probes, 20 unless told. */
  readonly interval?: number;
  /** What ends the waiting; without it any truthy value does. */
  readonly until?: (value: T) => boolean;
}

/**
 * Polls `probe` until its value is the wanted one, and returns that value. A probe that throws is asked again.
 * Throws an Error that names `what`, the deadline and the value (or the error) seen last.
 */
export async function waitFor<T>(
  what: string,
  probe: () => T | Promise<T>,
  { timeout = 180_000, interval = 20, until = Boolean }: WaitOptions<T> = {},
): Promise<T> {
  const deadline = performance.now() + timeout;
  let seen = 'nothing, the first look did not come back';
  for (;;) {
    const look = await within(deadline, probe);
    if (look.kind === 'value' && until(look.value)) return look.value;
    if (look.kind === 'value') seen = inspect(look.value, { depth: 4, breakLength: 100 });
    if (look.kind === 'error') seen = `${look.error}`;
    if (performance.now() + interval >= deadline) throw new Error(complaint(what, timeout, seen));
    await sleep(interval);
  }
}

type Look<T> = { kind: 'value'; value: T } | { kind: 'error'; error: unknown } | { kind: 'late' };

async function within<T>(deadline: number, probe: () => T | Promise<T>): Promise<Look<T>> {
  const stop = new AbortController();
  const late = sleep(Math.max(0, deadline - performance.now()), undefined, { signal: stop.signal }).then(
    (): Look<T> => ({ kind: 'late' }),
    (): Look<T> => ({ kind: 'late' }),
  );
  try {
    return await Promise.race([look(probe), late]);
  } finally {
    stop.abort();
  }
}

async function look<T>(probe: () => T | Promise<T>): Promise<Look<T>> {
  try {
    return { kind: 'value', value: await probe() };
  } catch (error) {
    return { kind: 'error', error };
  }
}

function complaint(what: string, timeout: number, seen: string): string {
  return `${what}: not within ${timeout} ms; seen last: ${seen}`;
}
