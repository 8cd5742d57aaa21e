import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cellSocketOf, cellSuffixLength } from '../../../src/protocol/cell.js';
import { type Flags, problemsOf } from '../../support/config-problems.js';

const on: Flags = { poisonCell: 'on', poisonBlock: '10m' };

test('a cell is right beside poison.block, with limits of its own', async () => {
  const limits = { poisonCellRequests: '2', poisonCellTimeout: '5s', poisonCellMemory: '256' };
  assert.deepEqual(await problemsOf({ ...on, ...limits }), []);
});

for (const [what, flags, field, expected] of [
  ['without poison.block', { poisonCell: 'on' }, 'poison.cell', /^poison.block beside it, such as "10m"/],
  ['where nothing is suspected', { ...on, poisonDeaths: '0' }, 'poison.cell', /^off with poison.deaths = 0/],
  [
    'of an app that is no server',
    { ...on, kind: 'process', app: '/srv/a.js' },
    'poison.block',
    /^nothing with kind/,
  ],
] as const)
  test(`a cell is wrong ${what}`, async () => {
    const problems = await problemsOf(flags);
    const [found = assert.fail('nothing is wrong')] = problems.filter((each) => each.field === field);
    assert.match(found.expected, expected);
  });

for (const [key, value] of Object.entries({ poisonCellRequests: '2', poisonCellTimeout: '5s' }))
  test(`${key} is wrong without a cell`, async () => {
    const [found, ...others] = await problemsOf({ [key]: value, poisonBlock: '10m' });
    assert.match(found?.expected ?? '', /^poison.cell = "on" beside it/);
    assert.deepEqual(others, []);
  });

test('the socket of the cell fits beside the control socket', async () => {
  const longest = `/${'a'.repeat(107 - cellSuffixLength - 1)}`;
  assert.deepEqual(await problemsOf({ ...on, controlSocket: longest }), []);
  const [found] = await problemsOf({ ...on, controlSocket: `${longest}a` });
  assert.equal(found?.field, 'control_socket');
  assert.deepEqual(await problemsOf({ controlSocket: `${longest}a` }), [], 'without a cell it fits');
  assert.ok(`${cellSocketOf(longest, 9_999_999, 2 ** 22)}.9`.length <= 107);
});
