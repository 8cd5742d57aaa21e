/** The fields of Node's objects that several files of this folder look at, and how to find its symbols. */
import type { Server, Socket } from 'node:net';
import type { RawHandle } from '../../protocol/handles.js';

export interface InnerSocket {
  _handle?: InnerHandle | null;
  _paused?: boolean;
  _httpMessage?: unknown;
  parser?: InnerParser | null;
  server?: Server;
  _server?: Server;
}

export type InnerHandle = RawHandle & {
  _consumed?: boolean;
  reading?: boolean;
  bytesRead?: number;
  bytesWritten?: number;
};

export function inner(socket: Socket): InnerSocket {
  return socket as unknown as InnerSocket;
}

export interface InnerParser {
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

export function symbolOf(owner: object, name: string): symbol | undefined {
  return Object.getOwnPropertySymbols(owner).find(({ description }) => description === name);
}

/** Node's own handles, which alone can go to another process; the keys of TLS could not. */
export const sendable: ReadonlySet<string | undefined> = new Set(['TCP', 'Pipe']);
