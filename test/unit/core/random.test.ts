import assert from 'node:assert/strict';
import { test } from 'node:test';
import { random } from '../../../src/core/backoff.js';

function sequence(seed: number, length: number): number[] {
  const values: number[] = [];
  for (let state = seed; values.length < length; ) {
    const [value, next] = random(state);
    values.push(value);
    state = next;
  }
  return values;
}

test('the same seed gives the same sequence, another seed another one', () => {
  assert.deepEqual(sequence(7, 20), sequence(7, 20));
  assert.notDeepEqual(sequence(7, 20), sequence(8, 20));
});

test('the values are in [0, 1) and spread evenly, whatever the seed', () => {
  for (const seed of [0, 1, -1, 2 ** 31, 2 ** 32 - 1]) {
    const values = sequence(seed, 2_000);
    assert.ok(values.every((value) => value >= 0 && value < 1));
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    assert.ok(Math.abs(mean - 0.5) < 0.05, `seed ${seed}: mean ${mean}`);
  }
});
