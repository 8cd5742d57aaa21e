import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  decide,
  initialState,
  type News,
  type Observation,
  type PolicyState,
  retryDelay,
  type Standing,
  type Told,
} from '../../../src/notify/policy.js';

const rules = { interval: 600_000, unhealthyAfter: 60_000 };
const death = { type: 'death', worker: 2, kind: 'crash', cause: 'Error: boom' } as const;
const rollback = { type: 'rollback', generation: 7, cause: 'the canary died', by: 'ann' } as const;
const well: Standing = { type: 'standing', wanted: 2, ready: 2, ill: [] };
const ill: Standing = { ...well, ill: [{ worker: 1, health: 'degraded' }] };

/** Shows the policy one thing after another. @returns what is told, with when */
function play(steps: readonly (readonly [at: number, seen: Observation])[], told: Told = {}) {
  let state: PolicyState = initialState(told);
  const all: (readonly [number, News])[] = [];
  for (const [now, seen] of steps) {
    const [next, news] = decide(state, seen, { now, rules });
    state = next;
    if (news !== null) all.push([now, news]);
  }
  return { told: all, state };
}

describe('what somebody is told', () => {
  test('is the third death within a minute, with its cause', () => {
    const { told } = play([
      [0, death],
      [20_000, death],
      [61_000, death],
      [62_000, { ...death, worker: null, kind: 'boot', cause: 'no database' }],
    ]);
    assert.deepEqual(told, [
      [
        62_000,
        {
          type: 'crash-loop',
          message: 'workers die in a loop: 3 deaths within 60 s, the last of a spare (boot): no database',
          cause: 'no database',
          details: { deaths: 3, withinSeconds: 60, kind: 'boot' },
          untold: 0,
        },
      ],
    ]);
  });

  test('is that the service ends by itself, also right after its crash loop', () => {
    const steps = [1, 2, 3].map((at) => [at, death] as const);
    const ending = { type: 'ending', cause: 'too many restarts', exitCode: 75 } as const;
    const { told } = play([...steps, [4, ending]]);
    assert.deepEqual(
      told.map(([at, { type, message }]) => [at, type, message.slice(0, 44)]),
      [
        [3, 'crash-loop', 'workers die in a loop: 3 deaths within 60 s,'],
        [4, 'crash-loop', 'the service ends by itself with status 75: t'],
      ],
    );
  });

  test('is a rollback, and how many of them were left out since', () => {
    const { told } = play([
      [0, rollback],
      [1_000, rollback],
      [599_999, rollback],
      [600_000, rollback],
    ]);
    assert.deepEqual(
      told.map(([at, { type, cause, details, untold }]) => [at, type, cause, details, untold]),
      [
        [0, 'rollback', 'the canary died', { generation: 7, by: 'ann' }, 0],
        [600_000, 'rollback', 'the canary died', { generation: 7, by: 'ann' }, 2],
      ],
    );
  });

  test('is limited across restarts of the daemon, but not by a clock that was set back', () => {
    const told: Told = { rollback: { atMs: 1_000_000, untold: 3 } };
    assert.deepEqual(play([[1_500_000, rollback]], told).told, []);
    assert.equal(play([[1_600_000, rollback]], told).told[0]?.[1].untold, 3);
    assert.equal(play([[900_000, rollback]], told).told.length, 1);
  });

  test('is a worker that is not healthy for long, once', () => {
    const steps = [0, 30_000, 60_000, 61_000, 900_000].map((at) => [at, ill] as const);
    const { told } = play(steps);
    assert.deepEqual(told, [
      [
        60_000,
        {
          type: 'unhealthy',
          message: 'worker 1 has been degraded for 60 s',
          cause: 'degraded',
          details: { worker: 1, health: 'degraded', forSeconds: 60 },
          untold: 0,
        },
      ],
    ]);
  });

  test('is not a worker that was healthy in between', () => {
    const { told, state } = play([
      [0, ill],
      [59_000, well],
      [60_000, ill],
      [119_000, ill],
      [119_500, well],
    ]);
    assert.deepEqual(told, []);
    assert.deepEqual(state.since, {});
  });

  test('is a service that lacks workers for long', () => {
    const lacking = { ...well, ready: 1 };
    const { told } = play([
      [0, lacking],
      [75_000, lacking],
    ]);
    assert.deepEqual(
      told.map(([, { message }]) => message),
      ['the service lacks workers for 75 s: 1 of 2 workers are ready'],
    );
  });

  test('is that memory is short, and who is replaced', () => {
    const short = { type: 'memory', usedBytes: 1843 * 2 ** 20, limitBytes: 2 ** 31 } as const;
    const { told } = play([
      [0, { ...short, worker: 3 }],
      [600_000, { ...short, worker: null }],
    ]);
    assert.deepEqual(
      told.map(([, { message }]) => message),
      [
        'memory is short, 1843 of 2048 MiB are used: worker 3 is being replaced',
        'memory is short, 1843 of 2048 MiB are used: replacing workers would not help',
      ],
    );
  });
});

test('an attempt that failed is repeated later each time, and not by all services at once', () => {
  assert.deepEqual([retryDelay(1, 0.5), retryDelay(2, 0.5), retryDelay(5, 0.5)], [1_000, 2_000, 16_000]);
  assert.deepEqual([retryDelay(1, 0), retryDelay(1, 0.999)], [750, 1_250]);
});
