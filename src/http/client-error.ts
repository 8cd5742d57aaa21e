import type { Duplex } from 'node:stream';
import { type ErrorStatus, reasonOf, renderError } from './errors.js';

/** How long a refused connection may go on sending before it is cut, ms. */
const LINGER = 500;

/**
 * For a server's 'clientError': answers what Node's parser refused, and closes. Writes raw HTTP, since there
 * is no request and no response yet. A connection that is gone, or whose response has begun, gets nothing.
 */
export function onClientError(error: Error, socket: Duplex): void {
  // The parser reports every further chunk of a refused connection: the answer is out, the rest is dropped.
  if (socket.writableEnded) return;
  if (codeOf(error) === 'ECONNRESET' || !socket.writable || responseBegan(socket)) {
    socket.destroy();
    return;
  }
  socket.end(rawResponse(error));
  cutAfterLinger(socket);
}

function rawResponse(error: Error): string {
  const [status, message] = explain(error);
  const body = renderError(status, message);
  return [
    `HTTP/1.1 ${status} ${reasonOf(status)}`,
    `Date: ${new Date().toUTCString()}`,
    'Content-Type: application/json; charset=utf-8',
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Cache-Control: no-store',
    'Connection: close',
    '',
    body,
  ].join('\r\n');
}

function explain(error: Error): [ErrorStatus, string] {
  switch (codeOf(error)) {
    case 'HPE_HEADER_OVERFLOW':
      return [431, 'the request line and headers are too large'];
    case 'HPE_CHUNK_EXTENSIONS_OVERFLOW':
      return [413, 'the chunk extensions are too large'];
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return [408, 'the request did not arrive in time'];
    default:
      return [400, 'the bytes received are not a valid HTTP/1.1 request'];
  }
}

/** Closing at once resets a client that is still sending, and the reset overtakes the answer. */
function cutAfterLinger(socket: Duplex): void {
  const timer = setTimeout(() => socket.destroy(), LINGER);
  socket.once('close', () => clearTimeout(timer));
}

/** Node has no public name for the response in progress; its own handler of this event reads the same two fields. */
function responseBegan(socket: Duplex & { _httpMessage?: { headersSent?: boolean } | null }): boolean {
  return socket._httpMessage?.headersSent === true;
}

function codeOf(error: Error & { code?: unknown }): unknown {
  return error.code;
}
