import { type Server as HttpServer, maxHeaderSize } from 'node:http';
import { Socket, type SocketConstructorOpts } from 'node:net';
import { detach } from '../connections/connection-handle.js';
import type { ClientHandle } from '../node-internals/listening.js';
import type { Placed } from './hand-on.js';

/** Reads the first bytes of connections, until it is known which worker they are for. */
export interface HeadReader {
  read(server: HttpServer, client: ClientHandle): void;
  /** Places all connections that are being read now. */
  stop(): void;
}

/** The longest head that is read, bytes: Node's own limit, but at most so much for each connection. */
const longestHead = Math.min(maxHeaderSize, 65_536);
/** How long the rest of a head may take once its first bytes are here, ms ... */
const restLimit = 2_000;
/** ... and how long a client may send nothing if its server has no limit: browsers connect in advance. */
const silenceLimit = 60_000;
const mostChunks = 64;
/** At most so many connections are read at a time, and at most this share of the file descriptors. */
const mostAtOnce = 1_000;
const mostOfDescriptors = 1 / 4;
/** ms; Node's timers go no further */
const longestTimer = 2 ** 31 - 1;

/**
 * Judges nothing: whatever was read goes on with the connection, so that the server's own parser says what is wrong
 * with it, and when.
 *
 * @param place gets what was read, which may include a cookie
 * @param most connections at a time; beyond that the oldest is placed as it is
 */
export function createHeadReader(
  place: (server: HttpServer, placed: Placed) => void,
  most: number = mostAtOnce,
): HeadReader {
  /** Functions that place a connection, oldest first. */
  const reading = new Set<() => void>();
  return {
    read: (server, client) => {
      // The server handles the end of the client's side itself.
      const options = { handle: client, allowHalfOpen: true, readable: true, writable: true };
      const socket = new Socket(options as SocketConstructorOpts);
      const began = performance.now();
      const limit = headLimitOf(server);
      const scan = createHeadScan();
      let chunks: Buffer[] = [];
      let bytes = 0;
      const stop = (): void => {
        clearTimeout(timer);
        reading.delete(finish);
      };
      const finish = (): void => {
        stop();
        socket.off('data', onData).off('end', finish).off('close', stop);
        const handle = detach(socket);
        if (handle === null) return;
        const left = Math.max(1, limit - (performance.now() - began));
        const silence = scan.result() === 'complete' || limit > longestTimer ? null : left;
        place(server, { handle, head: Buffer.concat(chunks), silence });
      };
      const onData = (chunk: Buffer): void => {
        chunks.push(chunk);
        bytes += chunk.length;
        if (scan.add(chunk) !== 'unfinished' || bytes >= longestHead) return finish();
        // A client that sends byte by byte must not cost an object for each byte.
        if (chunks.length >= mostChunks) chunks = [Buffer.concat(chunks)];
        if (bytes > chunk.length) return;
        clearTimeout(timer);
        timer = setTimeout(finish, Math.min(restLimit, limit));
      };
      let timer = setTimeout(finish, Math.min(silenceLimit, limit, orNever(server.timeout)));
      socket.on('data', onData).on('end', finish).on('close', stop).on('error', ignore);
      reading.add(finish);
      if (reading.size > most) reading.values().next().value?.();
    },
    stop: () => {
      for (const finish of [...reading]) finish();
    },
  };
}

/** @param descriptors that this process may have; null: unknown */
export function mostHeads(descriptors: number | null): number {
  return Math.min(mostAtOnce, Math.ceil((descriptors ?? Number.POSITIVE_INFINITY) * mostOfDescriptors));
}

/** How long a server waits for a head, ms. */
function headLimitOf({ headersTimeout, requestTimeout }: HttpServer): number {
  return orNever(headersTimeout > 0 ? headersTimeout : requestTimeout);
}

/** 0 means no limit. */
function orNever(limit: number): number {
  return limit > 0 ? limit : Number.POSITIVE_INFINITY;
}

/** 'close' follows the error. */
function ignore(): void {}

/** `none`: the bytes are not the head of a request, or the head is malformed. */
type Scanned = 'unfinished' | 'complete' | 'none';

interface HeadScan {
  add(chunk: Buffer): Scanned;
  result(): Scanned;
}

const [lineFeed, carriageReturn] = [10, 13];
/**
 * RFC 9112, sections 3 and 5, roughly: a request line, and a field. Blank lines before the request line are ignored.
 */
const requestLine = /^[A-Z-]+ [^\0- \x7f]+ HTTP\/\d\.\d$/;
const fieldLine = /^[!#$%&'*+\-.^_`|~\dA-Za-z]+:[^\0\r]*$/;

/** Whether bytes may be the head of a request. Takes them as they arrive, and looks at each line once. */
export function createHeadScan(): HeadScan {
  let result: Scanned = 'unfinished';
  let line: Buffer = Buffer.alloc(0);
  let lines = 0;

  const endLine = (bytes: Buffer): Scanned => {
    if (bytes.at(-2) !== carriageReturn) return 'none';
    const text = bytes.toString('latin1', 0, bytes.length - 2);
    if (text === '') return lines === 0 ? 'unfinished' : 'complete';
    lines++;
    return (lines === 1 ? requestLine : fieldLine).test(text) ? 'unfinished' : 'none';
  };
  return {
    add: (chunk) => {
      if (result !== 'unfinished') return result;
      let from = 0;
      for (let end = chunk.indexOf(lineFeed); end !== -1; end = chunk.indexOf(lineFeed, from)) {
        const bytes = chunk.subarray(from, end + 1);
        result = endLine(line.length === 0 ? bytes : Buffer.concat([line, bytes]));
        if (result !== 'unfinished') return result;
        line = Buffer.alloc(0);
        from = end + 1;
      }
      line = line.length === 0 ? chunk.subarray(from) : Buffer.concat([line, chunk.subarray(from)]);
      if (lines === 0 && line.length > 0 && !begins(line)) result = 'none';
      return result;
    },
    result: () => result,
  };
}

/**
 * Whether a line begins like a method, which has no lower-case letters, or may still become a blank line. TLS does
 * neither.
 */
function begins(line: Buffer): boolean {
  return /^(?:\r|[A-Z-]+(?:$| ))/.test(line.toString('latin1', 0, 32));
}
