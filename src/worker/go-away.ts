import type { Http2Session } from 'node:http2';
import { writeBetweenFrames } from './node-internals.js';

/** A GOAWAY frame (RFC 9113, section 6.8): no error, and every stream that the client can still open will be served. */
const openNoMore = Buffer.from([0, 0, 8, 7, 0, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0]);
/** How long a client may take to answer a ping, ms. */
const longestAnswer = 1_000;

/** Tells HTTP/2 clients to go, each once. */
export interface GoodBye {
  /** To be called again and again. @param streams how many are open */
  tell(session: Http2Session, streams: number): void;
}

/**
 * Ends HTTP/2 sessions without refusing a stream. RFC 9113 has it in two steps: the client is told to open no more, and
 * what it has sent before it read that is served; once it has answered a ping nothing is on its way any more, and it is
 * told which stream was the last.
 *
 * Node knows the second step alone: whatever comes after its GOAWAY is refused. Without TLS the first one is written past
 * it. Behind TLS that cannot be done, and the session is told while the client waits for an answer, when most clients
 * have nothing else on its way, or once nothing has come for the linger.
 */
export function createGoodBye({ linger }: { readonly linger: number }): GoodBye {
  const told = new WeakSet<Http2Session>();
  const since = new WeakMap<Http2Session, number>();
  const waited = (session: Http2Session): number => {
    const now = performance.now();
    const first = since.get(session) ?? now;
    since.set(session, first);
    return now - first;
  };
  const tellAtNextRequest = (session: Http2Session): void => {
    // What came together with it begins first.
    if (waited(session) === 0) session.once('stream', () => setImmediate(close, session));
  };
  return {
    tell: (session, streams) => {
      if (told.has(session)) return;
      if (session.encrypted === true) {
        tellAtNextRequest(session);
        if (streams === 0 && waited(session) < linger) return;
        close(session);
      } else if (writeBetweenFrames(session, openNoMore)) {
        closeAfterAnswer(session);
      } else {
        // It has more to write than the client reads, perhaps.
        if (waited(session) < longestAnswer) return;
        close(session);
      }
      told.add(session);
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
