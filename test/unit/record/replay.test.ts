import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { initialState } from '../../../src/core/state.js';
import { step } from '../../../src/core/step.js';
import { decode } from '../../../src/record/encode.js';
import { replay } from '../../../src/record/replay.js';
import { scenarios } from '../../simulation/scenarios/scenarios.js';
import { type Play, SimCluster } from '../../simulation/sim-cluster.js';
import { narrated, recorded, turnsOf } from '../../simulation/turns.js';
import { stories } from './stories.js';

const crashing = scenarios.find(({ name }) => name === 'replacement-fails-to-boot');

function turnsOfCrash() {
  assert.ok(crashing !== undefined);
  const cluster = new SimCluster(crashing.options);
  crashing.script(cluster);
  return turnsOf(cluster);
}

describe('a record', () => {
  for (const { title, options, script } of [...scenarios, ...stories]) {
    test(`is decided again as it was: ${title}`, () => {
      const cluster = new SimCluster(options);
      script(cluster);
      const turns = turnsOf(cluster);
      const told: unknown[] = [];
      const result = replay(recorded(turns, { beginEvery: 50 }), { onLine: (line) => told.push(line) });
      assert.equal(result.difference, null);
      assert.deepEqual([result.turns, result.gaps, result.runs.length], [turns.length, [], 1]);
      assert.deepEqual(told, narrated(turns), 'and tells the same');
    });
  }

  test('has every turn as it was, whatever the workers do', () => {
    const play = fc.record({
      crash: fc.option(fc.record({ after: fc.integer({ min: 50, max: 9_000 }), code: fc.constant(1) }), {
        nil: undefined,
      }),
      hang: fc.option(fc.integer({ min: 50, max: 9_000 }), { nil: undefined }),
      requestsPerSecond: fc.integer({ min: 0, max: 500 }),
      delay: fc.double({ min: 0, max: 5_000, noNaN: true }),
    });
    fc.assert(
      fc.property(fc.array(play, { minLength: 1, maxLength: 8 }), fc.integer(), (plays, seed) => {
        const cluster = new SimCluster({
          seed,
          policy: { restart: { intensity: 50 }, pingInterval: 3_000 },
          play: ({ key }) => {
            const { crash, hang, requestsPerSecond, delay } = plays[key % plays.length] ?? {};
            return {
              ...(crash === undefined ? {} : { crash }),
              ...(hang === undefined ? {} : { hang }),
              requestsPerSecond,
              heartbeat: () => ({ eventLoopDelayMs: delay, begun: [] }),
            } as Play;
          },
        });
        cluster.start().run(15_000).stop().runToEnd();
        const turns = turnsOf(cluster, seed);
        const entries = [...decode(recorded(turns))].filter((entry) => entry.type === 'turn');
        assert.deepEqual(
          entries.map(({ now, clockMs, event }) => ({ now, clockMs, event })),
          turns.map(({ now, clockMs, event }) => ({
            now,
            clockMs,
            event: JSON.parse(JSON.stringify(event)),
          })),
        );
        assert.equal(replay(recorded(turns)).difference, null);
      }),
      { numRuns: 15 },
    );
  });

  test('shows where a core with another rule decides otherwise', () => {
    const turns = turnsOfCrash();
    const crash = turns.findIndex(({ event }) => event.type === 'failed');
    const result = replay(recorded(turns), {
      step: (state, event, now, policy) => {
        const [after, effects] = step(state, event, now, policy);
        // As if a worker that says why it dies were not replaced.
        return event.type === 'failed' ? [state, []] : [after, effects];
      },
    });
    const { difference } = result;
    assert.equal(result.turns, crash + 1);
    assert.ok(difference !== null);
    assert.deepEqual([difference.turn.event, difference.today], [turns[crash]?.event, []]);
    assert.deepEqual(difference.recorded, JSON.parse(JSON.stringify(turns[crash]?.effects)));
    assert.match(
      difference.state,
      /^serving, generation 1, 2 slots\n#1 worker 1, PID 1001, .*ready, healthy/,
    );
  });

  test('shows where another policy would have made the difference', () => {
    const turns = turnsOfCrash();
    const text = recorded(turns);
    const patient = replay(text, {
      policy: (policy) => ({
        ...policy,
        restart: { ...policy.restart, bootDelay: policy.restart.bootDelay * 2 },
      }),
    });
    const first = turns.findIndex(
      ({ event, before }) => event.type === 'exited' && before.workers.length > 2,
    );
    assert.ok(patient.difference !== null && first !== -1);
    assert.ok(
      patient.difference.recorded.some(
        (effect) => effect.type === 'log' && /restartInMs/.test(JSON.stringify(effect)),
      ),
    );
    assert.match(JSON.stringify(patient.difference.turn.event), /"exited"/);
    const one = replay(text, {
      policy: (policy) => ({ ...policy, restart: { ...policy.restart, intensity: 1 } }),
    });
    assert.match(JSON.stringify(one.difference?.today), /too many restarts/);
  });

  test('tells of a core that fails on it', () => {
    const result = replay(recorded(turnsOfCrash()), {
      step: (state, event, now, policy) => {
        if (event.type === 'exited') throw new Error('a bug');
        return step(state, event, now, policy);
      },
    });
    assert.equal(result.difference?.thrown, 'a bug');
  });

  test('can be read behind a line that is torn, from the next beginning on', () => {
    const lines = recorded(turnsOfCrash(), { beginEvery: 20 }).split('\n');
    const begins = lines.flatMap((line, index) => (line.startsWith('{"begin"') ? [index] : []));
    const [, second = 0, third = 0] = begins;
    const torn = lines.with(second + 3, lines[second + 3]?.slice(0, 4) ?? '').join('\n');
    const result = replay(torn);
    assert.deepEqual([result.difference, result.gaps], [null, [{ line: second + 4, why: 'it is no JSON' }]]);
    assert.equal(
      replay(lines.slice(5).join('\n')).gaps.length,
      0,
      'what comes before the first beginning is left out',
    );
    const swapped = replay([...lines.slice(0, third), '["x"]', '7', '{"a":1}'].join('\n'));
    assert.match(swapped.gaps[0]?.why ?? '', /no time/);
  });

  test('of nothing has no turns', () => {
    for (const text of ['', '\n\n', 'nonsense\n', '{"begin":null}\n', '[1]\n']) {
      const { turns, difference } = replay(text);
      assert.deepEqual([turns, difference], [0, null]);
    }
    assert.equal(initialState({ seed: 1 }).workers.length, 0);
  });
});
