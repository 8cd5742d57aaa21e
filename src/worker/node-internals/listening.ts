/**
 * Servers that listen (net.js, tcp_wrap.cc, pipe_wrap.cc), and how they ask node:cluster for the handle
 * (internal/cluster/child.js).
 */
import cluster from 'node:cluster';
import { type Server, type Socket, Server as TcpServer } from 'node:net';
import type { RawHandle } from '../../protocol/handles.js';
import { sendable } from './fields.js';

/** The handle with which a server listens. */
export interface ListenHandle {
  /** Called for each connection (net.js, onconnection). */
  onconnection: OnConnection | undefined;
  close(): void;
  listen(backlog: number): number;
  getsockname?(out: Record<string, unknown>): number;
}

type OnConnection = (this: ListenHandle, error: number | undefined, client: ClientHandle | undefined) => void;

/** A connection that no server knows yet. */
export type ClientHandle = RawHandle & { getpeername?: (out: { address?: string }) => number };

interface InnerServer {
  _handle?: ListenHandle | null;
  _connections?: number;
  _listeningId?: number;
  noDelay?: boolean;
  keepAlive?: boolean;
  keepAliveInitialDelay?: number;
}

/** Null where the server has no handle. */
export function listenHandleOf(server: Server): ListenHandle | null {
  return (server as unknown as InnerServer)._handle ?? null;
}

export function setListenHandle(server: Server, handle: ListenHandle | null): void {
  (server as unknown as InnerServer)._handle = handle;
}

/**
 * Everything that Node does with an accepted connection (net.js, onconnection): the server's options for its sockets,
 * `maxConnections` and 'drop', `blockList`, 'connection', the diagnostics channel. Null where the server does not
 * listen, or where this version of Node accepts in another way.
 */
export function acceptingOf(server: Server): ((client: RawHandle) => void) | null {
  const handle = listenHandleOf(server);
  if (handle === null || typeof handle.onconnection !== 'function') return null;
  const owner = Object.getOwnPropertySymbols(handle).find((key) => Reflect.get(handle, key) === server);
  if (owner === undefined) return null;
  const { onconnection } = handle;
  // The handle itself is gone once the server stops listening, while connections may still be on their way to it.
  const standIn = { [owner]: server } as unknown as ListenHandle;
  return (client) => onconnection.call(standIn, 0, client as ClientHandle);
}

/** Whether the server would drop one more connection. */
export function isFull(server: Server): boolean {
  const { _connections: count } = server as unknown as InnerServer;
  const { maxConnections: most } = server;
  return typeof most === 'number' && most > 0 && typeof count === 'number' && count >= most;
}

/** What a server sets on each of its connections: the options of net.createServer(). */
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

/**
 * Identifies the server's latest call of listen() or close(); undefined where this version of Node does not count
 * them.
 */
export function listeningIdOf(server: Server): number | undefined {
  return (server as unknown as InnerServer)._listeningId;
}

/**
 * Calls `around` whenever a server of this process begins to listen, with the handle that it has or with a new one
 * (net.js, setupListenHandle). Returns Node's own function; null where this version of Node listens in another way.
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

/** Handles whose sockets are closed although their servers, for the app, still listen. */
const closedHandles = new WeakSet<object>();

/**
 * Closes a server's listening socket and nothing else. For the app the server listens until it calls `close()`
 * itself, which then behaves as in Node (its callback gets an error if the handle is gone). Where this version of
 * Node has no such handle, the server itself is closed.
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
 * Sets how many connections may wait in the queue of a server that listens already (listen(2)). False where that is
 * not possible: the server has no TCP socket of its own, or this is not Linux, where a small number means the
 * default.
 */
export function setBacklog(server: Server, backlog: number): boolean {
  const handle = listenHandleOf(server);
  if (process.platform !== 'linux' || handle?.constructor.name !== 'TCP' || !isAccepting(server))
    return false;
  return handle.listen(backlog) === 0;
}

/** Whether a server listens and its socket is open: see closeListener. */
export function isAccepting(server: Server): boolean {
  const handle = listenHandleOf(server);
  return server.listening && (handle === null || !closedHandles.has(handle));
}

/** Replaces a closed handle: `server.address()` returns the same as before. */
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

/**
 * Whether a handle is node:cluster's copy of a socket that all workers accept on. With `round-robin` the handle is a
 * plain object.
 */
export function isCopyOfSocket(handle: ListenHandle): boolean {
  return sendable.has(handle.constructor.name);
}

/** Closes a copy without giving it back to node:cluster, which has replaced its close(). */
export function closeCopy(handle: ListenHandle): void {
  Object.getPrototypeOf(handle).close.call(handle);
}

/** Sets on a handle what Node has set on the former one: its owner, and the function for each connection. */
export function adoptListening(handle: ListenHandle, old: ListenHandle): void {
  handle.onconnection = old.onconnection;
  for (const key of Object.getOwnPropertySymbols(old)) Reflect.set(handle, key, Reflect.get(old, key));
}

/** How net.Server asks node:cluster for its handle (net.js, listenInCluster). */
export type GetServer = (this: unknown, asking: object, query: ListenQuery, reply: ListenReply) => unknown;

export interface ListenQuery {
  readonly address?: string | null;
  /** -1: `address` is a path. */
  readonly port?: number | null;
  /** 4, 6, or -1 for a path. */
  readonly addressType?: number | string | null;
  readonly fd?: number | undefined;
  readonly flags?: number | undefined;
  readonly backlog?: number | undefined;
  /**
   * Tells apart listeners of one process on the same address; node:cluster numbers them where the query has no index.
   */
  readonly index?: string;
}

export type ListenReply = (error: number | null, handle: ListenHandle | undefined) => void;

/**
 * The function with which net.Server asks node:cluster for a handle. `giver` is node:cluster, or stands for it in a
 * test.
 */
export function getServerOf(giver: object = cluster): GetServer | undefined {
  const ask: unknown = Reflect.get(giver, '_getServer');
  return typeof ask === 'function' ? (ask as GetServer) : undefined;
}

/** Replaces that function. */
export function setGetServer(ask: GetServer, giver: object = cluster): void {
  Reflect.set(giver, '_getServer', ask);
}
