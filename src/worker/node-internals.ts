/**
 * The only file of a worker that touches what Node keeps beside its documented interface: fields with an underscore,
 * symbols, what its modules keep on each other. A test holds every other file to that.
 *
 * For who adds something here:
 * - One small function for each thing, named by what it says or does and not by Node's field. It names the file of Node
 *   that it is from.
 * - Each access is guarded. Where the field is missing or is of another kind, the function says so (null, false,
 *   undefined) and whoever calls it has a plain way to go on without. None of them throws.
 * - Each is checked on the majors in `testedMajors`, by tests that run on all of them.
 */
import cluster from 'node:cluster';
import { writeSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import type { Http2Session } from 'node:http2';
import Module from 'node:module';
import { type Server, type Socket, Server as TcpServer } from 'node:net';
import type { RawHandle } from '../protocol/handles.js';

/** The majors of Node on which the tests of this directory have run. */
export const testedMajors: readonly number[] = [20, 22, 24, 26];

// ------------------------------------------------------------------------------------ sockets (net.js)

interface InnerSocket {
  _handle?: InnerHandle | null;
  _paused?: boolean;
  _httpMessage?: unknown;
  parser?: InnerParser | null;
  server?: Server;
  _server?: Server;
}

type InnerHandle = RawHandle & {
  _consumed?: boolean;
  reading?: boolean;
  bytesRead?: number;
  bytesWritten?: number;
};

function inner(socket: Socket): InnerSocket {
  return socket as unknown as InnerSocket;
}

/** The server that reads a connection's requests. */
export function serverOf(socket: Socket): Server | undefined {
  return inner(socket).server;
}

/** The server whose listener has accepted a connection. */
export function acceptorOf(socket: Socket): Server | undefined {
  return inner(socket)._server;
}

/** Node's own handles, which alone can go to another process; the keys of TLS could not. */
const sendable: ReadonlySet<string | undefined> = new Set(['TCP', 'Pipe']);

export function hasSendableHandle(socket: Socket): boolean {
  return sendable.has(inner(socket)._handle?.constructor.name);
}

/** Takes the connection from its socket, which no longer has any: nothing reads from it. Null where it is closed. */
export function takeHandle(socket: Socket): RawHandle | null {
  const { _handle: handle = null } = inner(socket);
  if (handle === null) return null;
  keepByteCounts(socket, handle);
  handle.readStop();
  stopParsing(socket);
  // Node's marks on a handle that is being read from: this one may come back.
  Object.assign(handle, { _consumed: false, reading: false });
  inner(socket)._handle = null;
  return handle;
}

/** Whoever asks at 'close' how much there was is told, as after every other end. */
function keepByteCounts(socket: Socket, { bytesRead, bytesWritten }: InnerHandle): void {
  for (const [name, count] of Object.entries({ kBytesRead: bytesRead, kBytesWritten: bytesWritten })) {
    const key = symbolOf(socket, name);
    if (key !== undefined && count !== undefined) Reflect.set(socket, key, count);
  }
}

/** How long a socket may go on being silent, ms; null: for ever. Undefined where it cannot be found out. */
export function silenceLeft(socket: Socket): number | null | undefined {
  const key = symbolOf(socket, 'timeout');
  if (key === undefined) return undefined;
  const timer: unknown = Reflect.get(socket, key);
  if (timer === null || timer === undefined) return null;
  const [since, now] = [startOf(timer), loopTime()];
  const { timeout } = socket;
  if (since === null || now === null || timeout === undefined) return undefined;
  return Math.max(1, timeout - (now - since));
}

/** When a timer was last set, ms of the event loop's clock (internal/timers.js). */
function startOf(timer: object): number | null {
  const start: unknown = Reflect.get(timer, '_idleStart');
  return typeof start === 'number' ? start : null;
}

/** ms; Node shows it in a timer that begins now. */
function loopTime(): number | null {
  const timer = setTimeout(() => {}, 1);
  clearTimeout(timer);
  return startOf(timer);
}

/** What a library of the app has put on an object under a symbol of its own; undefined where it has not. */
export function underSymbol(owner: object, name: string): unknown {
  const key = symbolOf(owner, name);
  return key === undefined ? undefined : Reflect.get(owner, key);
}

function symbolOf(owner: object, name: string): symbol | undefined {
  return Object.getOwnPropertySymbols(owner).find(({ description }) => description === name);
}

/** Ends a connection as node:http does where a request does not come in time (_http_server.js, onRequestTimeout). */
export function failRequestTimeout(socket: Socket): void {
  const onError = socket.listeners('error').find(({ name }) => name === 'socketOnError');
  // Where Node has no such listener any more, it has failed already.
  if (onError !== undefined)
    Reflect.apply(onError, socket, [
      Object.assign(new Error('Request timeout'), { code: 'ERR_HTTP_REQUEST_TIMEOUT' }),
    ]);
}

/** What Node itself listens for on a connection whose requests it reads, by the names of its functions. */
const nodesListeners: Readonly<Record<string, readonly string[]>> = {
  close: ['bound socketOnClose'],
  data: ['bound socketOnData'],
  drain: ['bound socketOnDrain'],
  end: ['onReadableStreamEnd', 'bound socketOnEnd'],
  error: ['socketOnError'],
  pause: ['onSocketPause'],
  resume: ['onSocketResume'],
  timeout: ['socketOnTimeout'],
};

export function isNodesListener(event: string | symbol, listener: { readonly name: string }): boolean {
  return typeof event === 'string' && nodesListeners[event]?.includes(listener.name) === true;
}

/** Takes off what node:http listens with for the bytes of requests, or for their end. False where there is no such thing. */
export function removeRequestReader(socket: Socket, event: 'data' | 'end'): boolean {
  const [reader] = socket.listeners(event).filter(({ name }) => name === requestReaders[event]);
  if (reader === undefined) return false;
  socket.removeListener(event, reader as () => void);
  return true;
}

const requestReaders = { data: 'bound socketOnData', end: 'bound socketOnEnd' } as const;

/** The listener of node:http for the connections of its servers. */
export function isNodesHttpListener(listener: { readonly name: string }): boolean {
  return listener.name === 'connectionListener';
}

// ------------------------------------------------------ HTTP/1 (_http_server.js, node_http_parser.cc)

interface InnerParser {
  _consumed?: boolean;
  /** The request that is being read, until its body is read to the end by the app. */
  incoming?: object | null;
  /** Whether the bytes may end here: an Error within a message. It changes nothing: see llhttp_finish. */
  finish?: () => Error | undefined;
  unconsume?: () => void;
  execute?: (bytes: Buffer) => number | Error;
  /** A copy of what is being parsed at this moment, all of it. */
  getCurrentBuffer?: () => Buffer | undefined;
  socket?: Socket | null;
}

/** Whether Node's HTTP parser reads from the handle itself, past the socket: HTTP/1 that nobody has upgraded. */
export function isParsed(socket: Socket): boolean {
  const { parser } = inner(socket);
  return parser?._consumed === true && typeof parser.finish === 'function';
}

/** Whether node:http does not read on, as answers are waiting to be written. */
export function isHttpPaused(socket: Socket): boolean {
  return inner(socket)._paused === true;
}

/** Whether node:http has an answer of this connection under way. */
export function isHttpBusy(socket: Socket): boolean {
  return (inner(socket)._httpMessage ?? null) !== null;
}

/** Has node:http leave the connection open behind an answer that says `close`. False where it would not have closed it. */
export function keepOpen(response: ServerResponse): boolean {
  const outgoing = response as unknown as { _last?: boolean };
  if (outgoing._last !== true) return false;
  outgoing._last = false;
  return true;
}

/** Where a first answer leaves the field. Before other fields: see markIdle. */
export function setHttpIdle(socket: Socket): void {
  inner(socket)._httpMessage = null;
}

/**
 * Whether the parser has begun to read a message and not come to its end, or could not read it. Node's own lists say it,
 * and do not err as `finish()` does: after an upgrade that nobody took, that lets every error pass.
 */
export function isInMessage(socket: Socket): boolean {
  const { parser, server, _server: acceptor } = inner(socket);
  if (typeof parser?.finish !== 'function' || server === undefined) return true;
  // A parser that came from elsewhere may be older than the lists, and then is in none of them.
  const name = acceptor === server ? 'active' : 'idle';
  const list = parsersOf(server, name);
  if (list === null || list.includes(parser) !== (name === 'idle')) return true;
  return parser.finish() !== undefined;
}

/** Connections on which no message is being read. Null where they cannot be found out. */
export function idleConnections(server: Server): Socket[] | null {
  const parsers = parsersOf(server, 'idle') as readonly InnerParser[] | null;
  return parsers?.flatMap(({ socket }) => socket ?? []) ?? null;
}

/** What is being parsed at this moment, all of it; nothing where the parser is at rest, or does not say. */
export function bytesBeingParsed(socket: Socket): Buffer {
  return inner(socket).parser?.getCurrentBuffer?.() ?? nothing;
}

/** The few parsers that are reading a message, or all others. Null where they cannot be found out. */
function parsersOf(server: Server, which: 'active' | 'idle'): readonly unknown[] | null {
  const key = symbolOf(server, 'http.server.connections');
  const lists: unknown = key === undefined ? null : Reflect.get(server, key);
  if (typeof lists !== 'object' || lists === null) return null;
  const list: unknown = Reflect.get(lists, which);
  return typeof list === 'function' ? Reflect.apply(list, lists, []) : null;
}

/** Whether the app has not read the last request to its end, or Node has not let go of it. */
export function hasUnreadRequest(socket: Socket): boolean {
  return inner(socket).parser?.incoming !== null;
}

/** Whether the parser has given up: then it refuses to read even nothing. */
export function hasParseError(socket: Socket): boolean {
  return inner(socket).parser?.execute?.(nothing) !== 0;
}

const nothing = Buffer.alloc(0);

/** Has the parser read these bytes, of which nothing in JavaScript hears: its callbacks are its elements. */
export function parseUnheard(socket: Socket, bytes: Buffer): number | Error | null {
  const { parser } = inner(socket);
  if (typeof parser?.execute !== 'function') return null;
  const callbacks = Object.entries(parser).filter(([key]) => /^\d+$/.test(key));
  for (const [key] of callbacks) Reflect.set(parser, key, null);
  const result = parser.execute(bytes);
  for (const [key, callback] of callbacks) Reflect.set(parser, key, callback);
  return result;
}

function stopParsing(socket: Socket): void {
  const { parser } = inner(socket);
  if (parser?._consumed !== true) return;
  parser.unconsume?.();
  parser._consumed = false;
}

// ------------------------------------------------------ HTTP/2 (internal/http2/core.js, node_http2.cc)

/** What is below a session: a Node stream writes what it can at once, and keeps the rest (stream_base.cc). */
interface StreamHandle {
  readonly fd?: number;
  readonly bytesWritten?: number;
  readonly writeQueueSize?: number;
}

/**
 * Writes a frame of ours into the connection of an HTTP/2 session, straight to the kernel. Node gives it whole frames, all
 * that it has in one go: where nothing of them is left to be written, one has just ended. False where nothing was
 * written: behind TLS, before the session's own first frame, or while a client does not read.
 */
export function writeBetweenFrames(session: Http2Session, frame: Buffer): boolean {
  if (session.destroyed || session.encrypted === true) return false;
  const handle = inner(session.socket as Socket)._handle as (RawHandle & StreamHandle) | null | undefined;
  if (!handle || !sendable.has(handle.constructor.name)) return false;
  const { fd = -1, bytesWritten = 0, writeQueueSize } = handle;
  if (fd < 0 || bytesWritten === 0 || writeQueueSize !== 0) return false;
  try {
    // Half a frame would be the end of the session.
    if (writeSync(fd, frame) < frame.length) session.destroy();
    return true;
  } catch {
    return false;
  }
}

// ---------------------------------------------------- listening (net.js, tcp_wrap.cc, pipe_wrap.cc)

/** What a server listens with. */
export interface ListenHandle {
  /** Called for each connection (net.js, onconnection). */
  onconnection: OnConnection | undefined;
  close(): void;
  listen(backlog: number): number;
  getsockname?(out: Record<string, unknown>): number;
}

type OnConnection = (this: ListenHandle, error: number | undefined, client: ClientHandle | undefined) => void;

/** A connection that no server has yet. */
export type ClientHandle = RawHandle & { getpeername?: (out: { address?: string }) => number };

interface InnerServer {
  _handle?: ListenHandle | null;
  _connections?: number;
  _listeningId?: number;
  noDelay?: boolean;
  keepAlive?: boolean;
  keepAliveInitialDelay?: number;
}

/** Null where the server does not listen. */
export function listenHandleOf(server: Server): ListenHandle | null {
  return (server as unknown as InnerServer)._handle ?? null;
}

export function setListenHandle(server: Server, handle: ListenHandle | null): void {
  (server as unknown as InnerServer)._handle = handle;
}

/**
 * What Node does with a connection that a server has accepted, all of it (net.js, onconnection): the server's options for
 * its sockets, `maxConnections` and 'drop', `blockList`, 'connection', the diagnostics channel. Null where the server does
 * not listen, or this Node accepts in another way.
 */
export function acceptingOf(server: Server): ((client: RawHandle) => void) | null {
  const handle = listenHandleOf(server);
  if (handle === null || typeof handle.onconnection !== 'function') return null;
  const owner = Object.getOwnPropertySymbols(handle).find((key) => Reflect.get(handle, key) === server);
  if (owner === undefined) return null;
  const { onconnection } = handle;
  // The handle itself is gone once the server listens no more, while connections are still on their way to it.
  const standIn = { [owner]: server } as unknown as ListenHandle;
  return (client) => onconnection.call(standIn, 0, client as ClientHandle);
}

/** Whether one connection more would be dropped. */
export function isFull(server: Server): boolean {
  const { _connections: count } = server as unknown as InnerServer;
  const { maxConnections: most } = server;
  return typeof most === 'number' && most > 0 && typeof count === 'number' && count >= most;
}

/** What a server sets on each of its connections: net.createServer(). */
export function tcpOptionsOf(server: Server): {
  readonly noDelay: boolean;
  readonly keepAlive: boolean;
  /** ms */
  readonly initialDelay: number;
} {
  const { noDelay, keepAlive, keepAliveInitialDelay: seconds } = server as unknown as InnerServer;
  return {
    noDelay: noDelay === true,
    keepAlive: keepAlive === true,
    initialDelay: typeof seconds === 'number' ? seconds * 1_000 : 0,
  };
}

/** Which of its calls of listen() and close() was the last; undefined: this Node does not count them. */
export function listeningIdOf(server: Server): number | undefined {
  return (server as unknown as InnerServer)._listeningId;
}

/**
 * Puts `around` between every server and its listening in this process, with the handle that it has or with a new one
 * (net.js, setupListenHandle). Returns what was there before; null: this Node listens in another way.
 */
export function aroundListenNow(
  around: (server: Server, where: ListenQuery, listen: (where: ListenQuery) => void) => void,
  prototype: object = TcpServer.prototype,
): ((server: Server, where: ListenQuery) => void) | null {
  const original: unknown = Reflect.get(prototype, '_listen2');
  if (typeof original !== 'function') return null;
  const before = (server: Server, { address, port, addressType, backlog, fd, flags }: ListenQuery): void =>
    Reflect.apply(original, server, [address, port, addressType, backlog, fd, flags]);
  const listenNow = function (this: Server, ...args: unknown[]): void {
    const [address, port, addressType, backlog, fd, flags] = args;
    const where = { address, port, addressType, backlog, fd, flags } as ListenQuery;
    around(this, where, (to) => before(this, to));
  };
  Reflect.set(prototype, '_listen2', listenNow);
  return before;
}

/** UV_TCP_REUSEPORT (uv.h), among the flags of a listen(). */
export const reusePortFlag = 2;

/** Handles whose sockets are closed while their servers, as far as the app knows, listen. */
const closedHandles = new WeakSet<object>();

/**
 * Closes a server's listening socket and nothing else: for the app the server goes on listening until it calls
 * `close()` itself, which then behaves as in Node (whose callback gets an error where there is no handle any more).
 * Where Node has no such handle the server itself is closed.
 */
export function closeListener(server: Server): void {
  if (!isAccepting(server)) return;
  const handle = listenHandleOf(server);
  if (typeof handle?.close !== 'function') return void TcpServer.prototype.close.call(server);
  const closed = closedHandle(handle);
  closedHandles.add(closed);
  handle.close();
  setListenHandle(server, closed);
}

/**
 * How many connections may wait for a server that listens already (listen(2)). False where that cannot be said: it is no
 * TCP socket of its own, or not Linux, where few is as many as by default.
 */
export function setBacklog(server: Server, backlog: number): boolean {
  const handle = listenHandleOf(server);
  if (process.platform !== 'linux' || handle?.constructor.name !== 'TCP' || !isAccepting(server))
    return false;
  return handle.listen(backlog) === 0;
}

/** Whether the kernel has completed a connection of ours, which the event loop may not know yet. */
export function hasConnected(socket: Socket): boolean {
  const handle = inner(socket)._handle as ClientHandle | null | undefined;
  return handle?.getpeername?.({}) === 0;
}

/** Whether a server listens, and its socket is open: see closeListener. */
export function isAccepting(server: Server): boolean {
  const handle = listenHandleOf(server);
  return server.listening && (handle === null || !closedHandles.has(handle));
}

/** In the place of a handle that is closed: `server.address()` says the same as before. */
function closedHandle(handle: ListenHandle): ListenHandle {
  const bound: Record<string, unknown> = {};
  const outcome = handle.getsockname?.(bound);
  const nothing = (): void => {};
  const closed = { onconnection: undefined, close: nothing, ref: nothing, unref: nothing, listen: () => 0 };
  if (outcome === undefined) return closed;
  const getsockname = (out: Record<string, unknown>): number => {
    Object.assign(out, bound);
    return outcome;
  };
  return { ...closed, getsockname };
}

/** Makes a socket one of the server's connections. */
export function enlist(server: Server, socket: Socket): void {
  const counted = server as unknown as InnerServer;
  if (typeof counted._connections === 'number') counted._connections++;
  Object.assign(socket, { server, _server: server });
}

/** Node's own: the copies of a socket that all workers accept on. What `round-robin` has instead is no handle. */
export function isCopyOfSocket(handle: ListenHandle): boolean {
  return sendable.has(handle.constructor.name);
}

/** Closes a copy without giving it back to node:cluster, which has put its own close() on it. */
export function closeCopy(handle: ListenHandle): void {
  Object.getPrototypeOf(handle).close.call(handle);
}

/** Puts on a handle what Node has put on the former one: whose it is, and what is called for each connection. */
export function adoptListening(handle: ListenHandle, old: ListenHandle): void {
  handle.onconnection = old.onconnection;
  for (const key of Object.getOwnPropertySymbols(old)) Reflect.set(handle, key, Reflect.get(old, key));
}

// ---------------------------------------------- node:cluster in a worker (internal/cluster/child.js)

/** How net.Server asks node:cluster for its handle (net.js, listenInCluster). */
export type GetServer = (this: unknown, asking: object, query: ListenQuery, reply: ListenReply) => unknown;

export interface ListenQuery {
  readonly address?: string | null;
  /** -1: a path. */
  readonly port?: number | null;
  /** 4, 6, or -1 for a path. */
  readonly addressType?: number | string | null;
  readonly fd?: number | undefined;
  readonly flags?: number | undefined;
  readonly backlog?: number | undefined;
  /** Tells apart the listeners of one process at the same address; node:cluster counts them unless it is given. */
  readonly index?: string;
}

export type ListenReply = (error: number | null, handle: ListenHandle | undefined) => void;

/** Who asks node:cluster for a handle ends here. `giver` is node:cluster, or stands for it in a test. */
export function getServerOf(giver: object = cluster): GetServer | undefined {
  const ask: unknown = Reflect.get(giver, '_getServer');
  return typeof ask === 'function' ? (ask as GetServer) : undefined;
}

/** From now on net.Server asks like this. */
export function setGetServer(ask: GetServer, giver: object = cluster): void {
  Reflect.set(giver, '_getServer', ask);
}

// ------------------------------------------------------------ the event loop (node.cc, env.cc)

/** Named by process.getActiveResourcesInfo() whether they keep the loop or not; the handles below tell more of them. */
const unclear: ReadonlySet<string> = new Set([
  'IntervalHistogram',
  'PipeServerWrap',
  'PipeWrap',
  'TCPServerWrap',
  'TCPSocketWrap',
  'TTYWrap',
]);

/**
 * What keeps the event loop besides servers that listen, by names such as `Timeout` and `Socket`; standard output, which
 * never does, is left out. Null: this Node does not tell.
 */
export function underWay(worker: object = process): readonly string[] | null {
  const { _getActiveHandles: getHandles } = worker as { _getActiveHandles?: () => unknown };
  const handles: unknown = typeof getHandles === 'function' ? getHandles.call(worker) : null;
  if (!Array.isArray(handles)) return null;
  const others = (handles as object[]).filter(
    (handle) => !(handle instanceof TcpServer) && !isStandard(handle) && !isHistogram(handle),
  );
  const resources = (worker as NodeJS.Process).getActiveResourcesInfo().filter((name) => !unclear.has(name));
  return [...resources, ...others.map((handle) => handle.constructor.name)];
}

/** Of perf_hooks.monitorEventLoopDelay(): its timer keeps nothing. */
function isHistogram({ constructor: { name } }: object): boolean {
  return name.endsWith('Histogram');
}

/** tty.WriteStream and the sockets of process.stdout and its like bear their descriptor. */
function isStandard(handle: object): boolean {
  const { fd } = handle as { fd?: unknown };
  return typeof fd === 'number' && fd >= 0 && fd <= 2;
}

// ---------------------------------------------------- modules (internal/modules/run_main.js)

/** Runs a file as the main module, as `node <file>` does. Nothing happens where this Node does that in another way. */
export function runMainModule(file: string): void {
  const { runMain } = Module as unknown as { runMain?: (file: string) => void };
  if (typeof runMain === 'function') runMain(file);
}

// ------------------------------------- standard output that is a file (internal/fs/sync_write_stream.js)

/**
 * Has what is written to process.stdout or process.stderr go to another descriptor from now on, where the stream is one
 * of a file, which writes to its `fd` each time. False: it is another kind of stream, and stays as it is.
 */
export function pointStream(stream: object, fd: number): boolean {
  if (stream.constructor.name !== 'SyncWriteStream' || typeof Reflect.get(stream, 'fd') !== 'number')
    return false;
  return Reflect.set(stream, 'fd', fd);
}
