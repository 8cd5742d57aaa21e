import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { exchangesOf } from './connections.js';
import { bytesBeingParsed } from './node-internals.js';

const headEnd = '\r\n\r\n';

/**
 * Has the last answer of each connection say `Connection: close`, and no other: Node would never send the answers behind
 * it, and would cut off a client that is still sending. Which one is the last is found out when its head is written.
 */
export function createLastAnswers(): (response: ServerResponse, socket: Socket) => void {
  /** Requests that were begun in one piece of bytes. */
  const inOnePiece = new Map<Socket, number>();

  /** What is parsed is parsed in one go; the next tick is behind it. */
  const count = (socket: Socket): void => {
    if (inOnePiece.size === 0) process.nextTick(() => inOnePiece.clear());
    inOnePiece.set(socket, (inOnePiece.get(socket) ?? 0) + 1);
  };
  const isLast = (response: ServerResponse, socket: Socket): boolean => {
    if (isSending(response.req)) return false;
    if (exchangesOf(socket).at(-1)?.response !== response) return false;
    return !hasMore(socket, { begun: inOnePiece.get(socket) ?? 0, request: response.req });
  };
  return (response, socket) => {
    if (response.headersSent) return;
    count(socket);
    decideLate(response, () => isLast(response, socket));
  };
}

/** Whether the client is not done with sending the body. */
function isSending({ complete, headers }: IncomingMessage): boolean {
  return !complete && hasBody(headers);
}

function hasBody(headers: IncomingMessage['headers']): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
}

/** Whether more came with a request, of which nothing is known yet. In doubt, as with a blank line in a body: yes. */
function hasMore(socket: Socket, { begun, request }: { begun: number; request: IncomingMessage }): boolean {
  const pieces = bytesBeingParsed(socket).toString('latin1').split(headEnd);
  const heads = pieces.length - 1;
  if (heads === 0) return false;
  return heads > begun || (!hasBody(request.headers) && pieces.at(-1) !== '');
}

/** Node reads `shouldKeepAlive` as it writes the head; from then on it stays as it was read. */
function decideLate(response: ServerResponse, isLast: () => boolean): void {
  let keeps = response.shouldKeepAlive;
  let seen = keeps;
  Object.defineProperty(response, 'shouldKeepAlive', {
    configurable: true,
    enumerable: true,
    get: () => {
      if (!response.headersSent) seen = keeps && !isLast();
      return seen;
    },
    set: (value: boolean) => {
      keeps = value;
    },
  });
}
