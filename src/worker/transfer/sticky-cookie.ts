import type { ServerResponse } from 'node:http';
import type { ReadyWorker } from '../../protocol/messages.js';

/** Names a worker: the number of its slot, and which of the slot's workers it is. */
export function cookieValue({ slot, key }: ReadyWorker): string {
  return `${slot}.${key}`;
}

/** The value of the `Cookie` fields in a request's head; empty where there is none. */
export function cookieField(head: string): string {
  const end = head.indexOf('\r\n\r\n');
  const fields = [...(end === -1 ? head : head.slice(0, end)).matchAll(/^cookie:[ \t]*(.*)$/gim)];
  return fields.map(([, value = '']) => value.trim()).join('; ');
}

/**
 * The worker that a `Cookie` field names, or if it was replaced the newest worker of its slot. Undefined where the
 * cookie is missing or malformed, or the slot is gone.
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

type Write = (this: ServerResponse, status: number, ...more: unknown[]) => ServerResponse;

/**
 * Adds a cookie to those of the app when the head of the answer is written, in whatever way the app sets its own.
 * Until then the app sees nothing of it.
 */
export function addCookie(response: ServerResponse, cookie: string): void {
  const writeHead = response.writeHead as Write;
  let isSet = false;
  const writeWith: Write = function (status, ...more) {
    if (this.headersSent) return writeHead.call(this, status, ...more);
    const at = typeof more[0] === 'string' ? 1 : 0;
    const given = more[at];
    const isAlone = this.getHeaderNames().length === 0;
    const headers = withCookie(given, { cookie, isAlone });
    if (headers !== null) more[at] = headers;
    else if (!isSet) this.appendHeader('Set-Cookie', cookie);
    // If Node rejects the status or the fields, the app may try again.
    isSet = headers === null || isSet;
    return writeHead.call(this, status, ...more);
  };
  response.writeHead = writeWith as ServerResponse['writeHead'];
}

/**
 * The arguments of writeHead(), with the cookie. Null: the cookie must be set on the response.
 *
 * @param isAlone the response itself has no fields, so that Node sends the given ones as they are
 */
function withCookie(given: unknown, { cookie, isAlone }: { cookie: string; isAlone: boolean }): unknown {
  if (typeof given !== 'object' || given === null) return null;
  // Node throws, and says what is wrong.
  if (Array.isArray(given) && !Array.isArray(given[0]) && given.length % 2 !== 0) return null;
  const pairs = pairsOf(given);
  const last = pairs.findLastIndex(([name]) => isSetCookie(name));
  if (last === -1 && !isAlone) return null;
  // Added to the last one: where Node merges fields, a second field of the name would replace the first.
  const added: Pair[] =
    last === -1
      ? [...pairs, ['Set-Cookie', cookie]]
      : pairs.map(([name, value], nth) => [name, nth === last ? [value, cookie].flat() : value]);
  if (!Array.isArray(given)) return Object.fromEntries(added);
  return Array.isArray(given[0]) ? added : added.flat(1);
}

type Pair = [name: unknown, value: unknown];

function pairsOf(given: object): Pair[] {
  if (!Array.isArray(given)) return Object.entries(given);
  if (Array.isArray(given[0])) return given.map(([name, value]) => [name, value]);
  return Array.from({ length: Math.ceil(given.length / 2) }, (_, nth) => [
    given[2 * nth],
    given[2 * nth + 1],
  ]);
}

function isSetCookie(name: unknown): boolean {
  return typeof name === 'string' && name.toLowerCase() === 'set-cookie';
}
