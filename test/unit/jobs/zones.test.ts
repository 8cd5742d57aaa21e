import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { askZones } from '../../../src/jobs/ask-zones.js';
import { isTimezone, offsetsIn, offsetsOf, tableOf } from '../../../src/jobs/zones.js';

const hour = 3_600_000;
const noon = Date.parse('2026-05-05T12:00:00Z');

describe('a table of offsets', () => {
  for (const timezone of ['Europe/Berlin', 'America/Sao_Paulo', 'Africa/Casablanca', 'Australia/Lord_Howe']) {
    test(`says for ${timezone} what Intl says, to the second at each change`, () => {
      const table = tableOf(timezone, noon);
      const [byTable, byIntl] = [offsetsOf(table), offsetsIn(timezone)];
      assert.ok(table.length > 1);
      for (const [since] of table.slice(1)) {
        for (const atMs of [since - 1_000, since, since + 40 * 24 * hour])
          assert.equal(byTable(atMs), byIntl(atMs), new Date(atMs).toISOString());
      }
    });
  }

  test('goes on with its first and its last offset', () => {
    const offset = offsetsOf([
      [1_000, hour],
      [2_000, 2 * hour],
    ]);
    assert.deepEqual([0, 1_000, 1_999, 2_000, 9_000].map(offset), [hour, hour, hour, 2 * hour, 2 * hour]);
  });
});

test('the name of a zone is looked up in the database of the system, and where it has none in that of Node', () => {
  const asked: string[] = [];
  const none = (name: string): boolean => {
    asked.push(name);
    return false;
  };
  assert.equal(isTimezone('Europe/Nowhere', none), false);
  assert.equal(isTimezone('Europe/Berlin', none), true);
  assert.equal(
    isTimezone('Europe/Nowhere', () => true),
    true,
  );
  assert.equal(
    isTimezone('right/Europe/Berlin', () => true),
    false,
  );
  assert.equal(
    isTimezone('Europe/../../../etc/passwd', () => true),
    false,
  );
  assert.deepEqual(asked, ['Europe/Nowhere', 'Europe/Berlin']);
});

test('a process tells the offsets, and of which zone there are none', { timeout: 120_000 }, async () => {
  const zones = await askZones(['America/Sao_Paulo', 'Europe/Nowhere']);
  assert.equal(zones.get('America/Sao_Paulo')?.(noon), -3 * hour);
  assert.equal(zones.get('Europe/Nowhere'), null);
});
