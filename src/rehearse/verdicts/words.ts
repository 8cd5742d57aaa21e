import { isAbsolute, relative } from 'node:path';
import type { DeathSummary } from '../../protocol/stats.js';
import type { LoadReport, Sample } from '../load.js';
import type { Handler, HeldResult } from '../observations.js';
import type { Place } from '../reports.js';
import type { Finding } from '../verdict.js';

export type Found = Omit<Finding, 'act'>;
/** What came of one act. */
export interface Told {
  readonly summary: string;
  readonly findings: readonly Found[];
}
/** `server.js:40` */
export type Name = (place: Place) => string;

export function ofDeath({ cause, stack }: DeathSummary): Found {
  const place = /\(?((?:\/|file:).*?:\d+):\d+\)?/.exec(stack ?? '')?.[1] ?? null;
  return {
    kind: 'worker-died',
    text: `a worker died: ${cause}${place === null ? '' : ` (${place})`}`,
    at: place,
    advice: 'rom-agent serve shows the whole log',
  };
}

export function lostIn({ lost, failed, refused, examples }: LoadReport, when: string): readonly Found[] {
  const all = lost + failed + refused;
  if (all === 0) return [];
  const kinds = [
    ...(lost === 0 ? [] : [`${lost} without an answer`]),
    ...(failed === 0 ? [] : [`${failed} with a status from 500 on`]),
    ...(refused === 0 ? [] : [`${refused} refused`]),
  ];
  const example = examples[0] === undefined ? '' : `, such as ${examples[0]}`;
  return [
    {
      kind: 'requests-lost',
      text: `${count(all, 'request')} lost ${when}: ${kinds.join(', ')}${example}`,
      at: null,
      advice: 'the log of the app says more; --only plays this act alone',
    },
  ];
}

export function lostHeld({ sample, count: all, lost }: HeldResult, when: string): readonly Found[] {
  if (lost.length === 0) return [];
  return [
    {
      kind: 'requests-lost',
      text: `${lost.length} of ${count(all, 'request')} in flight at ${nameOf(sample)} lost ${when}: ${lost[0]}`,
      at: null,
      advice: 'the app must not destroy connections or end its process while a request is in flight',
    },
  ];
}

export function nameOf({ method, path }: Sample): string {
  return `${method} ${path}`;
}

export function inFunction(place: Place, name: Name): string {
  return place.function === null ? name(place) : `${place.function} (${name(place)})`;
}

/** `server.js:40` */
export function placeIn({ file, line }: Place, folder: string): string {
  const short = isAbsolute(file) ? relative(folder, file) : file;
  return `${short.startsWith('..') ? file : short}:${line}`;
}

export function count(number: number, noun: string): string {
  return `${thousands(number)} ${noun}${number === 1 ? '' : 's'}`;
}

export function thousands(number: number): string {
  return number.toLocaleString('en-US');
}

export function seconds(ms: number): string {
  return `${Math.round(ms / 100) / 10} s`;
}

export function megabytes(bytes: number): string {
  return `${Math.round(bytes / 100_000) / 10} MB`;
}

/** One for SIGTERM before one for SIGINT, and the app's own before a package's. */
export function handlerOf(handlers: readonly Handler[]): Handler | undefined {
  const rank = ({ signal, at }: Handler): number =>
    (signal === 'SIGTERM' ? 0 : 2) + (at?.file.includes('/node_modules/') === true ? 1 : 0);
  return [...handlers].sort((a, b) => rank(a) - rank(b))[0];
}
