import type { Duplex } from 'node:stream';
import { underSymbol } from '../node-internals.js';
import { followFrames } from './frames.js';

/** A connection that asks to become a WebSocket. */
export interface WebSocketEnd {
  /**
   * Tells the client that this server goes away (1001), so that it reconnects, to another worker: at once, or as soon
   * as a frame has ended. False where it cannot be done yet: the upgrade is not answered.
   */
  goAway(): boolean;
}

/** "Going away" (RFC 6455, section 7.4.1), and an unmasked Close frame that says so (section 5.5.1). */
const goingAwayStatus = 1001;
const goingAway = Buffer.from([0x88, 0x02, 0x03, 0xe9]);

/** As far as we know it, a WebSocket of the ws package, which Socket.IO and most frameworks use. */
interface LibrarySocket {
  readonly readyState: number;
  close(status: number): void;
}
const libraryOpen = 1;

const followed = new WeakMap<Duplex, WebSocketEnd>();

/**
 * Follows what the app writes to a connection from its answer to the upgrade on. Where the library of the app is ws, it
 * is asked to close, as it then knows that the client's Close frame is an answer and sends none of its own. Elsewhere, as
 * behind a proxy, a Close frame of ours goes between two frames of the app, and what the app writes behind it is dropped: it
 * is the last frame of a side (section 5.5.1), and browsers take a second one for an error.
 */
export function followWebSocket(socket: Duplex): WebSocketEnd {
  // An app may have several servers of its own hear of an upgrade.
  const end = followed.get(socket) ?? follow(socket);
  followed.set(socket, end);
  return end;
}

function follow(socket: Duplex): WebSocketEnd {
  const frames = followFrames();
  const { write, end } = socket;
  let asked = false;
  let told = false;
  let isOfLibrary = false;
  /** ws is there from the answer to the upgrade on. */
  let looks = 4;

  const pass = (chunk: unknown, ...rest: unknown[]): boolean =>
    Reflect.apply(write, socket, [chunk, ...rest]);
  const tell = (): void => {
    told = true;
    pass(goingAway);
    setOwn(socket, 'end', (...given: unknown[]) => Reflect.apply(end, socket, given.filter(isCallback)));
  };
  const drop = (rest: readonly unknown[]): boolean => {
    const done = rest.find(isCallback);
    if (done !== undefined) process.nextTick(done);
    return true;
  };
  /** The frame that was under way ends in this chunk: ours stands behind it. */
  const tellWithin = (bytes: Buffer, boundary: number, rest: readonly unknown[]): boolean => {
    pass(bytes.subarray(0, boundary));
    tell();
    return drop(rest);
  };
  const writeFollowed = (chunk: unknown, ...rest: unknown[]): boolean => {
    if (told) return drop(rest);
    if (looks-- > 0 && libraryOf(socket) !== null) {
      isOfLibrary = true;
      // Whoever has put a function around this one keeps it.
      if (socket.write === writeFollowed) giveBack();
    }
    if (isOfLibrary) return pass(chunk, ...rest);
    const bytes = bytesOf(chunk, rest[0]);
    const boundary = bytes === null ? null : frames.follow(bytes);
    if (bytes === null || boundary === null || !asked) return pass(chunk, ...rest);
    return tellWithin(bytes, boundary, rest);
  };
  const giveBack = Object.hasOwn(socket, 'write')
    ? () => setOwn(socket, 'write', write)
    : () => void Reflect.deleteProperty(socket, 'write');
  setOwn(socket, 'write', writeFollowed);

  return {
    goAway: () => {
      if (asked || !socket.writable) return true;
      const library = libraryOf(socket);
      if (library !== null) {
        if (library.readyState === libraryOpen) library.close(goingAwayStatus);
        return true;
      }
      if (isOfLibrary) return true;
      if (!frames.isOpen()) return false;
      asked = true;
      if (frames.isBetween()) tell();
      return true;
    },
  };
}

/** ws notes its WebSocket on the connection, under a symbol of its own. */
function libraryOf(socket: Duplex): LibrarySocket | null {
  const library = underSymbol(socket, 'websocket');
  return isLibrarySocket(library) ? library : null;
}

function isLibrarySocket(value: unknown): value is LibrarySocket {
  if (typeof value !== 'object' || value === null) return false;
  const { readyState, close } = value as Partial<LibrarySocket>;
  return typeof readyState === 'number' && typeof close === 'function';
}

function setOwn(socket: Duplex, name: 'write' | 'end', value: unknown): void {
  Object.defineProperty(socket, name, { configurable: true, writable: true, value });
}

function isCallback(argument: unknown): argument is () => void {
  return typeof argument === 'function';
}

function bytesOf(chunk: unknown, encoding: unknown): Buffer | null {
  if (typeof chunk === 'string') {
    return Buffer.from(chunk, typeof encoding === 'string' ? (encoding as BufferEncoding) : 'utf8');
  }
  if (!ArrayBuffer.isView(chunk)) return null;
  return Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
}
