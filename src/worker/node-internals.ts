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
import Module from 'node:module';
import type { Server, Socket } from 'node:net';
import type { RawHandle } from '../ipc/raw-handle.js';

/** The majors of Node on which the tests of this directory have run. */
export const testedMajors: readonly number[] = [20, 22, 24, 26];

// ------------------------------------------------------------------------------------ sockets (net.js)

interface InnerSocket {
  _handle?: InnerHandle | null;
  _paused?: boolean;
  _httpMessage?: unknown;
  parser?: InnerParser | null;
  server?: Server;
}

type InnerHandle = RawHandle & { _consumed?: boolean; reading?: boolean };

function inner(socket: Socket): InnerSocket {
  return socket as unknown as InnerSocket;
}

/** The server that reads a connection's requests. */
export function serverOf(socket: Socket): Server | undefined {
  return inner(socket).server;
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
  handle.readStop();
  stopParsing(socket);
  // Node's marks on a handle that is being read from: this one may come back.
  Object.assign(handle, { _consumed: false, reading: false });
  inner(socket)._handle = null;
  return handle;
}

// ------------------------------------------------------ HTTP/1 (_http_server.js, node_http_parser.cc)

interface InnerParser {
  _consumed?: boolean;
  /** Whether the bytes may end here: an Error within a message. It changes nothing: see llhttp_finish. */
  finish?: () => Error | undefined;
  unconsume?: () => void;
  execute?: (bytes: Buffer) => number | Error;
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

/** Where a first answer leaves the field. Before other fields: see markIdle. */
export function setHttpIdle(socket: Socket): void {
  inner(socket)._httpMessage = null;
}

/** Whether the parser finds that the bytes which it has read could end here. */
export function mayEndHere(socket: Socket): boolean {
  const { parser } = inner(socket);
  return typeof parser?.finish === 'function' && parser.finish() === undefined;
}

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
}

/** Null where the server does not listen. */
export function listenHandleOf(server: Server): ListenHandle | null {
  return (server as unknown as InnerServer)._handle ?? null;
}

export function setListenHandle(server: Server, handle: ListenHandle): void {
  (server as unknown as InnerServer)._handle = handle;
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
  readonly port?: number;
  readonly flags?: number;
  readonly backlog?: number;
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

// ---------------------------------------------------- modules (internal/modules/run_main.js)

/** Runs a file as the main module, as `node <file>` does. Nothing happens where this Node does that in another way. */
export function runMainModule(file: string): void {
  const { runMain } = Module as unknown as { runMain?: (file: string) => void };
  if (typeof runMain === 'function') runMain(file);
}
