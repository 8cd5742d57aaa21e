import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { backoff, intensity, random } from '../../../src/core/backoff.js';
import { simPolicy } from '../../simulation/sim-policy.js';

const { restart } = simPolicy({
  restart: {
    intensity: 3,
    window: 10_000,
    crashDelay: 100,
    crashDelayMax: 1_000,
    bootDelay: 500,
    bootDelayMax: 3_000,
  },
});
const almostOne = 1 - 2 ** -32;

function bounds(kind: 'crash' | 'boot', failures: number): readonly [number, number] {
  return [
    backoff(kind, { failures, random: 0, restart }),
    backoff(kind, { failures, random: almostOne, restart }),
  ];
}

describe('backoff', () => {
  test('restarts at once after the first crash', () => {
    assert.deepEqual(bounds('crash', 1), [0, 0]);
  });

  test('doubles from the second crash on, up to the longest delay; the jitter takes off half at most', () => {
    assert.deepEqual(
      [2, 3, 4, 5, 6, 7, 60].map((failures) => bounds('crash', failures)),
      [
        [50, 100],
        [100, 200],
        [200, 400],
        [400, 800],
        [500, 1_000],
        [500, 1_000],
        [500, 1_000],
      ],
    );
  });

  test('waits after the very first boot failure too', () => {
    assert.deepEqual(
      [1, 2, 3, 4, 2_000].map((failures) => bounds('boot', failures)),
      [
        [250, 500],
        [500, 1_000],
        [1_000, 2_000],
        [1_500, 3_000],
        [1_500, 3_000],
      ],
    );
  });
});

describe('intensity', () => {
  test('counts the deaths within the window, this one included', () => {
    assert.deepEqual(intensity([1_000, 2_000], { now: 3_000, restart }), {
      deaths: [1_000, 2_000, 3_000],
      exceeded: false,
    });
  });

  test('is exceeded by one more than it allows', () => {
    assert.equal(intensity([1_000, 2_000, 3_000], { now: 4_000, restart }).exceeded, true);
  });

  test('forgets a death once it is as old as the window', () => {
    assert.deepEqual(intensity([1_000, 2_000, 3_000], { now: 10_999, restart }).exceeded, true);
    assert.deepEqual(intensity([1_000, 2_000, 3_000], { now: 11_000, restart }), {
      deaths: [2_000, 3_000, 11_000],
      exceeded: false,
    });
  });

  test('of zero allows no death at all', () => {
    assert.equal(intensity([], { now: 5, restart: { ...restart, intensity: 0 } }).exceeded, true);
  });
});

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
