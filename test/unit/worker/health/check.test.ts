import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createChecks } from '../../../../src/worker/health/check.js';

function checks(answers: readonly (string | null)[], took = 0) {
  const asked: { path: string; timeout: number; at: number }[] = [];
  const timers: { at: number; act: () => void }[] = [];
  const world = { now: 0, serving: true };
  const made = createChecks({
    path: '/healthz',
    interval: 10_000,
    timeout: 5_000,
    ask: async (question) => {
      asked.push({ ...question, at: world.now });
      world.now += took;
      return { failure: answers[asked.length - 1] ?? null, tookMs: took };
    },
    isServing: () => world.serving,
    after: (ms, act) => timers.push({ at: world.now + ms, act }),
    now: () => world.now,
  });
  const turn = async (): Promise<void> => {
    const next = timers.shift();
    if (next === undefined) return;
    world.now = next.at;
    next.act();
    await new Promise((resolve) => setImmediate(resolve));
  };
  return { made, asked, timers, world, turn };
}

describe('the checks of an app', () => {
  test('count failures in a row, and begin anew with a good answer', async () => {
    const { made, turn } = checks(['500', 'late', null, 'late']);
    made.begin();
    assert.equal(made.report(), undefined);
    const reports: unknown[] = [];
    for (let times = 0; times < 4; times++) {
      await turn();
      reports.push(made.report());
    }
    assert.deepEqual(reports, [
      { failures: 1, failure: '500' },
      { failures: 2, failure: 'late' },
      { failures: 0, failure: null },
      { failures: 1, failure: 'late' },
    ]);
  });

  test('come at the interval, however long an answer takes', async () => {
    const { made, asked, turn } = checks([], 4_000);
    made.begin();
    for (let times = 0; times < 3; times++) await turn();
    assert.deepEqual(
      asked.map(({ path, timeout, at }) => [path, timeout, at]),
      [
        ['/healthz', 5_000, 10_000],
        ['/healthz', 5_000, 20_000],
        ['/healthz', 5_000, 30_000],
      ],
    );
  });

  test('end with the drain', async () => {
    const { made, asked, timers, world, turn } = checks([]);
    made.begin();
    world.serving = false;
    await turn();
    assert.deepEqual([asked.length, timers.length], [0, 0]);
  });
});
