import type { Context } from 'koa';
import { HttpError, reasonOf, renderError } from './errors.js';

/** Called with every failure that is answered with 500 or 503; its details are not sent to the client. */
export type OnError = (error: unknown, request: { method: string; path: string }) => void;

/**
 * Takes the place of Koa's `ctx.onerror`: JSON for the client, the failures that are ours for the log.
 *
 * @param always headers of each answer
 */
export function answerErrors(
  onError: OnError,
  always: Readonly<Record<string, string>> = {},
): (this: Context, error: unknown) => void {
  return function (this: Context, error) {
    // Koa also calls this, with null or a socket's error, at the end of every response.
    if (error == null) return;
    const over = this.headerSent || !this.writable;
    if (over && isDisconnect(error)) return;
    const path = parsedPath(this);
    const failure =
      path === null ? new HttpError(400, 'the request target is not a valid URL') : asHttpError(error);
    if (failure.status === 500 || failure.status === 503) {
      onError(failure.cause ?? error, { method: this.method, path: path ?? this.url });
    }
    if (!over) send(this, failure, always);
  };
}

function asHttpError(error: unknown): HttpError {
  return error instanceof HttpError
    ? error
    : new HttpError(500, 'something went wrong here', { cause: error });
}

function send(
  { res }: Context,
  { status, message, headers }: HttpError,
  always: Readonly<Record<string, string>>,
): void {
  const body = renderError(status, message);
  for (const name of res.getHeaderNames()) res.removeHeader(name);
  res.writeHead(status, reasonOf(status), {
    ...always,
    ...headers,
    'Content-Type': 'application/json; charset=utf-8',
    'Content-Length': Buffer.byteLength(body),
    'Cache-Control': 'no-store',
  });
  res.end(body);
}

/** Null where the target is not a URL at all, such as `http://[`, which Koa's getter throws for. */
function parsedPath(ctx: Context): string | null {
  try {
    return ctx.path;
  } catch {
    return null;
  }
}

/** The last one: of a body that is a stream. */
const disconnects: ReadonlySet<unknown> = new Set([
  'ECONNRESET',
  'EPIPE',
  'ECONNABORTED',
  'ERR_STREAM_PREMATURE_CLOSE',
]);

function isDisconnect(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return disconnects.has(code);
}
