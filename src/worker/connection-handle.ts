import type { Server as HttpServer } from 'node:http';
import { type Server, Socket, type SocketConstructorOpts } from 'node:net';
import type { RawHandle } from '../ipc/raw-handle.js';

/**
 * What Node keeps beside its documented interface (net.js, _http_server.js and node_http_parser.cc of Node 20 to 26):
 * the handle of a socket, and the parser that reads from that handle past the socket. Each is looked for before it is
 * used; where one is missing, no connection is handed on.
 */
interface Inner {
  _handle: RawHandle | null;
  parser: Parser | null;
  _paused: boolean;
  _httpMessage: unknown;
  server: Server | undefined;
}

interface Parser {
  _consumed: boolean;
  /** Asks whether the bytes may end here: an Error within a message. It changes nothing: see llhttp_finish. */
  finish?: () => Error | undefined;
  unconsume(): void;
  execute(bytes: Buffer): number | Error;
}

interface InnerServer {
  _connections: number;
}

type InnerSocket = Socket & Inner;

/** The server that reads a connection's requests. */
export function serverOf(socket: Socket): Server | undefined {
  return (socket as InnerSocket).server;
}

/** Node's own handles, which alone can go to another process; the keys of TLS could not. */
const sendable: ReadonlySet<string | undefined> = new Set(['TCP', 'Pipe']);

/** An HTTP/1 connection without TLS, that has not left HTTP. */
export function isPlainHttp(socket: Socket): boolean {
  const { _handle: handle, parser } = socket as InnerSocket;
  if (!sendable.has(handle?.constructor.name)) return false;
  return parser?._consumed === true && typeof parser.finish === 'function';
}

/**
 * Whether a connection can be let go of: of the next request nothing has been read, of the last answer nothing is left
 * to be written, and nobody but Node listens for its bytes. What the client sends meanwhile waits in the kernel.
 */
export function isBetweenRequests(socket: Socket): boolean {
  const { parser, _paused, _httpMessage } = socket as InnerSocket;
  if (socket.destroyed || !socket.writable || !socket.readable || !isPlainHttp(socket)) return false;
  if (_paused || socket.isPaused() || (_httpMessage ?? null) !== null) return false;
  if (socket.writableLength > 0 || socket.readableLength > 0) return false;
  if (socket.listenerCount('data') > 1 || socket.listenerCount('readable') > 0) return false;
  return parser?.finish?.() === undefined;
}

/** Takes the connection away from its socket, which then says 'close' as at any end. Null where it is closed already. */
export function detach(socket: Socket): RawHandle | null {
  const inner = socket as InnerSocket;
  const { _handle: handle, parser } = inner;
  if (handle === null) return null;
  // Node keeps both, for who asks a closed socket; without the handle it could not find them out any more.
  void [socket.remoteAddress, socket.localAddress];
  handle.readStop();
  if (parser?._consumed === true) {
    parser.unconsume();
    parser._consumed = false;
  }
  // Node's marks on a handle that is being read from: this one may come back.
  Object.assign(handle, { _consumed: false, reading: false });
  inner._handle = null;
  socket.destroy();
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

/** Gives a connection to a server as if it had accepted it (net.js, onconnection). */
export function attach({ server, handle, head, prepare }: Arrival): Socket {
  const socket = new Socket(optionsOf(server, handle));
  (server as unknown as InnerServer)._connections++;
  Object.assign(socket, { server, _server: server });
  prepare(socket);
  if (head !== null && head.length > 0) socket.unshift(head);
  server.emit('connection', socket);
  return socket;
}

/**
 * Brings the new parser of a kept connection to where the old one was. A parser that has not read anything counts as
 * one whose first request is overdue (headersTimeout), not as idle (keepAliveTimeout, closeIdleConnections); so it reads
 * one request, which nobody sees.
 */
export function markIdle(socket: Socket): void {
  const inner = socket as InnerSocket;
  const { parser, server } = inner;
  // Where a first answer leaves it, and before the timeout: sockets that got their properties in another order than most
  // make Node's own look-ups slower for all of them.
  inner._httpMessage = null;
  if (parser === null || server === undefined || !('keepAliveTimeout' in server)) return;
  unheard(parser, () => parser.execute(noRequest));
  const { keepAliveTimeout } = server as HttpServer;
  const { keepAliveTimeoutBuffer = 1_000 } = server as { keepAliveTimeoutBuffer?: number };
  if (keepAliveTimeout > 0) socket.setTimeout(keepAliveTimeout + keepAliveTimeoutBuffer);
}

const noRequest = Buffer.from('GET / HTTP/1.1\r\n\r\n');

/** Nothing in JavaScript hears of what a parser reads meanwhile: its callbacks are its elements. */
function unheard(parser: Parser, read: () => void): void {
  const callbacks = Object.entries(parser).filter(([key]) => isElement(key));
  for (const [key] of callbacks) Reflect.set(parser, key, null);
  read();
  for (const [key, callback] of callbacks) Reflect.set(parser, key, callback);
}

function isElement(key: string): boolean {
  return /^\d+$/.test(key);
}

/** As Node does with a kept connection at its next request. */
export function markBusy(socket: Socket): void {
  const { server } = socket as InnerSocket;
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
