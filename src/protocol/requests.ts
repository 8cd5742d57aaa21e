import type { Millis } from './limits.js';

/** A request in flight, as far as it may be told: without its query, its headers and its body. */
export interface RequestNote {
  readonly method: string;
  /** At most 200 characters: its route, or with `redact = "off"` all of it. See routeOf. */
  readonly path: string;
  /** Since its first line was read. */
  readonly age: Millis;
}

/** How many requests in flight a worker names at most: so many of the oldest, and as many of the newest. */
export const notedRequests = 10;
/** ... and how much of a path. */
export const longestPath = 200;

/** A request by what is alike in all of its kind: `GET /orders/:id`. */
export interface Fingerprint {
  readonly method: string;
  readonly route: string;
}

/** A kind of request that is not to reach the app for so long. */
export interface Blocked extends Fingerprint {
  readonly for: Millis;
}

/**
 * The path with what differs from request to request, and what may be secret, taken out: a segment that does not read as
 * words (a number, a UUID, a token, an address, anything escaped) becomes `:id`, and what is behind `longestPath` is cut
 * off. The route of a route is the same.
 */
export function routeOf(path: string): string {
  return withoutQuery(path)
    .split('/')
    .map((segment) => (segment === placeholder || isReadable(segment) ? segment : placeholder))
    .join('/')
    .slice(0, longestPath);
}

export function withoutQuery(url: string): string {
  const end = url.search(/[?#]/);
  return end === -1 ? url : url.slice(0, end);
}

const placeholder = ':id';
/** Characters of a segment, and of its letters in a row, beyond which it is rather a token. */
const longestSegment = 60;
const longestWord = 20;
/** Letters from one capital, or several in a row, to the next: `getUserById` has 2.8, random letters have about 2. */
const shortestHump = 2.5;

/** Words of letters between `-`, `_`, `.`, `~` and `*`; a word may have a few digits at its end, as `v2` and `oauth2`. */
function isReadable(segment: string): boolean {
  if (segment.length > longestSegment || !/^[\w.~*-]*$/.test(segment)) return false;
  return segment.split(/[-_.~*]+/).every(isWord);
}

function isWord(word: string): boolean {
  if (word === '') return true;
  const [, letters = ''] = /^([a-z]+)\d{0,2}$/i.exec(word) ?? [];
  if (letters === '' || letters.length > longestWord) return false;
  const humps = 1 + (letters.slice(1).match(/[A-Z]+/g)?.length ?? 0);
  return humps === 1 || letters.length / humps >= shortestHump;
}

export function fingerprintOf({ method, path }: Pick<RequestNote, 'method' | 'path'>): Fingerprint {
  return { method, route: routeOf(path) };
}
