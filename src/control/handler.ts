import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Commands } from '../protocol/control-api.js';
import { ControlError, commonHeaders, type LineStream, sendError, shown } from './answers.js';
import { type Fields, type Route, routes } from './routes.js';

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
    const { route, id, query } = find(request);
    if (request.method === 'OPTIONS') return sendOptions(response, allowed(route.path));
    const fields = (): Promise<Fields> => readBody(request);
    await route.answer({ request, response, fields, commands, version, id, query, streams });
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

interface Match {
  readonly route: Route;
  readonly id: string;
  readonly query: Fields;
}

/** @throws ControlError 400 for a query where none is expected: a client would expect it to have an effect */
function find(request: IncomingMessage): Match {
  const { path, search } = partsOf(request.url ?? '/');
  const matches = routes.map((route) => ({ route, id: match(route.path, path) }));
  const there = matches.filter((found): found is { route: Route; id: string } => found.id !== null);
  const method = request.method === 'HEAD' ? 'GET' : request.method;
  const found = there.find(({ route }) => route.method === method || method === 'OPTIONS');
  if (found !== undefined) return { ...found, query: queryOf(search, found.route) };
  const [other] = there;
  if (other === undefined) throw new ControlError(404, `no route ${shown(path)}; GET /v1 lists the routes`);
  const headers = { Allow: allowed(other.route.path) };
  throw new ControlError(405, `${shown(path)} does not take ${request.method}`, { headers });
}

function partsOf(target: string): { readonly path: string; readonly search: string } {
  const whole = target.replace(/^https?:\/\/[^/?#]*/i, '') || '/';
  const begin = whole.indexOf('?');
  return begin === -1
    ? { path: whole, search: '' }
    : { path: whole.slice(0, begin), search: whole.slice(begin) };
}

/** The fields of a query; those that read as numbers are. */
function queryOf(search: string, route: Route): Fields {
  if (search === '') return {};
  if (route.query === undefined) {
    const message = `the query ${shown(search)} is not right: expected none, options are fields of the body`;
    throw new ControlError(400, message);
  }
  const given = [...new URLSearchParams(search)];
  return Object.fromEntries(
    given.map(([name, value]) => [name, /^[0-9]{1,9}$/.test(value) ? Number(value) : value]),
  );
}

/** What stands in the place of `{id}` or `{name}`, '' if the route has none, null if the path does not match. */
function match(template: string, path: string): string | null {
  const [before = '', after] = template.split(segment);
  if (after === undefined) return path === template ? '' : null;
  const id = path.slice(before.length, path.length - after.length);
  return path === `${before}${id}${after}` && /^[^/]+$/.test(id) ? id : null;
}

const segment = /\{(?:id|name)\}/;

function allowed(template: string): string {
  const methods = routes.filter(({ path }) => path === template).map(({ method }) => method);
  return [...methods, ...(methods.includes('GET') ? ['HEAD'] : []), 'OPTIONS'].join(', ');
}

function sendOptions(response: ServerResponse, allow: string): void {
  response.writeHead(204, { ...commonHeaders, Allow: allow }).end();
}

/** Bytes of a body. */
const longestBody = 64 * 1024;

/**
 * The fields of a JSON object; none if there is no body.
 *
 * @throws ControlError 400 or 413
 */
async function readBody(request: IncomingMessage): Promise<Fields> {
  if (Number(request.headers['content-length'] ?? 0) > longestBody) throw tooLarge();
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request.iterator({ destroyOnReturn: false })) {
    length += (chunk as Buffer).length;
    if (length > longestBody) throw tooLarge();
    chunks.push(chunk as Buffer);
  }
  return length === 0 ? {} : parse(Buffer.concat(chunks));
}

/** The rest is not read, so nothing else can come over this connection. */
function tooLarge(): ControlError {
  const message = `the body is too large: expected at most ${longestBody} bytes`;
  return new ControlError(413, message, { headers: { Connection: 'close' } });
}

function parse(bytes: Buffer): Fields {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    const why = cause instanceof SyntaxError ? `: ${shown(cause.message)}` : ': it is not UTF-8';
    throw new ControlError(400, `the body is not JSON${why}`, { cause });
  }
  if (value === null || typeof value !== 'object' || Array.isArray(value)) {
    throw new ControlError(400, 'the body is not right: expected a JSON object, such as {"by":"alice"}');
  }
  return value as Fields;
}

function asControlError(
  error: unknown,
  { request, log }: { request: IncomingMessage; log: ControlLog },
): ControlError {
  if (error instanceof ControlError) return error;
  const { method, url } = request;
  log.error('a request at the control socket failed', { method, path: shown(url ?? ''), err: error });
  return new ControlError(500, "internal error; the daemon's log has the details", { cause: error });
}
