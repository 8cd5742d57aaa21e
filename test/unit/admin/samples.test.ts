import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createSamples, latencyBetween } from '../../../src/admin/samples.js';
import { examples } from '../../../src/control/openapi.js';
import { durationLimits, type MetricsSnapshot } from '../../../src/protocol/metrics.js';

const second = 1_000;

/** A snapshot of so many answers by the index of their bucket. */
function snapshot(
  at: number,
  {
    counts = {},
    errors = 0,
    pid = 1,
  }: {
    counts?: Readonly<Record<number, number>>;
    errors?: number;
    pid?: number;
  },
): MetricsSnapshot {
  const buckets = [...durationLimits, 0].map((_, index) => counts[index] ?? 0);
  const route = { route: '/', answers: { 'GET 2xx': 5, 'GET 5xx': errors } };
  return {
    ...examples.Metrics,
    at,
    master: { ...examples.Metrics.master, pid },
    routes: [{ ...route, durations: { counts: buckets, sumSeconds: 0 } }],
  };
}

describe('the latency between two snapshots', () => {
  test('lies in the bucket where the share of the answers is reached', () => {
    // 100 answers of up to 1 ms, then 100 more of 25 to 50 ms.
    const before = snapshot(10 * second, { counts: { 0: 100 } });
    const after = snapshot(12 * second, { counts: { 0: 100, 5: 100 }, errors: 4 });
    assert.deepEqual(latencyBetween(before, after), {
      latencyMs: { p50: 37.5, p90: 47.5, p99: 49.75 },
      errorsPerSecond: 2,
    });
  });

  test('is as high as the highest limit for what is slower', () => {
    const slow = snapshot(2 * second, { counts: { [durationLimits.length]: 1 } });
    assert.equal(latencyBetween(snapshot(second, {}), slow).latencyMs?.p99, 30_000);
  });

  test('is unknown without answers, after another start of the master, and over a long gap', () => {
    const one = snapshot(second, { counts: { 0: 1 } });
    assert.equal(latencyBetween(one, snapshot(2 * second, { counts: { 0: 1 } })).latencyMs, null);
    assert.equal(latencyBetween(one, snapshot(2 * second, { counts: { 0: 9 }, pid: 2 })).latencyMs, null);
    assert.equal(latencyBetween(one, snapshot(60 * second, { counts: { 0: 9 } })).latencyMs, null);
    assert.equal(latencyBetween(null, one).latencyMs, null);
  });
});

describe('the samples of the last hour', () => {
  const stats = (requestsPerSecond: number, workers = examples.Status.workers) => {
    return { ...examples.Status, requestsPerSecond, workers };
  };

  test('are one a second for five minutes, then one for ten seconds, and none after an hour', () => {
    const samples = createSamples();
    for (let at = 0; at < 2 * 3_600; at++) samples.add(stats(at % 10), null, at * second);
    const list = samples.list();
    const [oldest] = list;
    assert.ok(list.length <= 660, `${list.length}`);
    assert.ok(list.length >= 620, `${list.length}`);
    assert.ok((oldest?.atMs ?? 0) >= 3_580 * second);
    // The mean of 0 to 9.
    assert.equal(oldest?.requestsPerSecond, 4.5);
    assert.equal(list.at(-1)?.atMs, 7_199 * second);
    const times = list.map(({ atMs }) => atMs);
    assert.deepEqual(
      times,
      times.toSorted((a, b) => a - b),
    );
  });

  test('have each worker, and of many only the latest', () => {
    const samples = createSamples();
    const [worker] = examples.Status.workers;
    assert.ok(worker);
    const many = Array.from({ length: 20 }, (_, index) => ({ ...worker, id: index + 1 }));
    for (let at = 0; at < 400; at++) samples.add(stats(1, many), null, at * second);
    assert.equal(samples.list()[0]?.workers.length, 0);
    assert.equal(samples.list().at(-1)?.workers.length, 20);
    assert.equal(samples.list().at(-1)?.rssBytes, examples.Status.master.rssBytes + 20 * worker.rssBytes);
  });

  test('begin anew when the clock was set back', () => {
    const samples = createSamples();
    samples.add(stats(1), null, 1_000 * second);
    samples.add(stats(1), null, 500 * second);
    assert.deepEqual(
      samples.list().map(({ atMs }) => atMs),
      [500 * second],
    );
  });
});
