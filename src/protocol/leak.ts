import type { Millis } from './limits.js';

/** What a worker tells after a full collection of its heap. */
export interface Collection {
  /** ms of monotonic() */
  readonly atMs: Millis;
  /** What was left of the heap, and what its objects hold outside of it: ArrayBuffers. */
  readonly bytes: number;
  /** Answers since the worker's start, by kind of request: `GET /reports/:id`. */
  readonly counts: Readonly<Record<string, number>>;
}

/** A kind of request of which memory stays behind. */
export interface Leak {
  /** `GET /reports/:id` */
  readonly kind: string;
  /** What stays after each request. */
  readonly bytesPerRequest: number;
  /** The 95 % interval of that. */
  readonly lowBytes: number;
  readonly highBytes: number;
  /** Of the growth of all workers that were looked at, 0 to 1. */
  readonly share: number;
  /** It is no memory of the heap, nor held by objects in it: native code's. */
  readonly isOutside?: boolean;
}

/**
 * `GET /reports/:id keeps 3.1 MiB per request (2.8 to 3.4): 92 % of the growth of the heaps`; with
 * `outside of the heap` where it is native code's.
 */
export function leakInWords({ kind, bytesPerRequest, lowBytes, highBytes, share, isOutside }: Leak): string {
  const [size, unit] = highBytes >= mebibyte / 10 ? [mebibyte, 'MiB'] : [kibibyte, 'KiB'];
  const sized = (bytes: number): string => {
    const value = bytes / size;
    return value >= 100 ? String(Math.round(value)) : String(Number(value.toPrecision(2)));
  };
  const interval = `${sized(lowBytes)} to ${sized(highBytes)}`;
  const [where, growth] = isOutside === true ? [' outside of the heap', 'outside of'] : ['', 'of'];
  const of = `${Math.round(share * 100)} % of the growth ${growth} the heaps`;
  return `${kind} keeps ${sized(bytesPerRequest)} ${unit}${where} per request (${interval}): ${of}`;
}

const kibibyte = 1024;
const mebibyte = 2 ** 20;
