import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http';

export interface Diversion {
  /** Which requests never reach the app. */
  readonly takes: (request: IncomingMessage) => boolean;
  readonly handle: RequestListener;
}

type RequestEvent = [event: string, req: IncomingMessage, res: ServerResponse & { req: IncomingMessage }];

/** Events that carry a request to be answered; the last two stand in for 'request' where Expect is sent. */
const REQUEST_EVENTS: ReadonlySet<unknown> = new Set(['request', 'checkContinue', 'checkExpectation']);

/**
 * Answers some of the requests of an app's own http or https server in its place. The one dispatcher is the server's
 * `emit`: what is taken never reaches the listeners, and those are left as they are, so the app may add and remove its
 * own at any time, with the `this` it expects.
 *
 * Returns the undo function.
 */
export function divert(server: Server, { takes, handle }: Diversion): () => void {
  const previous = Object.getOwnPropertyDescriptor(server, 'emit');
  const original = server.emit;
  let mounted = true;

  function emit(this: Server, ...args: [event: string | symbol, ...rest: unknown[]]): boolean {
    if (!mounted || !REQUEST_EVENTS.has(args[0])) return Reflect.apply(original, this, args);
    const [, req, res] = args as RequestEvent;
    if (!takes(req)) return Reflect.apply(original, this, args);
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
