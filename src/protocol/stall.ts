import type { Millis } from './limits.js';
import type { RequestNote } from './requests.js';

/** A worker's event loop was blocked for longer than `health.stall_report`, as the worker saw it. */
export interface Stall {
  readonly tookMs: Millis;
  /**
   * `code`: a function of the app, or what it called; `gc`: without the garbage collection it would not have been one;
   * `starved`: the process did not run, because it got no CPU or was stopped.
   */
  readonly cause: 'code' | 'gc' | 'starved';
  /** How much of it V8 collected garbage. */
  readonly gcMs: Millis;
  /** How much of it the process did not run. */
  readonly notRunMs: Millis;
  /** The function in which the time went; null: it has no name, or no function is to blame, or none was seen. */
  readonly function: string | null;
  /** Its file, or URL: where a source map leads to one, the source that it was compiled from; null: as above. */
  readonly file: string | null;
  /** From 1; null: as above. */
  readonly line: number | null;
  readonly column: number | null;
  /**
   * False where the time went into a call of native code that had returned before anybody could look: then it is this
   * function, or one that it had just called.
   */
  readonly exact: boolean;
  /** The share of the looks at this stall that found that function, 0 to 1. */
  readonly share: number;
  readonly looks: number;
  /** As in an Error's `stack` without its first line; null: none was seen. */
  readonly stack: string | null;
  /** Requests in flight meanwhile: one of them may be the cause, the others waited. */
  readonly requests: readonly RequestNote[];
  /** Stalls in the same function since the last report, which were only counted. */
  readonly more: number;
}

/** A stall and whose it was. */
export interface StallRecord extends Stall {
  /** Number of the slot; null: a spare. */
  readonly worker: number | null;
  readonly pid: number | null;
  readonly generation: number;
}

/** How many of the last stalls the master keeps. */
export const keptStalls = 10;

/** What happened to a worker: `stalled: event loop blocked for 812 ms in checkout (/srv/app/server.js:12:5)`. */
export function stallInWords(stall: Stall): string {
  const { cause, tookMs, gcMs, exact } = stall;
  if (cause === 'starved') return `did not run for ${ms(tookMs)}: the process got no CPU, or was stopped`;
  if (cause === 'gc')
    return `stalled: event loop blocked for ${ms(tookMs)}, ${ms(gcMs)} of it by garbage collection`;
  const place = placeOf(stall);
  const where = place === null ? '' : exact ? ` in ${place}` : ` in ${place}, or in what it had just called`;
  return `stalled: event loop blocked for ${ms(tookMs)}${where}`;
}

function ms(time: Millis): string {
  return `${Math.round(time)} ms`;
}

/** `checkout (/srv/app/server.js:12:5)`; null where nothing is known. */
export function placeOf({
  function: name,
  file,
  line,
  column,
}: Pick<Stall, 'function' | 'file' | 'line' | 'column'>): string | null {
  if (file === null) return name;
  const place = [file, line, column].filter((part) => part !== null).join(':');
  return name === null ? place : `${name} (${place})`;
}
