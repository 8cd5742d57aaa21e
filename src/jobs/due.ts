import { Cron } from 'croner';
import { firstMoment, type Offset, offsetsIn } from './zones.js';

/** When a job is due. Times are ms since 1970, whole seconds. */
export interface Calendar {
  /** The first due time later than this; null: there is none any more. */
  next(afterMs: number): number | null;
  /** The last due time up to and including this; null: there was none. */
  previous(untilMs: number): number | null;
}

/** What of a job its due times follow from. */
export interface Schedule {
  readonly schedule: string;
  /** A name of the IANA's database; null: the zone of this process. */
  readonly timezone: string | null;
}

/** The nicknames that croner knows and a crontab has, but for @reboot. */
const nicknames = ['@yearly', '@annually', '@monthly', '@weekly', '@daily', '@midnight', '@hourly'];

/**
 * croner finds the local times, as if there were no zones; which moment a local time is follows from the offsets. croner
 * itself would ask Intl for each.
 *
 * Clocks that are set forward or back (daylight saving time):
 *
 * - A local time that comes twice is due once, when it comes first. OCPS 1.4 (the Open Cron Pattern Specification), section
 *   4.3.1, recommends this; croner alone would let patterns with wildcards run in both hours.
 * - A local time that the day does not have: a pattern without wildcards and steps in its seconds, minutes and hours is due
 *   at the first moment after the gap, once. Others leave it out. This is croner's documented rule with
 *   `fixedTimeRule: 'no-wildcard'`.
 *
 * @throws Error in words, for a pattern or a time zone that is wrong
 */
export function calendarOf(given: Schedule, offset: Offset = offsetsIn(given.timezone)): Calendar {
  const cron = cronOf(given.schedule);
  const isFixed = isFixedTime(given.schedule);
  /** null: the day does not have it, and it is left out. */
  const moment = (local: number): number | null => {
    const [before, after] = [offset(local - day), offset(local + day)];
    if (offset(local - before) === before) return local - before;
    if (offset(local - after) === after) return local - after;
    if (!isFixed) return null;
    return firstMoment(local - after, local - before, (atMs) => offset(atMs) !== before);
  };
  const next = (afterMs: number): number | null => {
    for (let local = afterMs + offset(afterMs); ; ) {
      const found = cron.nextRun(new Date(local))?.getTime() ?? null;
      if (found === null) return null;
      const due = moment(found);
      if (due !== null && due > afterMs) return due;
      local = found;
    }
  };
  const previous = (untilMs: number): number | null => {
    // Where clocks were set back in the day before, later local times have been there. croner looks before its reference.
    const latest = untilMs + Math.max(offset(untilMs), offset(untilMs - day));
    for (let local = (Math.floor(latest / second) + 1) * second; ; ) {
      const found = cron.previousRuns(1, new Date(local))[0]?.getTime() ?? null;
      if (found === null) return null;
      const due = moment(found);
      if (due !== null && due <= untilMs) return due;
      local = found;
    }
  };
  return { next, previous };
}

/** What is wrong with a pattern, in words; null: nothing. */
export function faultIn(schedule: string): string | null {
  const fields = schedule.trim().split(/\s+/);
  if (schedule.trim().startsWith('@')) {
    return nicknames.includes(schedule.trim().toLowerCase()) ? null : `it is none of ${nicknames.join(', ')}`;
  }
  if (fields.length !== 5 && fields.length !== 6)
    return `it has ${fields.length === 1 ? '1 field' : `${fields.length} fields`}`;
  try {
    return cronOf(schedule).nextRun(new Date(0)) === null ? 'no day ever fits it' : null;
  } catch (error) {
    return String((error as Error).message).replace(/^CronPattern: /, '');
  }
}

/** The shortest time between two of the next runs, ms; null: there are no two. */
export function shortestInterval(calendar: Calendar, fromMs: number): number | null {
  let [shortest, before] = [null as number | null, calendar.next(fromMs)];
  for (let looked = 0; looked < 10 && before !== null; looked += 1) {
    const due = calendar.next(before);
    if (due !== null) shortest = Math.min(shortest ?? due - before, due - before);
    before = due;
  }
  return shortest;
}

const second = 1_000;
const day = 86_400 * second;

function cronOf(schedule: string): Cron {
  return new Cron(schedule.trim(), { paused: true, utcOffset: 0 });
}

function isFixedTime(schedule: string): boolean {
  const fields = schedule.trim().split(/\s+/);
  if (fields.length === 1) return fields[0]?.toLowerCase() !== '@hourly';
  return !fields.slice(0, -3).some((field) => /[*?/]/.test(field));
}
