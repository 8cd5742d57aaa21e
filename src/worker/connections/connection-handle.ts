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

/** An HTTP/1 connection without TLS, that has not left HTTP. */
export function isPlainHttp(socket: Socket): boolean {
  return hasSendableHandle(socket) && isParsed(socket);
}

/**
 * Whether a connection can be let go of: of the next request nothing has been read, of the last answer nothing is left
 * to be written, and nobody but Node listens for its bytes. What the client sends meanwhile waits in the kernel.
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

/** Takes the connection away from its socket, which then says 'close' as at any end. Null where it is closed already. */
export function detach(socket: Socket): RawHandle | null {
  // Node keeps both, for who asks a closed socket; without the handle it could not find them out any more.
  void [socket.remoteAddress, socket.localAddress];
  const handle = takeHandle(socket);
  if (handle !== null) socket.destroy();
  return handle;
}

export interface Arrival {
  readonly server: Server;
  readonly handle: RawHandle;
  /** What has been read already. */
  readonly head: Buffer | null;
  /** Before the server, and thereby the app, knows it. */
  readonly prepare: (socket: Socket) => void;
}

/** How Node accepts a connection of a server, from when the server began to listen: see acceptingOf. */
const accepting = new WeakMap<Server, (client: RawHandle) => void>();

/** To be called while Node's own way to accept is still in place. */
export function learnAccepting(server: Server): void {
  const accept = acceptingOf(server);
  if (accept !== null) accepting.set(server, accept);
}

/**
 * Gives a connection to a server as if it had accepted it (net.js, onconnection).
 *
 * @returns null where the server does not take it, which closes it
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
  // It was dropped.
  server.removeListener('connection', meet);
  return arrived;
}

/** Where this Node accepts in a way that we do not know. */
function acceptByHand(server: Server, handle: RawHandle): void {
  const socket = new Socket(optionsOf(server, handle));
  const { noDelay, keepAlive, initialDelay } = tcpOptionsOf(server);
  if (noDelay) socket.setNoDelay(true);
  if (keepAlive) socket.setKeepAlive(true, initialDelay);
  enlist(server, socket);
  server.emit('connection', socket);
}

/**
 * Brings the new parser of a kept connection to where the old one was. A parser that has not read anything counts as
 * one whose first request is overdue (headersTimeout), not as idle (keepAliveTimeout, closeIdleConnections); so it reads
 * one request, which nobody sees.
 *
 * @param silence how long the connection may go on without a request, ms; null: for ever
 */
export function markIdle(socket: Socket, silence: number | null): void {
  // Where a first answer leaves it, and before the timeout: sockets that got their properties in another order than most
  // make Node's own look-ups slower for all of them.
  setHttpIdle(socket);
  if (!isParsed(socket)) return;
  parseUnheard(socket, noRequest);
  // What is left of the server's keepAliveTimeout, which does not begin anew with another worker.
  if (silence !== null) socket.setTimeout(silence);
  else if (socket.timeout !== undefined) socket.setTimeout(0);
}

const noRequest = Buffer.from('GET / HTTP/1.1\r\n\r\n');

/** As Node does with a kept connection at its next request. */
export function markBusy(socket: Socket): void {
  const server = serverOf(socket);
  if (server !== undefined && 'timeout' in server) socket.setTimeout((server as HttpServer).timeout);
}

/** In Node's own order: options of another shape make V8 throw away what it has compiled for sockets, and do it again. */
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
