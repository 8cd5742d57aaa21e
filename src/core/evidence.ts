import type { Millis } from './model.js';

/**
 * How a worker does. `fit`: it answers in time; `slow`: its event loop is late, or a beat is overdue; `sick`: over a
 * limit, and to be replaced while it still serves; `lost`: silent for longer than the hang limit.
 */
export type Health = 'fit' | 'slow' | 'sick' | 'lost';

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

/** What could be found out about a worker that does not answer. */
export interface Capture {
  /**
   * `running`: JavaScript runs; `stopped`: by a signal (SIGSTOP); `blocked`: in a call of the system; `starved`: it would
   * run but gets no CPU; `idle`: its event loop waits for something to do; `unknown`: it could not be found out.
   */
  readonly state: 'running' | 'stopped' | 'blocked' | 'starved' | 'idle' | 'unknown';
  /** The JavaScript stack, innermost first, as in an Error's `stack` without its first line; null: none to be had. */
  readonly stack: string | null;
  /** `checkout (/srv/app/server.js:12:5)`: the innermost frame that is not Node's own; null: none. */
  readonly at: string | null;
  /** In flight at that moment; null: it could not be asked. */
  readonly requests: readonly RequestNote[] | null;
  /** More, in words: the child process that it waits for. */
  readonly detail: string | null;
}

/** A worker's death that nobody asked for. */
export interface DeathRecord {
  readonly at: Millis;
  /** Number of the slot; 0: a spare. */
  readonly worker: number;
  readonly pid: number | null;
  readonly generation: number;
  readonly kind: 'boot' | 'crash' | 'hang';
  readonly cause: string;
  readonly code: number | null;
  readonly signal: string | null;
  /** s since the fork */
  readonly uptime: number;
  /** Requests in flight at its death. */
  readonly lost: number;
  /** Those that are known, as of its last word. */
  readonly requests: readonly RequestNote[];
  /** Processes that the kernel killed for memory in the cgroup meanwhile. */
  readonly oomKills: number;
  readonly stack: string | null;
}

/** A request by what is alike in all of its kind: `GET /orders/:id`. */
export interface Fingerprint {
  readonly method: string;
  readonly route: string;
}

/** A kind of request that was in flight when workers died. */
export interface PoisonRecord extends Fingerprint {
  /** When, within the window. */
  readonly deaths: readonly Millis[];
  /** Until when it is answered with 503; null: it is not. */
  readonly blockedUntil: Millis | null;
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
