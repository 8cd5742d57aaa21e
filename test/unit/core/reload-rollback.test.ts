import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { slotOf } from '../../../src/core/workers.js';
import { type Play, SimCluster, type SimOptions } from '../../simulation/sim-cluster.js';

const failure = { message: 'cannot reach the database', exitCode: 70 };

function serving(options: SimOptions = {}): SimCluster {
  return new SimCluster(options).start().run(1_000);
}

/** The old generation does well; every worker of a new one does as it is told for its slot. */
function release(play: (slot: number | null) => Play): SimOptions {
  return { play: ({ generation, slot }) => (generation === 1 ? {} : play(slot)) };
}

function assertBack(cluster: SimCluster): void {
  const { lastReload, workers, slots, generation, deaths, restarts, reload } = cluster.state;
  assert.equal(reload, null);
  assert.equal(lastReload?.verdict, 'rolled-back');
  assert.equal(generation, 1);
  assert.deepEqual(
    workers.map(({ generation, phase }) => [generation, phase]),
    slots.map(() => [1, 'ready']),
  );
  assert.deepEqual([deaths.length, restarts], [0, 0], 'the trial counts in no intensity and no backoff');
  const readies = cluster.effects('notify').filter(({ ready }) => ready === true);
  assert.equal(readies.length, 2, 'the start, and the verdict');
}

function reason(cluster: SimCluster): string | null | undefined {
  return cluster.state.lastReload?.reason;
}

describe('a release is rolled back', () => {
  test('that dies before it listens, without touching the old workers', () => {
    const cluster = serving(release(() => ({ bootFailure: { after: 80, failure } })));
    cluster.reload();
    cluster.run(3_000);
    assertBack(cluster);
    assert.deepEqual(cluster.effects('drain'), []);
    assert.equal(reason(cluster), 'worker 1 of generation 2 could not start: cannot reach the database');
    assert.match(
      cluster.state.status,
      /generation 1.*; reload to generation 2 rolled back after 0.1 s: worker 1/,
    );
  });

  test('that never listens, at the limit of its boot', () => {
    const cluster = serving(release(() => ({ boot: null })));
    cluster.reload();
    cluster.run(12_000);
    assertBack(cluster);
    assert.equal(reason(cluster), 'worker 1 of generation 2 could not start: did not listen within 10 s');
  });

  test('for which no process is to be had', () => {
    const cluster = serving(release(() => ({ forkFails: { message: 'spawn EAGAIN', exitCode: 71 } })));
    cluster.reload();
    cluster.run(1_000);
    assertBack(cluster);
    assert.equal(reason(cluster), 'worker 1 of generation 2 could not start: spawn EAGAIN');
  });

  test('that crashes while it is soaked', () => {
    const cluster = serving(release(() => ({ crash: { after: 1_500, signal: 'SIGSEGV' } })));
    cluster.reload();
    cluster.run(5_000);
    assertBack(cluster);
    assert.equal(reason(cluster), 'worker 1 of generation 2 died: ended by SIGSEGV');
  });

  test('that falls silent while it is soaked, though its time is over by then', () => {
    const cluster = serving(release(() => ({ hang: 100 })));
    cluster.reload();
    cluster.run(15_000);
    assertBack(cluster);
    assert.match(reason(cluster) ?? '', /^worker 1 of generation 2 hung: silent for 5/);
  });

  test('when the operator says so, in whatever stage', () => {
    for (const after of [50, 150, 1_000, 2_150]) {
      const cluster = serving();
      cluster.reload();
      cluster.run(after);
      assert.deepEqual(cluster.ask({ type: 'abort', by: 'alice' }), {
        accepted: true,
        message: 'rolling back to generation 1',
      });
      cluster.run(3_000);
      assertBack(cluster);
      assert.equal(reason(cluster), 'aborted by alice');
    }
  });
});

describe('a rollback in the middle of the rolling', () => {
  const halfway = { ...release((slot) => (slot === 2 ? { bootFailure: { after: 80, failure } } : {})) };

  test('brings the old generation back where it was replaced already, old before new', () => {
    const cluster = serving({ ...halfway, policy: { workers: 3 } });
    cluster.reload();
    cluster.run(6_000);
    assertBack(cluster);
    const back = cluster.effects('fork').at(-1);
    assert.deepEqual([back && slotOf(back), back?.generation], [1, 1]);
    const leaves = cluster.effects('drain').at(-1);
    assert.ok(leaves !== undefined && back !== undefined && leaves.at >= back.at + 100);
    assert.equal(
      cluster.effects('fork').filter((fork) => slotOf(fork) === 3).length,
      1,
      'slot 3 was not touched',
    );
  });

  test('kills what is still starting, which is no news', () => {
    const cluster = serving(release((slot) => (slot === 2 ? { boot: 5_000 } : {})));
    cluster.reload();
    cluster.run(2_500);
    cluster.ask({ type: 'abort', by: 'alice' });
    assert.deepEqual(
      cluster.effects('kill').map(({ key }) => key),
      [4],
    );
    cluster.run(3_000);
    assertBack(cluster);
    assert.deepEqual(cluster.logged('error'), ['generation 2 is rolled back: aborted by alice']);
  });

  test('refuses another reload and a restart as long as it gets on', () => {
    const cluster = serving(halfway);
    cluster.reload();
    cluster.run(2_200);
    assert.equal(cluster.state.reload?.stage.name, 'rollback');
    const reasons = [cluster.reload(), cluster.ask({ type: 'restart', by: 'alice', slot: 1 })].map(
      (answer) => (answer.accepted ? 'accepted' : answer.reason),
    );
    assert.deepEqual(reasons, [
      'reload: a reload to generation 2 is under way (rollback)',
      'restart: a reload to generation 2 is under way (rollback)',
    ]);
  });

  /** Release 2 has migrated the database: what is started of release 1 from then on ends. */
  const noneGoesBack: SimOptions = {
    play: ({ generation, slot, nth }) => {
      if (generation === 2) return slot === 2 ? { bootFailure: { after: 80, failure } } : {};
      return generation === 1 && nth > 1 ? { bootFailure: { after: 80, failure } } : {};
    },
  };

  test('to a generation that does not start any more either is over: who serves stays, and the reason says it', () => {
    const cluster = serving(noneGoesBack);
    cluster.reload();
    cluster.run(10_000);
    assert.equal(cluster.state.reload, null);
    assert.equal(cluster.state.lastReload?.verdict, 'rolled-back');
    assert.match(reason(cluster) ?? '', /; generation 1 does not start any more either \(worker 1\)$/);
    const serves = cluster.state.workers.filter(({ phase }) => phase === 'ready');
    assert.deepEqual(
      serves.map((worker) => [slotOf(worker), worker.generation]),
      [
        [2, 1],
        [1, 2],
      ],
    );
    assert.match(cluster.state.status, /2 of 2 workers ready/);
  });

  test('is left by a reload of a release that starts', () => {
    const cluster = serving(noneGoesBack);
    cluster.reload();
    cluster.run(10_000);
    assert.deepEqual(cluster.reload({ generation: 3 }).accepted, true);
    cluster.run(10_000);
    assert.equal(cluster.state.lastReload?.verdict, 'done');
    assert.equal(cluster.state.generation, 3);
  });

  test('ends by an abort, whatever is missing', () => {
    const cluster = serving({
      play: ({ generation, slot, nth }) => {
        if (generation === 2) return slot === 2 ? { bootFailure: { after: 80, failure } } : {};
        return nth > 1 ? { boot: 9_000 } : {};
      },
    });
    cluster.reload();
    cluster.run(3_000);
    assert.equal(cluster.state.reload?.stage.name, 'rollback');
    const answer = cluster.ask({ type: 'abort', by: 'bob' });
    assert.deepEqual(answer, { accepted: true, message: 'the rollback to generation 1 is not waited for' });
    assert.equal(cluster.state.reload, null);
    assert.match(reason(cluster) ?? '', /; the rollback was aborted by bob$/);
    cluster.run(10_000);
    assert.ok(cluster.state.workers.every(({ generation }) => generation === 1));
  });

  test('waits with its verdict for an old worker that crashes meanwhile', () => {
    const cluster = serving({
      play: ({ generation, slot, nth }) => {
        if (generation === 2) return slot === 2 ? { bootFailure: { after: 80, failure } } : {};
        return slot === 2 && nth === 1 ? { crash: { after: 3_120 } } : {};
      },
    });
    cluster.reload();
    cluster.run(6_000);
    assert.equal(cluster.state.lastReload?.verdict, 'rolled-back');
    assert.equal(cluster.state.deaths.length, 1, 'the old one counts');
    // Slot 2 is served again 100 ms after the crash at 3,220.
    assert.equal((cluster.state.lastReload?.tookMs ?? 0) + 1_000, 3_320);
  });
});
