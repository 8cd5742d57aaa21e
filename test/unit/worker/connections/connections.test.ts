import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bucketOf } from '../../../../src/protocol/heartbeat.js';
import { createAnswerCounter, RequestClock } from '../../../../src/worker/connections/connections.js';

test('answers count; those from 500 on are failures', () => {
  const counter = createAnswerCounter();
  for (const status of [200, 404, 500]) counter.count(status);
  const { answers, errors } = counter.counts();
  assert.deepEqual([answers, errors], [3, 1]);
});

test('how long one took counts for as many as it stands for', () => {
  const counter = createAnswerCounter();
  counter.time(3, 1);
  counter.time(3, 8);
  counter.time(700, 1);
  const { latency } = counter.counts();
  assert.deepEqual([latency[bucketOf(3)], latency[bucketOf(700)], latency[bucketOf(50)]], [9, 1, 0]);
});

/** A clock that is a millisecond further each time it is read, and how often that was. */
function countingClock(): { readonly clock: RequestClock; readonly reads: () => number } {
  let reads = 0;
  return { clock: new RequestClock(() => ++reads), reads: () => reads };
}

function weights(clock: RequestClock, requests: number): number[] {
  return Array.from({ length: requests }, () => {
    clock.begin();
    return clock.weight;
  });
}

test('each of a few requests is timed and stands for itself', () => {
  const { clock } = countingClock();
  assert.deepEqual(new Set(weights(clock, 64)), new Set([1]));
});

test('of many every eighth is timed and stands for eight: the sum is that of all', () => {
  const { clock, reads } = countingClock();
  weights(clock, 64);
  const before = reads();
  const further = weights(clock, 800);
  assert.equal(reads() - before, 100);
  assert.deepEqual(new Set(further), new Set([0, 8]));
  assert.equal(
    further.reduce((sum, weight) => sum + weight, 0),
    800,
  );
});

test('what is not timed begins when the clock was read last', () => {
  const { clock, reads } = countingClock();
  weights(clock, 64);
  const last = reads();
  clock.begin();
  assert.deepEqual([clock.weight, clock.begun], [0, last]);
});

test('from one heartbeat to the next there are again some of which each is timed', () => {
  const { clock } = countingClock();
  weights(clock, 1_000);
  clock.renew();
  assert.deepEqual(new Set(weights(clock, 64)), new Set([1]));
});

test('a worker that has fallen silent gives no request a beginning from before the last heartbeat', () => {
  const { clock, reads } = countingClock();
  weights(clock, 1_000);
  clock.renew();
  const heartbeat = reads();
  weights(clock, 65);
  assert.ok(clock.begun >= heartbeat);
});
