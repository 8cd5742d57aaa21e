import { statSync } from 'node:fs';

/** How far local time is ahead of UTC at a moment, ms. */
export type Offset = (atMs: number) => number;

/** Since when a zone has an offset, by time; both ms. */
export type ZoneTable = readonly (readonly [sinceMs: number, offsetMs: number])[];

/**
 * By this process. A zone by name takes Intl.DateTimeFormat, which costs a process that has not used it yet 2 MB of its own
 * and 6 MB of ICU's data; the zone of the process and UTC take nothing.
 *
 * @throws RangeError for a name that this Node does not know
 */
export function offsetsIn(timezone: string | null): Offset {
  if (timezone === null) return (atMs) => -new Date(atMs).getTimezoneOffset() * 60 * second;
  if (timezone === 'UTC') return () => 0;
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone: timezone,
    hourCycle: 'h23',
    ...{ year: 'numeric', month: 'numeric', day: 'numeric' },
    ...{ hour: 'numeric', minute: 'numeric', second: 'numeric' },
  });
  return (atMs) => {
    const parts = format.formatToParts(atMs);
    const of = (type: string): number => Number(parts.find((part) => part.type === type)?.value);
    const local = Date.UTC(
      ...([of('year'), of('month') - 1, of('day'), of('hour'), of('minute'), of('second')] as const),
    );
    return local - Math.floor(atMs / second) * second;
  };
}

/** The offsets of ten years before a moment and thirty after it. @throws RangeError as offsetsIn does */
export function tableOf(timezone: string, aroundMs: number): ZoneTable {
  const offset = offsetsIn(timezone);
  const from = Math.floor((aroundMs - 10 * year) / second) * second;
  const table: [number, number][] = [[from, offset(from)]];
  let known = offset(from);
  for (let before = from; before < aroundMs + 30 * year; before += probe) {
    const then = offset(before + probe);
    if (then === known) continue;
    const was = known;
    known = then;
    table.push([firstMoment(before, before + probe, (atMs) => offset(atMs) !== was), then]);
  }
  return table;
}

/** Outside of its years a table goes on with its first and its last offset. */
export function offsetsOf(table: ZoneTable): Offset {
  return (atMs) => {
    let [low, high] = [0, table.length];
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if ((table[middle]?.[0] ?? 0) <= atMs) low = middle;
      else high = middle;
    }
    return table[low]?.[1] ?? 0;
  };
}

/** By halves, to the second: the first moment after `before`, at `after` at the latest, at which it is so. */
export function firstMoment(before: number, after: number, isSo: (atMs: number) => boolean): number {
  let [low, high] = [Math.floor(before / second), Math.floor(after / second)];
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (isSo(middle * second)) high = middle;
    else low = middle;
  }
  return high * second;
}

/** Whether the name is one of the IANA's database. The system's copy of it is asked first, which spares us Intl. */
export function isTimezone(name: string, hasFile: (name: string) => boolean = inZoneinfo): boolean {
  if (name === 'UTC' || (inArea.test(name) && hasFile(name))) return true;
  try {
    new Intl.DateTimeFormat('en-US', { timeZone: name });
    return true;
  } catch {
    return false;
  }
}

const second = 1_000;
const day = 86_400 * second;
const year = 365.25 * day;
/** No zone sets its clocks twice within this time: in Morocco the Ramadan has hours of its own, for a month. */
const probe = 14 * day;

/** What else is in that directory (`posixrules`, `right/...`) is no name for Intl. */
const inArea =
  /^(Africa|America|Antarctica|Arctic|Asia|Atlantic|Australia|Europe|Indian|Pacific)(\/[A-Za-z][\w+-]*){1,2}$/;

function inZoneinfo(name: string): boolean {
  try {
    return statSync(`/usr/share/zoneinfo/${name}`).isFile();
  } catch {
    return false;
  }
}
