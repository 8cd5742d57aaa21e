import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http';
import { checkPrefix, isUnder } from './prefix.js';

export interface Operational {
  readonly handle: RequestListener;
  /** Path such as `/_ops`. */
  readonly prefix: string;
}

type RequestEvent = [event: string, req: IncomingMessage, res: ServerResponse & { req: IncomingMessage }];

/** Events that carry a request to be answered; the last two stand in for 'request' where Expect is sent. */
const REQUEST_EVENTS: ReadonlySet<unknown> = new Set(['request', 'checkContinue', 'checkExpectation']);

/**
 * Lets an app's own http or https server answer the operational routes as well. The one dispatcher is the
 * server's `emit`: what lies under the prefix never reaches the listeners, and those are left as they are,
 * so the app may add and remove its own at any time, with the `this` it expects.
 *
 * Returns the undo function.
 * @throws {RangeError} for a prefix that is not a path.
 */
export function mountOperational(server: Server, { handle, prefix }: Operational): () => void {
  checkPrefix(prefix);
  const previous = Object.getOwnPropertyDescriptor(server, 'emit');
  const original = server.emit;
  let mounted = true;

  function emit(this: Server, ...args: [event: string | symbol, ...rest: unknown[]]): boolean {
    if (!mounted || !REQUEST_EVENTS.has(args[0])) return Reflect.apply(original, this, args);
    const [, req, res] = args as RequestEvent;
    if (!isUnder(prefix, req.url)) return Reflect.apply(original, this, args);
    handle(req, res);
    return true;
  }

  Object.defineProperty(server, 'emit', { value: emit, configurable: true, writable: true });
  return () => {
    mounted = false;
    // Someone, a tracer say, may have wrapped emit since: then the dispatcher stays and only passes on.
    if (server.emit === emit) restore(server, previous);
  };
}

function restore(server: Server, previous: PropertyDescriptor | undefined): void {
  if (previous === undefined) Reflect.deleteProperty(server, 'emit');
  else Object.defineProperty(server, 'emit', previous);
}
