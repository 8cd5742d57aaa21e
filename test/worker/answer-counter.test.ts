import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bucketOf } from '../../src/core/latency.js';
import { createAnswerCounter } from '../../src/worker/answer-counter.js';

test('answers count with how long they took; those from 500 on are failures', () => {
  const counter = createAnswerCounter();
  counter.count(200, 3);
  counter.count(404, 3);
  counter.count(500, 700);
  const { answers, errors, latency } = counter.counts();
  assert.deepEqual([answers, errors], [3, 1]);
  assert.deepEqual([latency[bucketOf(3)], latency[bucketOf(700)], latency[bucketOf(50)]], [2, 1, 0]);
});
