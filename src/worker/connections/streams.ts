import type { IncomingHttpHeaders, OutgoingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import { constants } from 'node:http2';
import { noteOf, type StreamNote } from './current-requests.js';

/** The streams of HTTP/2: each is a request. */
export interface Streams {
  begun(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void;
  /** Since the start of the process. */
  requests(): number;
  /** Under way, oldest first. */
  current(): readonly StreamNote[];
}

/** @param onAnswered the whole of an answer has gone out, or it has failed: its status and how long it took, ms */
export function trackStreams(onAnswered: (status: number, took: number) => void): Streams {
  const underWay = new Map<object, StreamNote>();
  let requests = 0;
  return {
    begun: (stream, headers) => {
      const note = noteOf(headers);
      requests++;
      underWay.set(stream, note);
      stream.once('close', () => {
        underWay.delete(stream);
        const status = statusOf(stream);
        if (status !== null) onAnswered(status, performance.now() - note.begun);
      });
    },
    requests: () => requests,
    current: () => [...underWay.values()],
  };
}

/** With what a stream was answered; null where it was cut off or given up. */
function statusOf({ rstCode, sentHeaders, sentTrailers }: ServerHttp2Stream): number | null {
  if (rstCode === constants.NGHTTP2_INTERNAL_ERROR) return 500;
  const status = sentHeaders?.[':status'];
  if (rstCode !== constants.NGHTTP2_NO_ERROR || typeof status !== 'number') return null;
  return hasFailedCall(sentTrailers) || hasFailedCall(sentHeaders) ? 500 : status;
}

/**
 * Those of gRPC that are the server's fault (google/rpc/code.proto names the 5xx of each): a call that fails is a 200
 * with one of them behind it. UNKNOWN, DEADLINE_EXCEEDED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE, DATA_LOSS.
 */
const failedCalls: ReadonlySet<string> = new Set(['2', '4', '12', '13', '14', '15']);

function hasFailedCall(headers: OutgoingHttpHeaders | undefined): boolean {
  return failedCalls.has(String(headers?.['grpc-status']));
}
