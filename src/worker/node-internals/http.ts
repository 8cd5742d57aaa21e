/** HTTP/1 (_http_server.js, node_http_parser.cc) and HTTP/2 (internal/http2/core.js, node_http2.cc). */
import { writeSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import type { Http2Session } from 'node:http2';
import type { Server, Socket } from 'node:net';
import type { RawHandle } from '../../protocol/handles.js';
import { type InnerParser, inner, sendable, symbolOf } from './fields.js';

/** Whether Node's HTTP parser reads from the handle directly, past the socket: HTTP/1 that was not upgraded. */
export function isParsed(socket: Socket): boolean {
  const { parser } = inner(socket);
  return parser?._consumed === true && typeof parser.finish === 'function';
}

/** Whether node:http has stopped reading, because answers wait to be written. */
export function isHttpPaused(socket: Socket): boolean {
  return inner(socket)._paused === true;
}

/** Whether an answer of node:http is under way on this connection. */
export function isHttpBusy(socket: Socket): boolean {
  return (inner(socket)._httpMessage ?? null) !== null;
}

/**
 * Makes node:http leave the connection open after an answer that says `close`. False where it would not have closed
 * it.
 */
export function keepOpen(response: ServerResponse): boolean {
  const outgoing = response as unknown as { _last?: boolean };
  if (outgoing._last !== true) return false;
  outgoing._last = false;
  return true;
}

/** The header of an answer as it was sent, in ASCII or Latin 1; empty: none was, or Node does not say. */
export function sentHeader(response: ServerResponse): string {
  const { _header: header } = response as unknown as { _header?: unknown };
  return typeof header === 'string' ? header : '';
}

/** Sets the field as a first answer leaves it. Must come before other fields: see markIdle. */
export function setHttpIdle(socket: Socket): void {
  inner(socket)._httpMessage = null;
}

/**
 * Whether the parser is within a message, or could not read it. Node's own lists are right where `finish()` is wrong:
 * after an upgrade that nobody took, `finish()` reports no error.
 */
export function isInMessage(socket: Socket): boolean {
  const { parser, server, _server: acceptor } = inner(socket);
  if (typeof parser?.finish !== 'function' || server === undefined) return true;
  // The parser of a connection from another worker may be older than the lists, and then is in none of them.
  const name = acceptor === server ? 'active' : 'idle';
  const list = parsersOf(server, name);
  if (list === null || list.includes(parser) !== (name === 'idle')) return true;
  return parser.finish() !== undefined;
}

/** Connections on which no message is being read. Null where this version of Node does not say. */
export function idleConnections(server: Server): Socket[] | null {
  const parsers = parsersOf(server, 'idle') as readonly InnerParser[] | null;
  return parsers?.flatMap(({ socket }) => socket ?? []) ?? null;
}

/** All the bytes that are being parsed at this moment; empty where the parser is at rest, or does not say. */
export function bytesBeingParsed(socket: Socket): Buffer {
  return inner(socket).parser?.getCurrentBuffer?.() ?? nothing;
}

/**
 * `active`: the few parsers that are reading a message; `idle`: all others. Null where this version of Node does not
 * say.
 */
function parsersOf(server: Server, which: 'active' | 'idle'): readonly unknown[] | null {
  const key = symbolOf(server, 'http.server.connections');
  const lists: unknown = key === undefined ? null : Reflect.get(server, key);
  if (typeof lists !== 'object' || lists === null) return null;
  const list: unknown = Reflect.get(lists, which);
  return typeof list === 'function' ? Reflect.apply(list, lists, []) : null;
}

/** Whether the app has not read the last request to its end, or Node still holds it. */
export function hasUnreadRequest(socket: Socket): boolean {
  return inner(socket).parser?.incoming !== null;
}

/** Whether the parser has failed: it then rejects even zero bytes. */
export function hasParseError(socket: Socket): boolean {
  return inner(socket).parser?.execute?.(nothing) !== 0;
}

const nothing = Buffer.alloc(0);

/** Makes the parser read bytes without calling its callbacks, which are its numbered properties. */
export function parseUnheard(socket: Socket, bytes: Buffer): number | Error | null {
  const { parser } = inner(socket);
  if (typeof parser?.execute !== 'function') return null;
  const callbacks = Object.entries(parser).filter(([key]) => /^\d+$/.test(key));
  for (const [key] of callbacks) Reflect.set(parser, key, null);
  const result = parser.execute(bytes);
  for (const [key, callback] of callbacks) Reflect.set(parser, key, callback);
  return result;
}

export function stopParsing(socket: Socket): void {
  const { parser } = inner(socket);
  if (parser?._consumed !== true) return;
  parser.unconsume?.();
  parser._consumed = false;
}

/** Ends a connection as node:http does when a request does not arrive in time (_http_server.js, onRequestTimeout). */
export function failRequestTimeout(socket: Socket): void {
  const onError = socket.listeners('error').find(({ name }) => name === 'socketOnError');
  // If Node no longer has such a listener, the self-test of moves has failed already.
  if (onError !== undefined)
    Reflect.apply(onError, socket, [
      Object.assign(new Error('Request timeout'), { code: 'ERR_HTTP_REQUEST_TIMEOUT' }),
    ]);
}

/** Names of the functions with which Node itself listens on a connection whose requests it reads. */
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

/** Removes the listener with which node:http reads requests, or learns of their end. False where there is none. */
export function removeRequestReader(socket: Socket, event: 'data' | 'end'): boolean {
  const [reader] = socket.listeners(event).filter(({ name }) => name === requestReaders[event]);
  if (reader === undefined) return false;
  socket.removeListener(event, reader as () => void);
  return true;
}

const requestReaders = { data: 'bound socketOnData', end: 'bound socketOnEnd' } as const;

/** The listener with which node:http takes its server's connections. */
export function isNodesHttpListener(listener: { readonly name: string }): boolean {
  return listener.name === 'connectionListener';
}

/** The stream below a session: Node writes as much as it can at once, and queues the rest (stream_base.cc). */
interface StreamHandle {
  readonly fd?: number;
  readonly bytesWritten?: number;
  readonly writeQueueSize?: number;
}

/**
 * Writes a frame of ours to the connection of an HTTP/2 session, past Node, straight to the kernel. Node writes whole
 * frames, all it has at once: if nothing is left to be written, a frame has just ended. False where nothing was
 * written: behind TLS, before the session's own first frame, or while a client does not read.
 */
export function writeBetweenFrames(session: Http2Session, frame: Buffer): boolean {
  if (session.destroyed || session.encrypted === true) return false;
  const handle = inner(session.socket as Socket)._handle as (RawHandle & StreamHandle) | null | undefined;
  if (!handle || !sendable.has(handle.constructor.name)) return false;
  const { fd = -1, bytesWritten = 0, writeQueueSize } = handle;
  if (fd < 0 || bytesWritten === 0 || writeQueueSize !== 0) return false;
  try {
    // Half a frame makes the session unusable.
    if (writeSync(fd, frame) < frame.length) session.destroy();
    return true;
  } catch {
    return false;
  }
}
