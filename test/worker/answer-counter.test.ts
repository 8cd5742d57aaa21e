import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { test } from 'node:test';
import { bucketOf } from '../../src/core/latency.js';
import { createAnswerCounter } from '../../src/worker/answer-counter.js';

function answer(statusCode: number, writableFinished = true): ServerResponse {
  return { statusCode, writableFinished } as ServerResponse;
}

test('complete answers count, with how long they took; those from 500 on are failures', () => {
  const clock = { now: 0 };
  const counter = createAnswerCounter(() => clock.now);
  for (const [response, took] of [
    [answer(200), 3],
    [answer(404), 3],
    [answer(500), 700],
    [answer(200, false), 50],
  ] as const) {
    counter.begin(response);
    clock.now += took;
    counter.end(response);
  }
  const { answers, errors, latency } = counter.counts();
  assert.deepEqual([answers, errors], [3, 1]);
  assert.deepEqual([latency[bucketOf(3)], latency[bucketOf(700)], latency[bucketOf(50)]], [2, 1, 0]);
});
