import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bucketOf } from '../../../../src/protocol/heartbeat.js';
import { createAnswerCounter } from '../../../../src/worker/connections/connections.js';

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
