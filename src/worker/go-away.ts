import { constants, type Http2Session } from 'node:http2';

/** As a last stream: every one that the client can still open. */
const anyStream = 2 ** 31 - 1;
/** How long a client may take to answer the ping, ms: one that hangs is not waited for. */
const longestAnswer = 1_000;

/**
 * Ends an HTTP/2 session without refusing a stream (RFC 9113, section 6.8): the client is told to open no more; what it
 * has sent before it read that is served; once it has answered a ping nothing of the kind can be on its way, and the
 * session closes as soon as its streams are done.
 */
export function goAway(session: Http2Session): void {
  if (session.closed || session.destroyed) return;
  const close = (): void => {
    clearTimeout(timer);
    if (!session.closed && !session.destroyed) session.close();
  };
  const timer = setTimeout(close, longestAnswer).unref();
  try {
    session.goaway(constants.NGHTTP2_NO_ERROR, anyStream);
    // Its answer may overtake requests that the client has begun to send: one turn more.
    session.ping(() => session.destroyed || session.ping(close) || close());
  } catch {
    // It has ended meanwhile.
    close();
  }
}
