import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Commands } from '../protocol/control-api.js';
import { accepts } from './accept.js';
import { ControlError, commonHeaders, sendError, shown } from './answers.js';
import type { LineStream } from './line-stream.js';
import { jsonType } from './protocol.js';
import { type Route, routes } from './routes.js';

/** Failures that are ours, not the client's. */
export interface ControlLog {
  error(message: string, fields?: Readonly<Record<string, unknown>>): void;
}

export interface HandlerOptions {
  readonly commands: Commands;
  readonly version: string;
  readonly log: ControlLog;
}

export interface Handler {
  handle(request: IncomingMessage, response: ServerResponse): void;
  /** Ends the streams. */
  close(): void;
}

/** Answers the requests of the control socket. */
export function createHandler({ commands, version, log }: HandlerOptions): Handler {
  const streams = new Set<LineStream>();
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { route, id } = find(request);
    if (request.method === 'OPTIONS') return sendOptions(response, allowed(route.path));
    // Each line of a stream is JSON, and curl's --json asks for that alone.
    if (![route.type, jsonType].some((type) => accepts(request.headers.accept, type))) {
      throw new ControlError(406, `this route answers with ${route.type}, which the Accept header excludes`);
    }
    await route.answer({ request, response, commands, version, id, streams });
  };
  return {
    handle: (request, response) => {
      answer(request, response).catch((error: unknown) => {
        // The client went away while it was still sending.
        if (request.destroyed && !request.complete) return;
        sendError(response, asControlError(error, { request, log }));
      });
    },
    close: () => {
      for (const stream of [...streams]) stream.end();
    },
  };
}

function find(request: IncomingMessage): { route: Route; id: string } {
  const path = pathOf(request.url ?? '/');
  const matches = routes.map((route) => ({ route, id: match(route.path, path) }));
  const there = matches.filter((found): found is { route: Route; id: string } => found.id !== null);
  const method = request.method === 'HEAD' ? 'GET' : request.method;
  const found = there.find(({ route }) => route.method === method || method === 'OPTIONS');
  if (found !== undefined) return found;
  const [other] = there;
  if (other === undefined)
    throw new ControlError(404, `there is nothing at ${shown(path)}; GET /v1 has the routes`);
  const headers = { Allow: allowed(other.route.path) };
  throw new ControlError(405, `${shown(path)} does not take ${request.method}`, { headers });
}

/** @throws ControlError 400 for a query, which would be taken for an option that counts */
function pathOf(target: string): string {
  const path = target.replace(/^https?:\/\/[^/?#]*/i, '') || '/';
  const query = path.indexOf('?');
  if (query === -1) return path;
  const message = `the query ${shown(path.slice(query))} is not right: expected none, options are fields of the body`;
  throw new ControlError(400, message);
}

/** What stands in the place of `{id}`, '' where the route has none, and null where it does not match. */
function match(template: string, path: string): string | null {
  const [before = '', after] = template.split('{id}');
  if (after === undefined) return path === template ? '' : null;
  const id = path.slice(before.length, path.length - after.length);
  return path === `${before}${id}${after}` && /^[^/]+$/.test(id) ? id : null;
}

function allowed(template: string): string {
  const methods = routes.filter(({ path }) => path === template).map(({ method }) => method);
  return [...methods, ...(methods.includes('GET') ? ['HEAD'] : []), 'OPTIONS'].join(', ');
}

function sendOptions(response: ServerResponse, allow: string): void {
  response.writeHead(204, { ...commonHeaders, Allow: allow }).end();
}

function asControlError(
  error: unknown,
  { request, log }: { request: IncomingMessage; log: ControlLog },
): ControlError {
  if (error instanceof ControlError) return error;
  const { method, url } = request;
  log.error('a request at the control socket failed', { method, path: shown(url ?? ''), err: error });
  return new ControlError(500, 'something went wrong here; the log of the daemon has it', { cause: error });
}
