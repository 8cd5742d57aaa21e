import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createClusterTotals, mostRoutesOfService } from '../../../src/metrics/merge.js';
import { route, workerMetrics } from './samples.js';

function answersIn(totals: ReturnType<typeof createClusterTotals>): Record<string, number> {
  return Object.fromEntries(
    totals.totals().routes.map(({ route, answers }) => [route, answers['GET 2xx'] ?? 0]),
  );
}

test('a sum has the counts of workers that are gone, so that it never goes back', () => {
  const totals = createClusterTotals();
  totals.heard(1, { worker: 1, metrics: workerMetrics(10), at: 0 });
  totals.heard(2, { worker: 2, metrics: workerMetrics(5), at: 0 });
  totals.heard(1, { worker: 1, metrics: workerMetrics(12), at: 1 });
  assert.deepEqual(answersIn(totals), { '/': 17 });
  totals.gone(1);
  assert.deepEqual(answersIn(totals), { '/': 17 });
  totals.heard(3, { worker: 1, metrics: workerMetrics(2), at: 2 });
  assert.deepEqual(answersIn(totals), { '/': 19 });
  assert.deepEqual(
    totals.totals().slots.map(({ worker, requests }) => [worker, requests]),
    [
      [1, 14],
      [2, 5],
    ],
  );
  assert.equal(totals.totals().delays.counts[0], 3);
});

test('a worker that ends without having answered takes nothing with it', () => {
  const totals = createClusterTotals();
  totals.gone(7);
  assert.deepEqual(totals.totals().slots, []);
});

test('a spare counts for a slot from when it has one', () => {
  const totals = createClusterTotals();
  totals.heard(1, { worker: null, metrics: workerMetrics(0), at: 0 });
  assert.deepEqual(totals.totals().slots, []);
  totals.heard(1, { worker: 2, metrics: workerMetrics(3), at: 1 });
  assert.deepEqual(
    totals.totals().slots.map(({ worker }) => worker),
    [2],
  );
});

test('the service has so many routes at most, and the first ones keep their place', () => {
  const totals = createClusterTotals();
  const routes = Array.from({ length: 100 }, (_, index) => route(`/first/${index}`, 1));
  totals.heard(1, { worker: 1, metrics: workerMetrics(0, { routes }), at: 0 });
  totals.gone(1);
  const later = Array.from({ length: 60 }, (_, index) => route(`/later/${index}`, 1));
  totals.heard(2, {
    worker: 1,
    metrics: workerMetrics(0, { routes: [...later, route('/first/0', 5)] }),
    at: 1,
  });
  const answers = answersIn(totals);
  assert.equal(Object.keys(answers).length, mostRoutesOfService + 1);
  assert.equal(answers['/first/0'], 6);
  assert.equal(answers.other, 160 - mostRoutesOfService);
});

test("a worker's last word is without the app's metrics, and leaves those of before as they are", () => {
  const totals = createClusterTotals();
  const app = { json: '[]', failure: null };
  totals.heard(1, { worker: 1, metrics: workerMetrics(1, { app }), at: 0 });
  totals.heard(1, { worker: 1, metrics: workerMetrics(2), at: 1 });
  totals.gone(1);
  assert.deepEqual(totals.takeGoneApps(), [app]);
  assert.deepEqual(totals.takeGoneApps(), []);
});
