import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { calendarOf, faultIn, shortestInterval } from '../../../src/jobs/due.js';
import { isTimezone } from '../../../src/jobs/zones.js';

const at = (text: string): number => Date.parse(text);
const minute = 60_000;

/** All due times from the first moment to before the second. */
function dues({
  schedule,
  timezone,
  from,
  to,
}: {
  schedule: string;
  timezone: string;
  from: string;
  to: string;
}) {
  const calendar = calendarOf({ schedule, timezone });
  const found: number[] = [];
  for (let due = calendar.next(at(from) - 1); due !== null && due < at(to); due = calendar.next(due))
    found.push(due);
  return found;
}

function local(timezone: string): (ms: number) => string {
  const format = new Intl.DateTimeFormat('sv-SE', {
    ...{ timeZone: timezone, year: 'numeric', month: '2-digit', day: '2-digit' },
    ...{ hour: '2-digit', minute: '2-digit' },
  });
  return (ms) => format.format(ms);
}

/** The local times of a year, by looking at every quarter of an hour that there is. */
function quartersOf(timezone: string, [from, to]: readonly [string, string]): readonly string[] {
  const show = local(timezone);
  const all = new Set<string>();
  for (let ms = at(from); ms < at(to); ms += 15 * minute) all.add(show(ms));
  return [...all];
}

/** The days around each time that clocks were set: Brazil had its last in 2018/19, Lord Howe goes by 30 minutes. */
const changes = [
  ['Europe/Berlin', '2026-03-28T23:00:00Z', '2026-03-29T22:00:00Z'],
  ['Europe/Berlin', '2026-10-24T22:00:00Z', '2026-10-25T23:00:00Z'],
  ['America/Sao_Paulo', '2018-11-03T03:00:00Z', '2018-11-05T02:00:00Z'],
  ['America/Sao_Paulo', '2019-02-16T02:00:00Z', '2019-02-18T03:00:00Z'],
  ['Australia/Lord_Howe', '2026-04-04T13:00:00Z', '2026-04-05T13:30:00Z'],
  ['Australia/Lord_Howe', '2026-10-03T13:30:00Z', '2026-10-04T13:00:00Z'],
  ['America/New_York', '2026-11-01T04:00:00Z', '2026-11-02T05:00:00Z'],
  ['Asia/Kathmandu', '2026-05-04T18:15:00Z', '2026-05-05T18:15:00Z'],
] as const;

describe('around a day on which the clocks are set', () => {
  for (const [timezone, from, to] of changes) {
    const show = local(timezone);
    const quarters = quartersOf(timezone, [from, to]);

    test(`every quarter of an hour of ${timezone} from ${from} that exists is due once`, () => {
      const found = dues({ schedule: '*/15 * * * *', timezone, from, to }).map(show);
      assert.deepEqual(found, quarters);
    });

    test(`each day of ${timezone} from ${from} has one run, at its time or at the first moment after a gap`, () => {
      const days = [...new Set(quarters.map((quarter) => quarter.slice(0, 10)))];
      for (const time of ['00:00', '02:15', '02:30', '03:00'] as const) {
        const [hour, minutes] = time.split(':');
        const schedule = `${minutes} ${hour} * * *`;
        const found = dues({ schedule, timezone, from, to }).map(show);
        assert.deepEqual(
          found.map((each) => each.slice(0, 10)),
          days,
          schedule,
        );
        for (const each of found) {
          const wanted = `${each.slice(0, 10)} ${time}`;
          const first = quarters.find((quarter) => quarter >= wanted);
          assert.equal(each, first);
        }
      }
    });

    test(`looking back finds the same due times in ${timezone} from ${from}`, () => {
      const schedule = '7,37 * * * *';
      const { previous } = calendarOf({ schedule, timezone });
      const forward = dues({ schedule, timezone, from, to });
      const back: number[] = [];
      const first = forward[0] ?? 0;
      for (let due = previous(forward.at(-1) ?? 0); due !== null && due >= first; due = previous(due - 1))
        back.push(due);
      assert.deepEqual(back.reverse(), forward);
    });
  }
});

describe('over a year with clocks that are set forward and back', () => {
  const years = {
    'Europe/Berlin': ['2025-12-31T23:00:00Z', '2026-12-31T23:00:00Z'],
    'America/Sao_Paulo': ['2018-03-01T03:00:00Z', '2019-03-01T03:00:00Z'],
    'Australia/Lord_Howe': ['2025-12-31T13:00:00Z', '2026-12-31T13:00:00Z'],
  } as const;
  for (const [timezone, [from, to]] of Object.entries(years)) {
    test(`each day of ${timezone} has its run once, at 00:30 but where the day does not have it`, () => {
      const found = dues({ schedule: '30 0 * * *', timezone, from, to }).map(local(timezone));
      assert.equal(new Set(found.map((each) => each.slice(0, 10))).size, 365);
      assert.equal(found.length, 365);
      const others = found.filter((each) => !each.endsWith(' 00:30'));
      assert.deepEqual(others, timezone === 'America/Sao_Paulo' ? ['2018-11-04 01:00'] : []);
    });
  }
});

describe('a schedule', () => {
  const next = (schedule: string, from: string, timezone = 'UTC'): string | null => {
    const due = calendarOf({ schedule, timezone }).next(at(from));
    return due === null ? null : new Date(due).toISOString();
  };

  test('has 5 fields, or 6 with seconds, or a nickname', () => {
    assert.equal(next('30 4 1 * *', '2026-05-05T00:00:00Z'), '2026-06-01T04:30:00.000Z');
    assert.equal(next('*/20 * * * * *', '2026-05-05T00:00:01Z'), '2026-05-05T00:00:20.000Z');
    assert.equal(next('@daily', '2026-05-05T12:00:00Z', 'America/Sao_Paulo'), '2026-05-06T03:00:00.000Z');
    assert.equal(next('0 12 * * MON-FRI', '2026-05-08T12:00:00Z'), '2026-05-11T12:00:00.000Z');
  });

  test('is due later than the moment that is given, however near that is', () => {
    assert.equal(next('0 * * * *', '2026-05-05T11:59:59.999Z'), '2026-05-05T12:00:00.000Z');
    assert.equal(next('0 * * * *', '2026-05-05T12:00:00.000Z'), '2026-05-05T13:00:00.000Z');
    assert.equal(next('0 * * * *', '2026-05-05T12:00:00.001Z'), '2026-05-05T13:00:00.000Z');
  });

  test('looks back up to and including a moment', () => {
    const { previous } = calendarOf({ schedule: '0 * * * *', timezone: 'UTC' });
    assert.equal(previous(at('2026-05-05T12:00:00Z')), at('2026-05-05T12:00:00Z'));
    assert.equal(previous(at('2026-05-05T12:00:00Z') - 1), at('2026-05-05T11:00:00Z'));
  });

  test('may be years away', () => {
    assert.equal(next('0 0 29 2 *', '2026-05-05T00:00:00Z'), '2028-02-29T00:00:00.000Z');
  });

  test('that is wrong is named', () => {
    assert.equal(faultIn('0 2 * * *'), null);
    assert.equal(faultIn('@hourly'), null);
    assert.match(faultIn('61 * * * *') ?? '', /minute/);
    assert.match(faultIn('* * *') ?? '', /it has 3 fields/);
    assert.match(faultIn('@reboot') ?? '', /it is none of @yearly/);
    assert.match(faultIn('0 3 31 2 *') ?? '', /no day ever fits it/);
    assert.equal(isTimezone('America/Sao_Paulo'), true);
    assert.equal(isTimezone('Brazil/Nowhere'), false);
  });

  test('has a shortest time between two runs', () => {
    const calendar = calendarOf({ schedule: '0,10 * * * *', timezone: 'UTC' });
    assert.equal(shortestInterval(calendar, 0), 10 * minute);
  });
});
