/** Sockets (net.js), their handles and their timers. */
import { type Server, type Socket, Socket as TcpSocket } from 'node:net';
import type { RawHandle } from '../../protocol/handles.js';
import { type InnerHandle, inner, sendable, symbolOf } from './fields.js';
import { stopParsing } from './http.js';
import type { ClientHandle } from './listening.js';

/** The server that reads a connection's requests. */
export function serverOf(socket: Socket): Server | undefined {
  return inner(socket).server;
}

/** The server whose listener has accepted a connection. */
export function acceptorOf(socket: Socket): Server | undefined {
  return inner(socket)._server;
}

export function hasSendableHandle(socket: Socket): boolean {
  return sendable.has(inner(socket)._handle?.constructor.name);
}

/** Whether the kernel has completed a connection of ours, which the event loop may not know yet. */
export function hasConnected(socket: Socket): boolean {
  const handle = inner(socket)._handle as ClientHandle | null | undefined;
  return handle?.getpeername?.({}) === 0;
}

/** Takes the handle from its socket, which then reads nothing any more. Null where the connection is closed. */
export function takeHandle(socket: Socket): RawHandle | null {
  const { _handle: handle = null } = inner(socket);
  if (handle === null) return null;
  keepByteCounts(socket, handle);
  handle.readStop();
  stopParsing(socket);
  // Reset Node's marks for a handle that is being read: the connection may come back.
  Object.assign(handle, { _consumed: false, reading: false });
  inner(socket)._handle = null;
  return handle;
}

/** Code that asks at 'close' how many bytes there were gets the same answer as after any other end. */
function keepByteCounts(socket: Socket, { bytesRead, bytesWritten }: InnerHandle): void {
  for (const [name, count] of Object.entries({ kBytesRead: bytesRead, kBytesWritten: bytesWritten })) {
    const key = symbolOf(socket, name);
    if (key !== undefined && count !== undefined) Reflect.set(socket, key, count);
  }
}

/**
 * Has Node read from a server's connection before it closes it for its silence. After a stall of the event loop timers run
 * before anything is read: a kept connection whose time has passed meanwhile would be closed although its next request
 * waits in the kernel, which then resets the client. With this the end of its time counts a poll later, and only if nothing
 * was read or written until then (net.js and internal/stream_base_commons.js: a timer calls `_onTimeout`).
 *
 * Returns the undo function; null where this version of Node has no such method.
 */
export function readBeforeTimeouts(prototype: object = TcpSocket.prototype): (() => void) | null {
  const original: unknown = Reflect.get(prototype, '_onTimeout');
  if (typeof original !== 'function') return null;
  const late = function (this: Socket): void {
    const end = (): void => void Reflect.apply(original, this, []);
    if (serverOf(this) === undefined) return end();
    const { bytesRead, bytesWritten } = this;
    // Immediates run after the next poll, and so after what it has read.
    setImmediate(() => {
      if (this.destroyed || this.bytesRead !== bytesRead || this.bytesWritten !== bytesWritten) return;
      end();
    });
  };
  Reflect.set(prototype, '_onTimeout', late);
  return () => void Reflect.set(prototype, '_onTimeout', original);
}

/** How long a socket may stay silent, ms; null: for ever. Undefined where this version of Node does not say. */
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

/** When a timer was last started, ms of the event loop's clock (internal/timers.js). */
function startOf(timer: object): number | null {
  const start: unknown = Reflect.get(timer, '_idleStart');
  return typeof start === 'number' ? start : null;
}

/** The event loop's clock, ms: Node shows it in a timer that starts now. */
function loopTime(): number | null {
  const timer = setTimeout(() => {}, 1);
  clearTimeout(timer);
  return startOf(timer);
}

/** What a library of the app has stored on an object under a symbol of its own; undefined where it has not. */
export function underSymbol(owner: object, name: string): unknown {
  const key = symbolOf(owner, name);
  return key === undefined ? undefined : Reflect.get(owner, key);
}
