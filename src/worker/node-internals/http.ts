/** HTTP/1 (_http_server.js, node_http_parser.cc) and HTTP/2 (internal/http2/core.js, node_http2.cc). */
import { writeSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import type { Http2Session } from 'node:http2';
import type { Server, Socket } from 'node:net';
import type { RawHandle } from '../../protocol/handles.js';
import { type InnerParser, inner, sendable, symbolOf } from './fields.js';

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

export function stopParsing(socket: Socket): void {
  const { parser } = inner(socket);
  if (parser?._consumed !== true) return;
  parser.unconsume?.();
  parser._consumed = false;
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
