import type { Server as HttpServer } from 'node:http';
import { type Server, Socket, type SocketConstructorOpts } from 'node:net';
import type { RawHandle } from '../../protocol/handles.js';
import {
  hasParseError,
  hasUnreadRequest,
  isHttpBusy,
  isHttpPaused,
  isInMessage,
  isParsed,
  parseUnheard,
  setHttpIdle,
} from '../node-internals/http.js';
import { acceptingOf, enlist, tcpOptionsOf } from '../node-internals/listening.js';
import { hasSendableHandle, serverOf, takeHandle } from '../node-internals/sockets.js';
import { ours } from './follow-server.js';

/** Whether a connection speaks HTTP/1 without TLS, and was not upgraded. */
export function isPlainHttp(socket: Socket): boolean {
  return hasSendableHandle(socket) && isParsed(socket);
}

/**
 * Whether another worker can take a connection over: nothing of the next request was read, the last answer is written
 * completely, and only Node listens for its bytes. What the client sends meanwhile waits in the kernel.
 */
export function isBetweenRequests(socket: Socket): boolean {
  if (socket.destroyed || !socket.writable || !socket.readable || !isPlainHttp(socket)) return false;
  if (isHttpPaused(socket) || socket.isPaused() || isHttpBusy(socket)) return false;
  if (socket.writableLength > 0 || socket.readableLength > 0) return false;
  if (socket.listenerCount('data') > 1 || socket.listenerCount('readable') > 0) return false;
  if (isInMessage(socket)) return false;
  if (hasUnreadRequest(socket)) return false;
  if (hasParseError(socket)) return false;
  return true;
}

/**
 * Takes the connection away from its socket, which emits 'close' as at any end. Null where the connection is closed
 * already.
 */
export function detach(socket: Socket): RawHandle | null {
  // Node remembers both addresses for a closed socket; without the handle it could not find them out any more.
  void [socket.remoteAddress, socket.localAddress];
  const handle = takeHandle(socket);
  if (handle !== null) socket.destroy();
  return handle;
}

export interface Arrival {
  readonly server: Server;
  readonly handle: RawHandle;
  /** What was already read from the connection. */
  readonly head: Buffer | null;
  /** Called before the server, and so the app, learns of the connection. */
  readonly prepare: (socket: Socket) => void;
}

/** How Node accepts a connection of a server; stored when the server began to listen: see acceptingOf. */
const accepting = new WeakMap<Server, (client: RawHandle) => void>();

/** Must be called before anything replaces Node's way to accept. */
export function learnAccepting(server: Server): void {
  const accept = acceptingOf(server);
  if (accept !== null) accepting.set(server, accept);
}

/**
 * Gives a connection to a server as if the server had accepted it (net.js, onconnection).
 *
 * @returns null where the server drops the connection, which closes it
 */
export function attach({ server, handle, head, prepare }: Arrival): Socket | null {
  const accept = accepting.get(server);
  let arrived: Socket | null = null;
  const meet = ours((socket: Socket): void => {
    arrived = socket;
    prepare(socket);
    if (head !== null && head.length > 0) socket.unshift(head);
  });
  server.prependOnceListener('connection', meet);
  if (accept === undefined) acceptByHand(server, handle);
  else accept(handle);
  // The server dropped it.
  server.removeListener('connection', meet);
  return arrived;
}

/** Used where this version of Node accepts in a way that we do not know. */
function acceptByHand(server: Server, handle: RawHandle): void {
  const socket = new Socket(optionsOf(server, handle));
  const { noDelay, keepAlive, initialDelay } = tcpOptionsOf(server);
  if (noDelay) socket.setNoDelay(true);
  if (keepAlive) socket.setKeepAlive(true, initialDelay);
  enlist(server, socket);
  server.emit('connection', socket);
}

/**
 * Brings the new parser of a kept connection to the state of the old one. For Node a parser that has read nothing has
 * an overdue first request (headersTimeout) and is not idle (keepAliveTimeout, closeIdleConnections). So the parser
 * reads one request, of which neither app nor client learns.
 *
 * @param silence how long the connection may go on without a request, ms; null: for ever
 */
export function markIdle(socket: Socket, silence: number | null): void {
  // As a first answer leaves the field, and before the timeout: sockets whose properties were added in an unusual
  // order make Node's property look-ups slower for all sockets.
  setHttpIdle(socket);
  if (!isParsed(socket)) return;
  parseUnheard(socket, noRequest);
  // The rest of the server's keepAliveTimeout, which does not start anew in another worker.
  if (silence !== null) socket.setTimeout(silence);
  else if (socket.timeout !== undefined) socket.setTimeout(0);
}

const noRequest = Buffer.from('GET / HTTP/1.1\r\n\r\n');

/** As Node does when a kept connection gets its next request. */
export function markBusy(socket: Socket): void {
  const server = serverOf(socket);
  if (server !== undefined && 'timeout' in server) socket.setTimeout((server as HttpServer).timeout);
}

/** In Node's own order: options of another shape make V8 discard and recompile its code for sockets. */
function optionsOf(server: Server, handle: RawHandle): SocketConstructorOpts {
  const { allowHalfOpen, pauseOnConnect, highWaterMark } = server as unknown as Record<string, unknown>;
  return {
    handle,
    allowHalfOpen,
    pauseOnCreate: pauseOnConnect,
    readable: true,
    writable: true,
    readableHighWaterMark: highWaterMark,
    writableHighWaterMark: highWaterMark,
  } as SocketConstructorOpts;
}
