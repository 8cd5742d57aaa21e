import type { Server } from 'node:net';
import type { RawHandle } from '../ipc/raw-handle.js';

/** What a server listens with (tcp_wrap.cc, pipe_wrap.cc of Node 20 to 26). */
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

export type ListeningServer = Server & { _handle: ListenHandle | null };

/** How net.Server asks node:cluster for its handle (net.js, listenInCluster, of Node 20 to 26). */
export interface HandleGiver {
  _getServer?: GetServer;
}

type GetServer = (asking: object, query: ListenQuery, reply: ListenReply) => unknown;

export interface ListenQuery {
  readonly port?: number;
  readonly flags?: number;
  readonly backlog?: number;
}

type ListenReply = (error: number | null, handle: ListenHandle | undefined) => void;
