import assert from 'node:assert/strict';
import { test } from 'node:test';
import { byTurns, type Metered } from './by-turns.js';

/** Ends at its `turns`th turn, after ten requests. */
function fakeLoad({ name, turns, log }: { name: string; turns: number; log: string[] }): Metered {
  let done = () => {};
  const ended = new Promise<void>((resolve) => {
    done = resolve;
  });
  let left = turns;
  const kill = (signal?: NodeJS.Signals | number): boolean => {
    log.push(`${name} ${signal === 'SIGCONT' ? 'runs' : 'stops'}`);
    if (signal === 'SIGCONT') left--;
    if (left === 0) done();
    return true;
  };
  const result = ended.then(() => ({ requests: 10, failed: 0, requestsPerSecond: 1 }));
  return {
    load: { process: { kill }, result },
    meter: () => log.filter((entry) => entry === `${name} runs`).length,
  };
}

test('of two loads one runs at a time, and the longer one alone in the end', async () => {
  const log: string[] = [];
  const loads = new Map([
    ['a', fakeLoad({ name: 'a', turns: 2, log })],
    ['b', fakeLoad({ name: 'b', turns: 3, log })],
  ]);
  const results = await byTurns(loads, { slice: 5, pause: 1 });
  assert.deepEqual(log.slice(0, 2), ['a stops', 'b stops']);
  const turns = log.slice(2).filter((entry) => entry.endsWith('runs'));
  assert.deepEqual(turns, ['a runs', 'b runs', 'a runs', 'b runs', 'b runs']);
  assert.deepEqual(log.slice(2, 6), ['a runs', 'a stops', 'b runs', 'b stops']);
  assert.deepEqual(
    [...results].map(([name, { requests, spent }]) => [name, requests, spent]),
    [
      ['a', 10, 2],
      ['b', 10, 3],
    ],
  );
});

test('a rate is by the time in which a load ran, not by what it says itself', async () => {
  const loads = new Map([['a', fakeLoad({ name: 'a', turns: 3, log: [] })]]);
  const rate = (await byTurns(loads, { slice: 20, pause: 1 })).get('a')?.requestsPerSecond ?? 0;
  assert.ok(rate > 10 && rate < 260, `${rate} requests/s of 10 in some 40 ms`);
});

test('a load that fails does not leave the other one stopped', async () => {
  const log: string[] = [];
  const result = Promise.reject(new Error('ab: refused'));
  const failing: Metered = { load: { process: { kill: () => true }, result }, meter: () => 0 };
  const loads = new Map([
    ['a', failing],
    ['b', fakeLoad({ name: 'b', turns: 2, log })],
  ]);
  await assert.rejects(byTurns(loads, { slice: 5, pause: 1 }), /ab: refused/);
  assert.equal(log.filter((entry) => entry === 'b runs').length, 2);
});
