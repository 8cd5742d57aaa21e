import type { ReloadRecord } from '../protocol/reload-record.js';
import type { Colour } from './terminal.js';

/** `1.2 s`, `3 min 5 s`, `2 h 5 min`, `4 d 2 h`. */
export function span(ms: number): string {
  if (ms < 60_000) return `${Math.round(ms / 100) / 10} s`;
  const seconds = Math.floor(ms / 1000);
  const minutes = Math.floor(seconds / 60);
  const hours = Math.floor(minutes / 60);
  const days = Math.floor(hours / 24);
  if (minutes < 60) return pair(minutes, 'min', seconds % 60, 's');
  if (hours < 48) return pair(hours, 'h', minutes % 60, 'min');
  return pair(days, 'd', hours % 24, 'h');
}

/** Wall clock, ms since 1970, in the time zone of who reads it: `2026-11-23 12:00:03`. */
export function moment(ms: number): string {
  const at = new Date(ms);
  const date = [at.getFullYear(), two(at.getMonth() + 1), two(at.getDate())].join('-');
  return `${date} ${timeOfDay(ms)}`;
}

/** `12:00:03` */
export function timeOfDay(ms: number): string {
  const at = new Date(ms);
  return [at.getHours(), at.getMinutes(), at.getSeconds()].map(two).join(':');
}

/** Bytes as `61 MiB`. */
export function mebibytes(bytes: number): string {
  return `${Math.round(bytes / 2 ** 20)} MiB`;
}

export function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}

/** What came of a reload, in a word or two. */
export function verdictOf({ verdict }: ReloadRecord): { readonly text: string; readonly colour: Colour } {
  switch (verdict) {
    case 'done':
      return { text: 'done', colour: 'green' };
    case 'rolled-back':
      return { text: 'rolled back', colour: 'red' };
    case 'superseded':
      return { text: 'superseded', colour: 'red' };
    case 'stopped':
      return { text: 'stopped', colour: 'red' };
    case null:
      return { text: 'under way', colour: 'yellow' };
  }
}

function pair(large: number, largeUnit: string, small: number, smallUnit: string): string {
  return small === 0 ? `${large} ${largeUnit}` : `${large} ${largeUnit} ${small} ${smallUnit}`;
}

function two(number: number): string {
  return String(number).padStart(2, '0');
}
