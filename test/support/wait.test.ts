import assert from 'node:assert/strict';
import { test } from 'node:test';
import { waitFor } from './wait.js';

test('waitFor returns the first value that will do', async () => {
  let looks = 0;
  assert.equal(await waitFor('three looks', () => ++looks, { until: (n) => n === 3, interval: 1 }), 3);
});

test('waitFor asks again after a probe that threw', async () => {
  let looks = 0;
  const probe = () => {
    looks += 1;
    if (looks === 1) throw new Error('not yet');
    return 'there';
  };
  assert.equal(await waitFor('a second look', probe, { interval: 1 }), 'there');
});

test('waitFor names what it waited for and the value seen last', async () => {
  await assert.rejects(
    waitFor('the state active', () => 'failed', { timeout: 30, interval: 5, until: (s) => s === 'active' }),
    /the state active: not within 30 ms; seen last: 'failed'/,
  );
});

test('waitFor names the error seen last', async () => {
  const probe = () => Promise.reject(new TypeError('no such thing'));
  await assert.rejects(waitFor('a thing', probe, { timeout: 20, interval: 5 }), /TypeError: no such thing/);
});

test('waitFor does not outlast its deadline when the probe hangs', async () => {
  await assert.rejects(
    waitFor('a hung probe', () => new Promise(() => {}), { timeout: 50 }),
    /did not come back/,
  );
});
