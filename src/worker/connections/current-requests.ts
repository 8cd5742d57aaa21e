import type { IncomingHttpHeaders, OutgoingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import {
  longestPath,
  notedRequests,
  type RequestNote,
  routeOf,
  withoutQuery,
} from '../../protocol/requests.js';
import { type Exchange, pathOf } from './connections.js';

/** A request in flight, and when it began, ms of performance.now(). */
export interface StreamNote {
  readonly method: string;
  readonly path: string;
  readonly begun: number;
}

export function asNote({ response: { req }, begun }: Exchange): StreamNote {
  return { method: req.method ?? '', path: pathOf(req), begun };
}

/** The note of an HTTP/2 stream. */
export function noteOf(headers: IncomingHttpHeaders): StreamNote {
  const { ':method': method = '', ':path': path = '' } = headers;
  return { method, path: withoutQuery(path), begun: performance.now() };
}

/** How much of a path is told to the master. */
export type TellPath = (path: string) => string;

/** Only the route: a path may contain secrets. */
export const redacted: TellPath = routeOf;
export const whole: TellPath = (path) => path.slice(0, longestPath);

interface Telling {
  readonly tellPath?: TellPath;
  readonly now?: number;
}

/**
 * Of many requests in flight we tell some of the oldest, which may hang, and some of the newest, which may kill the
 * worker.
 */
export function newestAndOldest(
  notes: readonly StreamNote[],
  { tellPath = redacted, now = performance.now() }: Telling = {},
): readonly RequestNote[] {
  const sorted = notes.length > 1 ? notes.toSorted((a, b) => a.begun - b.begun) : notes;
  const most = 2 * notedRequests;
  const told =
    sorted.length <= most ? sorted : [...sorted.slice(0, notedRequests), ...sorted.slice(-notedRequests)];
  return told.map(({ method, path, begun }) => ({
    method,
    path: tellPath(path),
    ageMs: Math.round(now - begun),
  }));
}

/** HTTP/2 streams: each is a request. */
interface Streams {
  begun(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void;
  /** Since the start of the process. */
  requests(): number;
  /** In flight, oldest first. */
  current(): readonly StreamNote[];
  inFlight(): number;
}

/** @param onAnswered called when an answer was sent completely or failed: its status, and how long it took, ms */
export function trackStreams(onAnswered: (status: number, took: number, note: StreamNote) => void): Streams {
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
        if (status !== null) onAnswered(status, performance.now() - note.begun, note);
      });
    },
    requests: () => requests,
    current: () => [...underWay.values()],
    inFlight: () => underWay.size,
  };
}

/** Error codes of HTTP/2, RFC 9113 section 7. node:http2 has them too, but costs a worker 10 ms of its start, for apps without it. */
export const noError = 0;
const internalError = 2;

/** The status with which a stream was answered; null where it was cut off or cancelled. */
function statusOf({ rstCode, sentHeaders, sentTrailers }: ServerHttp2Stream): number | null {
  if (rstCode === internalError) return 500;
  const status = sentHeaders?.[':status'];
  if (rstCode !== noError || typeof status !== 'number') return null;
  return hasFailedCall(sentTrailers) || hasFailedCall(sentHeaders) ? 500 : status;
}

/**
 * The gRPC statuses that are the server's fault (google/rpc/code.proto maps them to 5xx). A failed call is an HTTP
 * 200 with one of them in its trailers. UNKNOWN, DEADLINE_EXCEEDED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE, DATA_LOSS.
 */
const failedCalls: ReadonlySet<string> = new Set(['2', '4', '12', '13', '14', '15']);

function hasFailedCall(headers: OutgoingHttpHeaders | undefined): boolean {
  return failedCalls.has(String(headers?.['grpc-status']));
}
