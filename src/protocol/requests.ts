import type { Millis } from './limits.js';

/** A request in flight, as far as it may be told: without its query, its headers and its body. */
export interface RequestNote {
  readonly method: string;
  /** At most 200 characters: its route, or with `redact = "off"` all of it. See routeOf. */
  readonly path: string;
  /** Since its first line was read. */
  readonly ageMs: Millis;
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
  const end = endOfPath(path);
  let route = '';
  let taken = 0;
  let start = 0;
  // Character by character: metrics classify requests, for which regular expressions would take ten times as long.
  for (let index = 0; index <= end; index++) {
    if (index < end && path.charCodeAt(index) !== slash) continue;
    if (!isReadable(path, start, index) && !isPlaceholder(path, start, index)) {
      route += path.slice(taken, start) + placeholder;
      taken = index;
    }
    start = index + 1;
  }
  return (taken === 0 ? path.slice(0, end) : route + path.slice(taken, end)).slice(0, longestPath);
}

export function withoutQuery(url: string): string {
  return url.slice(0, endOfPath(url));
}

function endOfPath(url: string): number {
  const query = url.indexOf('?');
  const fragment = url.indexOf('#');
  if (fragment === -1) return query === -1 ? url.length : query;
  return query === -1 ? fragment : Math.min(query, fragment);
}

const placeholder = ':id';
const slash = 0x2f;
/** Characters of a segment, and of its letters in a row, beyond which it is rather a token. */
const longestSegment = 60;
const longestWord = 20;
/** Digits at the end of a word. */
const mostDigits = 2;
/** Letters from one capital, or several in a row, to the next: `getUserById` has 2.8, random letters have about 2. */
const shortestHump = 2.5;

function isPlaceholder(path: string, start: number, end: number): boolean {
  return end - start === placeholder.length && path.startsWith(placeholder, start);
}

/** Words of letters between `-`, `_`, `.`, `~` and `*`; a word may have a few digits at its end, as `v2` and `oauth2`. */
function isReadable(path: string, start: number, end: number): boolean {
  if (end - start > longestSegment) return false;
  let letters = 0;
  let digits = 0;
  let humps = 1;
  let wasCapital = false;
  for (let index = start; index < end; index++) {
    const code = path.charCodeAt(index);
    const isCapital = code >= 0x41 && code <= 0x5a;
    if (isCapital || (code >= 0x61 && code <= 0x7a)) {
      if (digits > 0) return false;
      if (isCapital && letters > 0 && !wasCapital) humps++;
      wasCapital = isCapital && letters > 0;
      letters++;
    } else if (code >= 0x30 && code <= 0x39) {
      digits++;
      if (letters === 0 || digits > mostDigits) return false;
    } else if (isSeparator(code)) {
      if (!isWord(letters, humps)) return false;
      letters = 0;
      digits = 0;
      humps = 1;
    } else {
      return false;
    }
  }
  return isWord(letters, humps);
}

function isWord(letters: number, humps: number): boolean {
  return letters <= longestWord && (humps === 1 || letters / humps >= shortestHump);
}

/** `-`, `_`, `.`, `~` or `*`. */
function isSeparator(code: number): boolean {
  return code === 0x2d || code === 0x5f || code === 0x2e || code === 0x7e || code === 0x2a;
}

export function fingerprintOf({ method, path }: Pick<RequestNote, 'method' | 'path'>): Fingerprint {
  return { method, route: routeOf(path) };
}
