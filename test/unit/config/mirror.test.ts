import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Flags, problemsOf } from '../../support/config-problems.js';

const on: Flags = { reloadMirror: 'safe' };

test('a mirror is right with nothing else, and with routes in and out', async () => {
  assert.deepEqual(await problemsOf(on), []);
  assert.deepEqual(await problemsOf({ ...on, reloadMirrorRoutes: '/shop/* !/shop/export' }), []);
});

for (const [what, flags, field, expected] of [
  [
    'with dispatch reuseport',
    { ...on, dispatch: 'reuseport' },
    'reload.mirror',
    /^off with dispatch reuseport/,
  ],
  [
    'where it cannot get as many requests in its time',
    { ...on, reloadMirrorRate: '10', reloadMirrorTime: '12s', reloadMirrorRequests: '101' },
    'reload.mirror_requests',
    /^at most 100: reload\.mirror_rate \(10 a second\)/,
  ],
  [
    'with a route that is both in and out',
    { ...on, reloadMirrorRoutes: '/shop !/shop' },
    'reload.mirror_routes',
    /^"\/shop" either with "!" or without, not both/,
  ],
] as const)
  test(`a mirror is wrong ${what}`, async () => {
    const problems = await problemsOf(flags);
    const [found = assert.fail('nothing is wrong')] = problems.filter((each) => each.field === field);
    assert.match(found.expected, expected);
  });

test('as many requests as the time allows are right', async () => {
  const flags = { ...on, reloadMirrorRate: '10', reloadMirrorTime: '12s', reloadMirrorRequests: '100' };
  assert.deepEqual(await problemsOf(flags), []);
});

for (const [key, value] of Object.entries({
  reloadMirrorRate: '10',
  reloadMirrorTime: '12s',
  reloadMirrorCredentials: 'on',
}))
  test(`${key} is wrong without a mirror`, async () => {
    const [found, ...others] = await problemsOf({ [key]: value });
    assert.match(found?.expected ?? '', /^reload\.mirror = "safe" beside it/);
    assert.deepEqual(others, []);
  });
