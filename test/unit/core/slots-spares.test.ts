import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { step } from '../../../src/core/step.js';
import { SimCluster } from '../../simulation/sim-cluster.js';
import { first, forks, promotions, servingWithSpare as serving, workers } from '../../simulation/spares.js';

const failure = { message: 'cannot reach the database', exitCode: 70 };

describe('spares', () => {
  test('are forked once the service serves, one at a time', () => {
    const cluster = serving({ policy: { spares: 3 } });
    assert.deepEqual(forks(cluster).slice(2), [
      [3, null, 1, 100],
      [4, null, 1, 200],
      [5, null, 1, 300],
    ]);
    assert.deepEqual(
      workers(cluster).map(([, slot, , phase]) => [slot, phase]),
      [
        [1, 'ready'],
        [2, 'ready'],
        [null, 'spare'],
        [null, 'spare'],
        [null, 'spare'],
      ],
    );
  });

  test('are none where none are wanted', () => {
    assert.equal(new SimCluster().start().run(10_000).effects('fork').length, 2);
  });

  test('do not count among those who serve', () => {
    const cluster = serving();
    assert.match(cluster.state.status, /^2 of 2 workers ready, 1 of 1 spare, generation 1/);
    assert.equal(cluster.effects('notify').filter(({ ready }) => ready === true).length, 1);
  });

  test('that say that they listen are not believed, nor are workers that say they are spares', () => {
    const cluster = serving({ play: ({ slot }) => (slot === null ? { boot: null } : {}) });
    cluster.post({ type: 'ready', key: 3, urls: [] });
    cluster.post({ type: 'spare', key: 1 });
    assert.deepEqual(
      workers(cluster).map(([, slot, , phase]) => [slot, phase]),
      [
        [1, 'ready'],
        [2, 'ready'],
        [null, 'starting'],
      ],
    );
  });

  test('drain at a stop like all others', () => {
    const cluster = serving().stop().runToEnd();
    assert.equal(cluster.exitCode, 0);
    assert.deepEqual(
      cluster.effects('drain').map(({ key, last }) => [key, last]),
      [1, 2, 3].map((key) => [key, true]),
    );
  });
});

describe('the death of a spare', () => {
  test('has the next one wait for a backoff of its own, and counts for the intensity', () => {
    const cluster = new SimCluster({
      policy: { spares: 1, restart: { intensity: 100 } },
      play: ({ slot }) => (slot === null ? { bootFailure: { after: 50, failure } } : {}),
    });
    cluster.start().run(40_000);
    const delays = cluster
      .effects('log')
      .flatMap(({ level, fields }) => (level === 'error' ? [Number(fields?.restartInMs)] : []));
    assert.ok(delays.length >= 5);
    for (const [index, delay] of delays.entries()) {
      const longest = Math.min(8_000, 500 * 2 ** index);
      assert.ok(delay >= longest / 2 && delay <= longest, `${index}: ${delay} of ${longest}`);
    }
    assert.equal(cluster.logged('error')[0], 'a spare died before it had booted: cannot reach the database');
    assert.equal(cluster.state.restarts, 0);
    assert.deepEqual(
      cluster.state.slots.map(({ restarts, forkAt }) => [restarts, forkAt]),
      [
        [0, null],
        [0, null],
      ],
    );
  });

  test('too often ends the master', () => {
    const cluster = new SimCluster({
      policy: { spares: 1, restart: { intensity: 2 } },
      play: ({ slot }) => (slot === null ? { crash: { after: 100 } } : {}),
    });
    cluster.start().runToEnd();
    assert.equal(cluster.exitCode, 76);
  });

  test('that hangs is that of a worker: it is looked at, killed and followed', () => {
    const cluster = serving({
      play: ({ slot, nth }) =>
        slot === null && nth === 1 ? { hang: 1_000, capture: { state: 'stopped' } } : {},
    }).run(20_000);
    assert.deepEqual(cluster.logged('error'), ['a spare hung: silent for 5 s, stopped by a signal']);
    assert.deepEqual(
      workers(cluster).map(([, slot, , phase]) => [slot, phase]),
      [
        [1, 'ready'],
        [2, 'ready'],
        [null, 'spare'],
      ],
    );
  });

  test('that does not boot in time is followed, and so is a fork that fails', () => {
    const cluster = serving({
      policy: { bootTimeout: 1_000 },
      play: ({ slot, nth }) =>
        slot === null ? (nth === 1 ? { boot: null } : nth === 2 ? { forkFails: failure } : {}) : {},
    }).run(10_000);
    assert.deepEqual(cluster.logged('error'), [
      'a spare died before it had booted: did not boot within 1 s',
      'a spare died before it had booted: cannot reach the database',
    ]);
    assert.equal(workers(cluster).at(-1)?.[3], 'spare');
  });
});

describe('spares in a reload', () => {
  const soaked = { reload: { soak: 1_000 } };

  test('stay until its end, then they are ended and the next generation makes its own', () => {
    const cluster = serving({ policy: soaked });
    cluster.reload();
    cluster.run(1_050);
    assert.deepEqual(
      workers(cluster).filter(([, slot]) => slot === null),
      [[3, null, 1, 'spare']],
    );
    cluster.run(5_000);
    assert.equal(cluster.state.lastReload?.verdict, 'done');
    assert.deepEqual(
      workers(cluster).filter(([, slot]) => slot === null),
      [[6, null, 2, 'spare']],
    );
  });

  test('take the place of an old worker that crashes meanwhile', () => {
    const cluster = serving({ policy: soaked, play: first({ crash: { after: 1_400 } }) });
    cluster.reload();
    cluster.run(800);
    assert.deepEqual(promotions(cluster), [[3, 1, 1_500]]);
    assert.equal(forks(cluster).length, 4, 'no spare is made in a reload');
    cluster.run(10_000);
    assert.equal(cluster.state.lastReload?.verdict, 'done');
    assert.deepEqual(
      workers(cluster)
        .map(([, slot, generation]) => [slot, generation])
        .sort(),
      [
        [null, 2],
        [1, 2],
        [2, 2],
      ],
    );
  });

  test('stay where it is rolled back', () => {
    const cluster = serving({
      play: ({ generation }) => (generation === 2 ? { bootFailure: { after: 50, failure } } : {}),
    });
    cluster.reload();
    cluster.run(2_000);
    assert.equal(cluster.state.lastReload?.verdict, 'rolled-back');
    assert.deepEqual(
      workers(cluster).filter(([, slot]) => slot === null),
      [[3, null, 1, 'spare']],
    );
  });

  test('fill the slots that a rollback has to give back', () => {
    const cluster = new SimCluster({
      policy: { workers: 3, spares: 1, ...soaked },
      play: ({ generation, slot }) =>
        generation === 2 && slot === 2 ? { bootFailure: { after: 150, failure } } : {},
    });
    cluster.start().run(1_000).reload();
    cluster.run(5_000);
    assert.equal(cluster.state.lastReload?.verdict, 'rolled-back');
    assert.equal(promotions(cluster).length, 1);
  });

  test('are as many afterwards as the new policy wants', () => {
    const cluster = serving({ policy: { ...soaked, spares: 2 } });
    assert.equal(workers(cluster).filter(([, slot]) => slot === null).length, 2);
    const fewer = { ...cluster.policy, spares: 1 };
    const [after, effects] = step(cluster.state, { type: 'tick' }, cluster.now, fewer);
    assert.deepEqual(
      effects.flatMap((effect) => (effect.type === 'drain' ? [effect.key] : [])),
      [4],
    );
    assert.equal(after.spares.wanted, 1);
  });
});
