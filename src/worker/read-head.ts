import { type Server as HttpServer, maxHeaderSize } from 'node:http';
import { type Server, Socket, type SocketConstructorOpts } from 'node:net';
import { detach } from './connection-handle.js';
import type { Placed } from './hand-on.js';
import type { ClientHandle } from './node-internals.js';
import { createHeadScan } from './scan-head.js';

/** Reads the first bytes of connections, until somebody can decide about them. */
export interface HeadReader {
  read(server: Server, client: ClientHandle): void;
  /** All that are being read are placed now. */
  stop(): void;
}

/** The longest head that is read, bytes: Node's own limit, but no more than this for each connection. */
const longestHead = Math.min(maxHeaderSize, 65_536);
/** How long the rest of a head may take once it has begun, ms ... */
const restLimit = 2_000;
/** ... and how long a client may say nothing where its server has no limit for that: browsers connect beforehand. */
const silenceLimit = 60_000;
/** So many are read at a time: beyond that the oldest is placed as it is. */
const mostAtOnce = 1_000;

/**
 * It judges nothing: whatever has come is handed on with the connection, so that the server's own parser says what is
 * wrong with it, and when.
 *
 * @param place what was read, of which a cookie may be part
 */
export function createHeadReader(
  place: (server: Server, placed: Placed) => void,
  most = mostAtOnce,
): HeadReader {
  /** What places a connection, oldest first. */
  const reading = new Set<() => void>();
  return {
    read: (server, client) => {
      // The server sees the end of the client's side itself.
      const options = { handle: client, allowHalfOpen: true, readable: true, writable: true };
      const socket = new Socket(options as SocketConstructorOpts);
      const began = performance.now();
      const limit = limitOf(server);
      const scan = createHeadScan();
      const chunks: Buffer[] = [];
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
        const silence = scan.result() === 'complete' || limit === Number.POSITIVE_INFINITY ? null : left;
        place(server, { handle, head: Buffer.concat(chunks), silence });
      };
      const onData = (chunk: Buffer): void => {
        chunks.push(chunk);
        bytes += chunk.length;
        if (scan.add(chunk) !== 'unfinished' || bytes >= longestHead) return finish();
        if (chunks.length > 1) return;
        clearTimeout(timer);
        timer = setTimeout(finish, Math.min(restLimit, limit));
      };
      let timer = setTimeout(finish, Math.min(silenceLimit, limit));
      socket.on('data', onData).on('end', finish).on('close', stop).on('error', ignore);
      reading.add(finish);
      if (reading.size > most) reading.values().next().value?.();
    },
    stop: () => {
      for (const finish of [...reading]) finish();
    },
  };
}

/** How long a server waits for a head, ms. */
function limitOf(server: Server): number {
  const { headersTimeout, requestTimeout, timeout } = server as HttpServer;
  const limits = [headersTimeout > 0 ? headersTimeout : requestTimeout, timeout];
  return Math.min(...limits.map((limit) => (limit > 0 ? limit : Number.POSITIVE_INFINITY)));
}

/** 'close' follows. */
function ignore(): void {}
