import type { Context } from 'koa';
import { HttpError, reasonOf, renderError } from './errors.js';

/** Called with every failure that is answered with 500 or 503; its details are not sent to the client. */
export type OnError = (error: unknown, request: { method: string; path: string }) => void;

/** Takes the place of Koa's `ctx.onerror`: JSON for the client, the failures that are ours for the log. */
export function answerErrors(onError: OnError): (this: Context, error: unknown) => void {
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
    if (!over) send(this, failure);
  };
}

function asHttpError(error: unknown): HttpError {
  return error instanceof HttpError
    ? error
    : new HttpError(500, 'something went wrong here', { cause: error });
}

function send({ res }: Context, { status, message, headers }: HttpError): void {
  const body = renderError(status, message);
  for (const name of res.getHeaderNames()) res.removeHeader(name);
  res.writeHead(status, reasonOf(status), {
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

function isDisconnect(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return code === 'ECONNRESET' || code === 'EPIPE' || code === 'ECONNABORTED';
}
