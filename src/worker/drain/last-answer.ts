import { IncomingMessage, type ServerResponse } from 'node:http';
import type { Server, Socket } from 'node:net';
import { exchangesOf } from '../connections/connections.js';
import { ours } from '../connections/follow-server.js';
import { bytesBeingParsed, keepOpen, removeRequestReader } from '../node-internals/http.js';

const headEnd = '\r\n\r\n';

/** Bytes that came at once on a connection, and how many requests were begun with them. */
interface Piece {
  readonly bytes: string;
  readonly begun: number;
}

/**
 * Has the last answer of each connection say `Connection: close`, and no other: Node would never send the answers behind
 * it, and would cut off a client that is still sending. Which one is the last is found out when its head is written.
 */
export function createLastAnswers(): (response: ServerResponse, socket: Socket) => void {
  const pieces = new WeakMap<Socket, Piece>();

  /** Promises that the app waits for may be settled while the same bytes still count as being parsed. */
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

/** Connections whose last answer is out: whatever is still read there is no request any more. */
const over = new WeakSet<Socket>();

/** What node:http emits for a request that it has read. */
const arrivals: ReadonlySet<unknown> = new Set([
  'request',
  'checkContinue',
  'checkExpectation',
  'upgrade',
  'connect',
]);

/**
 * Keeps requests from the app that a client has sent behind one whose answer said `Connection: close`. A server does not
 * execute them (RFC 9112, section 9.6), and the client may send them again elsewhere. Node parses them all the same
 * where they come in one piece with the end of a body whose request was answered early.
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
 * Once the last answer of a connection is out, which said `Connection: close`: the connection lingers for at most so many
 * ms. A client that is still sending its body is waited for first, for the app may be reading it.
 */
export function closeBehindAnswer(response: ServerResponse, limit: number): void {
  const { req } = response;
  if (!keepOpen(response)) return;
  over.add(req.socket);
  const close = (): void => closeLingering(req.socket, limit);
  if (isSending(req)) req.once('end', close);
  else close();
}

/** Whether the head that says it is written, and the request read to its end. */
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

/** Whether more came with a request, of which nothing is known yet. In doubt, as with a blank line in a body: yes. */
function hasMore(bytes: string, { begun, request }: { begun: number; request: IncomingMessage }): boolean {
  const heads = headsIn(bytes);
  if (heads === 0) return false;
  return heads > begun || (!hasBody(request.headers) && !bytes.endsWith(headEnd));
}

function headsIn(bytes: string): number {
  return bytes.split(headEnd).length - 1;
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

/** Connections on which nothing more is read as a request, and those of them that wait for their clients to close. */
const deaf = new WeakSet<Socket>();
const lingering = new WeakSet<Socket>();

export function isLingering(socket: Socket): boolean {
  return lingering.has(socket);
}

/**
 * Has what the client sends from now on read and dropped. It was told `Connection: close`, so that it takes what it sent
 * behind that request for not executed (RFC 9112, section 9.6). False where this Node reads requests in another way.
 */
function ignoreRequests(socket: Socket): boolean {
  if (deaf.has(socket)) return true;
  if (!removeRequestReader(socket, 'data')) return false;
  deaf.add(socket);
  // Node has its parser let go of a connection on which somebody else listens for data.
  socket.on('data', drop);
  return true;
}

/**
 * Closes a connection behind its last answer. To close it while its client goes on sending is to reset it, which may cost
 * the client that answer. So our half is closed, and what still comes is dropped until the client has closed its half
 * too, or until so many ms are over (RFC 9112, section 9.6).
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
