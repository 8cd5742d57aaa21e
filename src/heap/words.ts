/** Sizes, shares and places, and what is said of a heap. */
import type { Holder } from './summary.js';

const integers = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const tenths = new Intl.NumberFormat('en', { maximumFractionDigits: 1 });

/** `37 %`; @param share 0 to 1 */
export function percent(share: number): string {
  const value = share * 100;
  return `${value > 0 && value < 1 ? '<1' : integers.format(value)} %`;
}

const byteUnits = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];

/** `512 MiB`, `1.2 GiB`. */
export function bytes(value: number): string {
  let unit = 0;
  let rest = value;
  while (Math.abs(rest) >= 1024 && unit < byteUnits.length - 1) {
    rest /= 1024;
    unit++;
  }
  return `${unit === 0 || Math.abs(rest) >= 100 ? integers.format(rest) : tenths.format(rest)} ${byteUnits[unit]}`;
}

/** Where code stands. */
export interface Place {
  /** Without a name: `an unnamed function`. */
  readonly name: string;
  /** Last part of the path, with its line: `server.js:12`; empty where there is none. */
  readonly short: string;
  /** The whole: `/srv/shop/server.js:12:5`. */
  readonly full: string;
}

/** Reads `spin (/srv/shop/server.js:12:5)` or `/srv/shop/server.js:12:5`, as stacks have it. */
export function placeOf(frame: string): Place {
  const text = frame.trim().replace(/^at /, '');
  const [, name, inner] = /^(.*?) \((.*)\)$/.exec(text) ?? [null, '', text];
  const full = (inner ?? '').replace(/^file:\/\//, '');
  const [, path = full, line] = /^(.*?):(\d+)(?::\d+)?$/.exec(full) ?? [];
  const base = path.split('/').at(-1) ?? '';
  return {
    name: name === '' || name === '<anonymous>' || name === undefined ? 'an unnamed function' : name,
    short: line === undefined ? base : `${base}:${line}`,
    full,
  };
}

/** `spin at server.js:12`. */
export function inWords(frame: string): string {
  const { name, short } = placeOf(frame);
  return short === '' ? name : `${name} at ${short}`;
}

/** `visitors (Array) keeps 100 MiB, 92 % of the heap; used by rememberVisit at leaks.mjs:6` */
export function holderInWords({ name, kind, keptBytes, share, at }: Holder): string {
  const what = name === '' ? `an object ${kind}` : `${name} (${kind})`;
  return `${what} keeps ${bytes(keptBytes)}, ${percent(share)} of the heap${at === null ? '' : `; used by ${inWords(at)}`}`;
}
