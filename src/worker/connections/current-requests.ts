import type { IncomingHttpHeaders } from 'node:http2';
import {
  longestPath,
  notedRequests,
  type RequestNote,
  routeOf,
  withoutQuery,
} from '../../protocol/requests.js';
import { type Exchange, pathOf } from './connections.js';

/** A request in flight with when it began, ms of performance.now(). */
export interface StreamNote {
  readonly method: string;
  readonly path: string;
  readonly begun: number;
}

export function asNote({ response: { req }, begun }: Exchange): StreamNote {
  return { method: req.method ?? '', path: pathOf(req), begun };
}

/** Of a stream of HTTP/2. */
export function noteOf(headers: IncomingHttpHeaders): StreamNote {
  const { ':method': method = '', ':path': path = '' } = headers;
  return { method, path: withoutQuery(path), begun: performance.now() };
}

/** How much of a path leaves the worker. */
export type TellPath = (path: string) => string;

/** Its route: a path may hold what is secret. */
export const redacted: TellPath = routeOf;
export const whole: TellPath = (path) => path.slice(0, longestPath);

interface Telling {
  readonly tellPath?: TellPath;
  readonly now?: number;
}

/** The oldest hang, the newest may be what kills: of many requests in flight some of either are told. */
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
    age: Math.round(now - begun),
  }));
}
