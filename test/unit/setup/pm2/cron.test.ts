import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { calendarOf } from '../../../../src/setup/pm2/cron.js';

describe('a pattern of cron as systemd writes it', () => {
  for (const [pattern, calendar] of [
    ['0 3 * * *', ['*-*-* 3:0:0']],
    ['*/15 * * * *', ['*-*-* *:0,15,30,45:0']],
    ['0 9-17/4 * * mon-fri', ['Mon,Tue,Wed,Thu,Fri *-*-* 9,13,17:0:0']],
    ['30 0 4 * * *', ['*-*-* 4:0:30']],
    ['0 0 1,15 * *', ['*-*-1,15 0:0:0']],
    ['0 0 1 * 0', ['*-*-1 0:0:0', 'Sun *-*-* 0:0:0']],
    ['0 0 * jan,Jul 7', ['Sun *-1,7-* 0:0:0']],
    ['5/20 * * * *', ['*-*-* *:5,25,45:0']],
    ['@daily', ['*-*-* 0:0:0']],
  ] as const)
    test(pattern, () => assert.deepEqual(calendarOf(pattern), calendar));

  for (const pattern of [
    '',
    '* * * *',
    '60 * * * *',
    '0 0 L * *',
    '0 0 * * 5#2',
    'x y z a b',
    '5-1 * * * *',
    '*/0 * * * *',
  ])
    test(`is not known of ${JSON.stringify(pattern)}`, () => assert.equal(calendarOf(pattern), null));
});
