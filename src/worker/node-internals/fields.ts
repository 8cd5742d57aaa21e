/** Fields of Node's objects that several files of this folder read, and how to find its symbols. */
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
  /** The request that is being read; it stays until the app has read its body to the end. */
  incoming?: object | null;
  /** Whether the bytes may end here: an Error within a message. Changes nothing: see llhttp_finish. */
  finish?: () => Error | undefined;
  unconsume?: () => void;
  execute?: (bytes: Buffer) => number | Error;
  /** A copy of all the bytes that are being parsed at this moment. */
  getCurrentBuffer?: () => Buffer | undefined;
  socket?: Socket | null;
}

export function symbolOf(owner: object, name: string): symbol | undefined {
  return Object.getOwnPropertySymbols(owner).find(({ description }) => description === name);
}

/** Only Node's own handles can go to another process; the keys of a TLS connection could not. */
export const sendable: ReadonlySet<string | undefined> = new Set(['TCP', 'Pipe']);
