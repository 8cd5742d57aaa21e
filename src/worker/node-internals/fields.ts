/**
 * The only folder of the worker that touches what Node does not document: fields with an underscore, symbols,
 * functions that its modules put on each other. A test checks that no other file does. This file has the fields that
 * several others read.
 *
 * Rules for what is added here:
 * - One small function for each thing, with a name that says what it does, not the name of Node's field. A comment
 *   names the source file of Node.
 * - Each access is guarded. If the field is missing or is of another kind, the function returns null, false or
 *   undefined, and its callers go on without. No function throws.
 * - Each is tested on the majors in `testedMajors`, by tests that run on all of them.
 */
import type { Server, Socket } from 'node:net';
import type { RawHandle } from '../../protocol/handles.js';

/** The majors of Node on which the worker's tests run: see `make test-nodes`. */
export const testedMajors: readonly number[] = [20, 22, 24, 26];

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
