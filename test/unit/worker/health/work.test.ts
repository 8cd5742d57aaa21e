import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RouteCounts } from '../../../../src/protocol/metrics.js';
import type { Work } from '../../../../src/protocol/route-cost.js';
import { createWork } from '../../../../src/worker/health/work.js';

function worker() {
  const told: Work[] = [];
  const state = { answers: 0, serving: true, longest: 0 };
  const durations = { counts: [], sumSeconds: 0 };
  const work = createWork({
    tally: {
      counts: (): readonly RouteCounts[] => [
        { route: '/a', answers: { 'GET 2xx': state.answers, 'GET 5xx': 1 }, durations },
      ],
    },
    collector: { takeLongest: () => state.longest },
    interval: 1_000,
    isServing: () => state.serving,
    tell: (each) => told.push(each),
    now: () => 7_000,
    counters: () => ({ cpuSeconds: 1.5, loopActiveSeconds: 1.25, loopIdleSeconds: 9 }),
  });
  const beat = (times: number): void => {
    for (let count = 0; count < times; count += 1) work.beat();
  };
  return { told, state, beat };
}

test('a worker tells of its work with every fifth heartbeat', () => {
  const { told, state, beat } = worker();
  state.longest = 180;
  beat(4);
  assert.deepEqual(told, []);
  beat(1);
  const [{ outsideBytes, ...first } = { outsideBytes: 0 }] = told;
  assert.deepEqual(first, {
    ...{ atMs: 7_000, cpuMs: 1_500, loopMs: 1_250, longestMs: 180 },
    counts: { 'GET /a': 1 },
  });
  assert.ok(outsideBytes > 0);
  state.answers += 1;
  beat(4);
  assert.equal(told.length, 1);
  beat(1);
  assert.equal(told.length, 2);
});

test('what is outside of the heap has neither the heap in it nor the buffers that V8 knows of', () => {
  const { told, state, beat } = worker();
  beat(5);
  // Its pages are used: the resident set grows by them.
  const buffer = Buffer.alloc(128 * 2 ** 20, 1);
  state.answers += 1;
  beat(5);
  const [before = assert.fail(), after = assert.fail()] = told;
  assert.equal(buffer.at(-1), 1);
  const { heapTotal, rss } = process.memoryUsage();
  assert.ok(after.outsideBytes < before.outsideBytes + 64 * 2 ** 20, JSON.stringify(told));
  assert.ok(
    after.outsideBytes <= rss - buffer.length - heapTotal / 4,
    JSON.stringify({ rss, heapTotal, told }),
  );
});

test('a worker without requests, or one that drains, has nothing to tell', () => {
  const { told, state, beat } = worker();
  beat(5);
  beat(20);
  assert.equal(told.length, 1);
  state.answers += 1;
  beat(1);
  assert.equal(told.length, 2, 'the next answer ends a longer span');
  state.serving = false;
  state.answers += 1;
  beat(20);
  assert.equal(told.length, 2);
});
