import type { Duplex } from 'node:stream';
import { underSymbol } from '../node-internals/sockets.js';

/** A connection that was asked to become a WebSocket. */
export interface WebSocketEnd {
  /**
   * Tells the client that this server goes away (1001), so that it reconnects to another worker: at once, or as soon
   * as a frame has ended. False where that is not possible yet, because the upgrade is not answered.
   */
  goAway(): boolean;
}

/** "Going away" (RFC 6455, section 7.4.1), and an unmasked Close frame with that status (section 5.5.1). */
const goingAwayStatus = 1001;
const goingAway = Buffer.from([0x88, 0x02, 0x03, 0xe9]);

/** The part that we use of a WebSocket of the ws package, on which Socket.IO and most frameworks build. */
interface LibrarySocket {
  readonly readyState: number;
  close(status: number): void;
}
const libraryOpen = 1;

const followed = new WeakMap<Duplex, WebSocketEnd>();

/**
 * Follows what the app writes to a connection, starting with its answer to the upgrade. If the app uses ws, we ask ws
 * to close: it then knows that the client's Close frame is an answer, and sends none of its own. Otherwise, as behind
 * a proxy, we write a Close frame of our own between two frames of the app and drop what the app writes after it: a
 * Close frame is the last frame of a side (section 5.5.1), and browsers treat a second one as an error.
 */
export function followWebSocket(socket: Duplex): WebSocketEnd {
  // Several servers of one app may get the same upgrade.
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
  /** ws puts its WebSocket there as it answers the upgrade. */
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
  /** The frame under way ends in this chunk; our Close frame follows it. */
  const tellWithin = (bytes: Buffer, boundary: number, rest: readonly unknown[]): boolean => {
    pass(bytes.subarray(0, boundary));
    tell();
    return drop(rest);
  };
  const writeFollowed = (chunk: unknown, ...rest: unknown[]): boolean => {
    if (told) return drop(rest);
    if (looks-- > 0 && libraryOf(socket) !== null) {
      isOfLibrary = true;
      // If somebody has wrapped our function, it stays.
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

/** ws puts its WebSocket on the connection, under a symbol of its own. */
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

/** What a server sends on a connection that may be upgraded to a WebSocket: only lengths, no content is kept. */
export interface Frames {
  /**
   * Follows bytes as they are sent. Returns how many of them come before the next place between two frames; null: no
   * such place.
   */
  follow(bytes: Uint8Array): number | null;
  /** Whether the upgrade is answered with 101, and the last byte sent was the end of that answer or of a frame. */
  isBetween(): boolean;
  /** Whether the upgrade is answered with 101, and this side has sent no Close frame. */
  isOpen(): boolean;
}

/** `other`: not an answer to an upgrade, or nothing that we can follow. */
type Place = 'answer' | 'between' | 'head' | 'payload' | 'closed' | 'other';

const accepted = 'HTTP/1.1 101';
const endOfAnswer = '\r\n\r\n';
/** Longest answer whose end we look for, bytes. */
const longestAnswer = 65_536;
const closeOpcode = 8;

/** Starts before the answer to the upgrade (RFC 6455, sections 4.2.2 and 5.2). */
export function followFrames(): Frames {
  let place: Place = 'answer';
  let answer = '';
  let head: number[] = [];
  let left = 0;

  const isOpen = (): boolean => place === 'between' || place === 'head' || place === 'payload';
  const endFrame = (): void => {
    place = ((head[0] ?? 0) & 0x0f) === closeOpcode ? 'closed' : 'between';
    head = [];
  };
  /** @returns how many bytes belong to the answer */
  const readAnswer = (bytes: Uint8Array): number => {
    const before = answer.length;
    answer += Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
    const end = answer.indexOf(endOfAnswer);
    if (!answer.startsWith(accepted.slice(0, answer.length))) place = 'other';
    else if (end >= 0) place = 'between';
    else if (answer.length > longestAnswer) place = 'other';
    if (place === 'answer') return bytes.length;
    answer = '';
    return place === 'between' ? end + endOfAnswer.length - before : bytes.length;
  };
  const readHead = (byte: number): void => {
    place = 'head';
    head.push(byte);
    const length = payloadLength(head);
    if (length === null) return;
    left = length;
    if (left === 0) endFrame();
    else place = 'payload';
  };
  /** One step. @returns how many bytes it took */
  const read = (bytes: Uint8Array): number => {
    if (place === 'answer') return readAnswer(bytes);
    if (!isOpen()) return bytes.length;
    if (place !== 'payload') {
      readHead(bytes[0] ?? 0);
      return 1;
    }
    const took = Math.min(left, bytes.length);
    left -= took;
    if (left === 0) endFrame();
    return took;
  };
  return {
    follow: (bytes) => {
      let first: number | null = null;
      for (let at = 0; at < bytes.length; ) {
        at += read(bytes.subarray(at));
        if (place === 'between') first ??= at;
      }
      return first;
    },
    isBetween: () => place === 'between',
    isOpen,
  };
}

/**
 * Payload length of the frame that begins with these bytes, its mask included; null: the rest of its head is still to
 * come.
 */
function payloadLength(head: readonly number[]): number | null {
  const [, second = 0] = head;
  const short = second & 0x7f;
  const extended = short === 126 ? 2 : short === 127 ? 8 : 0;
  const mask = second & 0x80 ? 4 : 0;
  if (head.length < 2 + extended + mask) return null;
  return extended === 0 ? short : head.slice(2, 2 + extended).reduce((sum, byte) => sum * 256 + byte, 0);
}
