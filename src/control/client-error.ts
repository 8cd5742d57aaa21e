import { STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import { ControlError, commonHeaders, renderError } from './answers.js';
import { jsonType } from './protocol.js';

/** For the server's 'clientError': answers what Node's parser refused, as far as nothing was answered yet, and closes. */
export function onClientError(error: Error & { code?: unknown }, socket: Duplex): void {
  // The parser reports every further chunk of a refused connection.
  if (socket.writableEnded) return;
  if (!socket.writable || error.code === 'ECONNRESET' || answering(socket)) {
    socket.destroy();
    return;
  }
  socket.end(rawAnswer(explain(error.code)), () => socket.destroy());
}

function explain(code: unknown): ControlError {
  switch (code) {
    case 'HPE_HEADER_OVERFLOW':
      return new ControlError(431, 'the request line and headers are too large');
    case 'HPE_CHUNK_EXTENSIONS_OVERFLOW':
      return new ControlError(413, 'the chunk extensions are too large');
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return new ControlError(408, 'the request did not arrive in time');
    default:
      return new ControlError(400, 'the bytes received are not a valid HTTP/1.1 request');
  }
}

function rawAnswer(error: ControlError): string {
  const body = renderError(error);
  const headers = {
    ...commonHeaders,
    'Content-Type': jsonType,
    'Content-Length': Buffer.byteLength(body),
    Connection: 'close',
  };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
  return [`HTTP/1.1 ${error.status} ${STATUS_CODES[error.status]}`, ...lines, '', body].join('\r\n');
}

/** Node has no public name for the response that a connection is busy with. */
function answering(socket: Duplex & { _httpMessage?: { headersSent?: boolean } | null }): boolean {
  return socket._httpMessage?.headersSent === true;
}
