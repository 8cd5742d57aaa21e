import { IncomingMessage, type ServerResponse } from 'node:http';
import type { Server, Socket } from 'node:net';
import { exchangesOf } from '../connections/connections.js';
import { ours } from '../connections/follow-server.js';
import { bytesBeingParsed, keepOpen, removeRequestReader } from '../node-internals/http.js';

const headEnd = '\r\n\r\n';

/** Bytes that arrived at once on a connection, and how many requests began with them. */
interface Piece {
  readonly bytes: string;
  readonly begun: number;
}

/**
 * Makes the last answer of each connection say `Connection: close`, and no other: Node would not send the answers
 * after it, and would cut off a client that is still sending. Which answer is the last is decided when its head is
 * written.
 */
export function createLastAnswers(): (response: ServerResponse, socket: Socket) => void {
  const pieces = new WeakMap<Socket, Piece>();

  /** Promises of the app may settle while Node still parses the same bytes. */
  const count = (socket: Socket): void => {
    const bytes = bytesBeingParsed(socket).toString('latin1');
    const before = pieces.get(socket);
    const isSame = before?.bytes === bytes && before.begun < headsIn(bytes);
    pieces.set(socket, { bytes, begun: isSame ? before.begun + 1 : 1 });
  };
  const isLast = (response: ServerResponse, socket: Socket): boolean => {
    if (exchangesOf(socket).at(-1)?.response !== response) return false;
    const bytes = bytesBeingParsed(socket).toString('latin1');
    const piece = pieces.get(socket);
    return !hasMore(bytes, { begun: piece?.bytes === bytes ? piece.begun : 0, request: response.req });
  };
  return (response, socket) => {
    if (response.headersSent) return;
    count(socket);
    decideLate(response, () => {
      const last = isLast(response, socket);
      if (last) process.nextTick(() => isDecided(response) && ignoreRequests(socket));
      return last;
    });
  };
}

/** Connections whose last answer was sent: whatever is read after it is not a request. */
const over = new WeakSet<Socket>();

/** The events that node:http emits for a request. */
const arrivals: ReadonlySet<unknown> = new Set([
  'request',
  'checkContinue',
  'checkExpectation',
  'upgrade',
  'connect',
]);

/**
 * Keeps from the app the requests that a client sent after one whose answer said `Connection: close`. A server does
 * not process them (RFC 9112, section 9.6), and the client may send them again elsewhere. Node parses them
 * nevertheless if they arrive in one piece with the end of a body whose request was answered early.
 */
export function dropBehindClose(server: Server): void {
  const emit = server.emit;
  const emitUnlessOver = function (this: Server, ...event: unknown[]): boolean {
    const [name, request] = event;
    if (arrivals.has(name) && request instanceof IncomingMessage && isOver(request.socket)) return true;
    return Reflect.apply(emit, this, event);
  };
  Object.assign(server, { emit: emitUnlessOver });
}

function isOver(socket: Socket): boolean {
  return over.has(socket) || exchangesOf(socket).some(({ response }) => saysClose(response));
}

/**
 * Called when the last answer of a connection was sent, which said `Connection: close`. The connection lingers for at
 * most `limit` ms. If the client still sends its body we wait for the end first, because the app may be reading it.
 */
export function closeBehindAnswer(response: ServerResponse, limit: number): void {
  const { req } = response;
  if (!keepOpen(response)) return;
  over.add(req.socket);
  const close = (): void => closeLingering(req.socket, limit);
  if (isSending(req)) req.once('end', close);
  else close();
}

/** Whether the head with `Connection: close` is written and the request is read to its end. */
function isDecided(response: ServerResponse): boolean {
  return saysClose(response) && !isSending(response.req);
}

function saysClose(response: ServerResponse): boolean {
  return response.headersSent && !response.shouldKeepAlive;
}

function isSending({ complete, headers }: IncomingMessage): boolean {
  return !complete && hasBody(headers);
}

function hasBody(headers: IncomingMessage['headers']): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
}

/**
 * Whether more bytes came together with a request, of which we know nothing yet. In doubt yes, as with a blank line
 * in a body.
 */
function hasMore(bytes: string, { begun, request }: { begun: number; request: IncomingMessage }): boolean {
  const heads = headsIn(bytes);
  if (heads === 0) return false;
  return heads > begun || (!hasBody(request.headers) && !bytes.endsWith(headEnd));
}

function headsIn(bytes: string): number {
  return bytes.split(headEnd).length - 1;
}

/** Node reads `shouldKeepAlive` when it writes the head; changes after that have no effect. */
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

/** Connections on which nothing more is read as a request, and those that wait for the client to close. */
const deaf = new WeakSet<Socket>();
const lingering = new WeakSet<Socket>();

export function isLingering(socket: Socket): boolean {
  return lingering.has(socket);
}

/**
 * Reads and drops what the client sends from now on. The client was told `Connection: close`, so it knows that what
 * it sent after that request was not processed (RFC 9112, section 9.6). False where this version of Node reads
 * requests in another way.
 */
function ignoreRequests(socket: Socket): boolean {
  if (deaf.has(socket)) return true;
  if (!removeRequestReader(socket, 'data')) return false;
  deaf.add(socket);
  // A listener for data makes Node's parser let go of the connection.
  socket.on('data', drop);
  return true;
}

/**
 * Closes a connection after its last answer. Closing it while the client still sends resets it, and the client may
 * lose that answer. So we close our half, and drop what still comes until the client closes its half, or until
 * `limit` ms are over (RFC 9112, section 9.6).
 */
function closeLingering(socket: Socket, limit: number): void {
  if (socket.destroyed || lingering.has(socket)) return;
  if (limit === 0 || !ignoreRequests(socket)) return socket.destroySoon();
  lingering.add(socket);
  removeRequestReader(socket, 'end');
  const timer = setTimeout(() => socket.destroy(), limit);
  socket.once('close', () => clearTimeout(timer));
  socket.once('end', () => socket.destroy());
  socket.end();
  socket.resume();
}

const drop = ours(() => {});
