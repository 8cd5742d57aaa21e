import type { Http2Session } from 'node:http2';
import type { Socket } from 'node:net';
import type { TrackedServer, Upgrade } from '../connections/follow-server.js';
import { writeBetweenFrames } from '../node-internals/http.js';
import type { DrainCall, DrainOptions } from './drain.js';

/** Tells clients of anything but plain HTTP/1 to go, once each. */
export interface Farewells {
  /** Called repeatedly: it tells what began during the drain, and the next ones in turn. */
  tell(entries: readonly Pick<TrackedServer, 'sessions' | 'upgraded'>[]): void;
}

/** How many WebSockets are told at once, and how many each second after that if time allows. */
const burst = 100;
const perSecond = 500;
/** The share of the drain in which all of them are told; in the rest they end. */
const share = 1 / 3;

export function createFarewells(
  { linger, closeWebSockets }: Pick<DrainOptions, 'linger' | 'closeWebSockets'>,
  { last, timeout }: Pick<DrainCall, 'last' | 'timeout'>,
  now: () => number = () => performance.now(),
): Farewells {
  const goodBye = createGoodBye({ linger });
  const began = now();
  const told = new WeakSet<object>();
  let count = 0;

  const sayGoodBye = (sockets: readonly (readonly [Socket, Upgrade])[]): void => {
    const total = count + sockets.length;
    // At the last drain no worker is left to which they could come back at once.
    const due = last ? total : farewellsDue({ total, elapsed: now() - began, limit: timeout * share });
    for (const [socket, { end }] of sockets) {
      if (count >= due) return;
      if (end?.goAway() !== true) continue;
      told.add(socket);
      count++;
    }
  };
  return {
    tell: (entries) => {
      for (const { sessions } of entries) {
        for (const session of sessions.keys()) goodBye.tell(session);
      }
      if (!closeWebSockets) return;
      sayGoodBye(
        entries.flatMap(({ upgraded }) =>
          [...upgraded].filter(([socket, { end }]) => end !== null && !told.has(socket)),
        ),
      );
    },
  };
}

/**
 * How many WebSockets should have been told by now. If all were told at once, they would all reconnect at once, to
 * few workers.
 *
 * @param options how many there are; how long the drain has lasted, and in which time all are told, ms
 */
export function farewellsDue({
  total,
  elapsed,
  limit,
}: {
  readonly total: number;
  readonly elapsed: number;
  readonly limit: number;
}): number {
  if (elapsed >= limit) return total;
  const rate = Math.max(perSecond / 1_000, total / limit);
  return Math.min(total, burst + Math.floor(elapsed * rate));
}

/** A GOAWAY frame (RFC 9113, section 6.8): no error, and every stream that the client can still open will be served. */
const openNoMore = Buffer.from([0, 0, 8, 7, 0, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0]);
/** How long a client may take to answer a ping, ms. */
const longestAnswer = 1_000;

/** Tells HTTP/2 clients to go, once each. */
interface GoodBye {
  /** Called repeatedly. */
  tell(session: Http2Session): void;
}

/**
 * Ends HTTP/2 sessions without refusing a stream. RFC 9113 does it in two steps. The server tells the client to open
 * no more streams, and serves those that the client sent before it read that. Once the client has answered a ping,
 * nothing is on its way any more, and the server tells it which stream was the last. Node only does the second step:
 * it refuses streams that come after its GOAWAY. Without TLS we write the first GOAWAY past Node; with TLS that is
 * not possible.
 *
 * The moment matters in both cases. A client that reads GOAWAY while a request waits in its own queue refuses that
 * request itself (nghttp2, and so Node and grpc-js, with REFUSED_STREAM). Its queue is empty when it has just sent a
 * request, and most clients then wait for the answer. So we tell it at that moment, or when nothing has come for the
 * linger.
 */
function createGoodBye({ linger }: { readonly linger: number }): GoodBye {
  const told = new WeakSet<Http2Session>();
  const since = new WeakMap<Http2Session, number>();

  const say = (session: Http2Session): void => {
    if (told.has(session)) return;
    if (session.encrypted === true) close(session);
    else if (writeBetweenFrames(session, openNoMore)) closeAfterAnswer(session);
    else return;
    told.add(session);
  };
  const sayAtRequests = (session: Http2Session): void => {
    session.on('stream', () => {
      if (told.has(session)) return;
      if (session.encrypted !== true) say(session);
      // Streams that came together with it begin before the session ends, and Node's first frame goes before ours.
      if (!told.has(session)) setImmediate(say, session);
    });
  };
  return {
    tell: (session) => {
      if (told.has(session)) return;
      const first = since.get(session);
      const now = performance.now();
      since.set(session, first ?? now);
      if (first === undefined) return sayAtRequests(session);
      if (now - first < linger) return;
      say(session);
      // The client may not have read everything that the session has to write.
      if (now - first >= linger + longestAnswer) close(session);
    },
  };
}

function closeAfterAnswer(session: Http2Session): void {
  setTimeout(close, longestAnswer, session).unref();
  if (isOpen(session)) session.ping(() => close(session));
}

function close(session: Http2Session): void {
  if (isOpen(session)) session.close();
}

function isOpen({ closed, destroyed }: Http2Session): boolean {
  return !closed && !destroyed;
}
