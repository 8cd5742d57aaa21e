import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { rawLine } from '../../../src/logging/raw-line.js';

const line = {
  bindings: { role: 'master' },
  level: 'fatal',
  message: 'it hung',
  fields: { limit: 30_000 },
  env: {},
} as const;
const at = '2026-11-24T09:15:30.123Z';

describe('a line that somebody else writes', () => {
  test('is one of JSON, as the log would write it', () => {
    const { before, after, time } = rawLine({ ...line, config: { format: 'json' } });
    assert.equal(time, 'iso');
    assert.ok(after.endsWith('\n'));
    assert.deepEqual(JSON.parse(`${before}${at}${after}`), {
      level: 'fatal',
      time: at,
      pid: process.pid,
      role: 'master',
      limit: 30_000,
      msg: 'it hung',
    });
  });

  test('is one of the journal, without a time', () => {
    const { before, after, time } = rawLine({ ...line, config: { format: 'journal' } });
    assert.deepEqual(
      [time, before, after],
      ['none', `<2>it hung limit=30000 role=master pid=${process.pid}\n`, ''],
    );
  });

  test('is one for people', () => {
    const { before, after, time } = rawLine({ ...line, config: { format: 'pretty' } });
    assert.deepEqual(
      [time, `${before}09:15:30.123${after}`],
      ['clock', `09:15:30.123 FATAL master ${process.pid} it hung limit=30000\n`],
    );
  });
});
