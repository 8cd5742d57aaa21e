import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { slotOf } from '../../../src/core/workers.js';
import { type Play, SimCluster, type SimOptions } from '../../simulation/sim-cluster.js';

const failure = { message: 'cannot reach the database', exitCode: 70 };

/** Serves for a second before anything else happens. */
function serving(options: SimOptions = {}): SimCluster {
  return new SimCluster(options).start().run(1_000);
}

/** The old generation does well; every worker of a new one does as it is told. */
function release(play: Play, old: Play = {}): SimOptions {
  return { play: ({ generation }) => (generation === 1 ? old : play) };
}

function steps(cluster: SimCluster): readonly string[] {
  return cluster
    .effects('step')
    .map(({ step }) =>
      step.worker === null ? step.step : `${step.step} ${step.worker} of ${step.generation}`,
    );
}

function up(cluster: SimCluster): readonly (readonly [number, number])[] {
  return cluster.state.workers
    .flatMap((worker): [number, number][] =>
      worker.phase === 'ready' ? [[worker.role.slot, worker.generation]] : [],
    )
    .sort(([a], [b]) => a - b);
}

function readies(cluster: SimCluster): readonly number[] {
  return cluster.effects('notify').flatMap(({ ready, at }) => (ready === true ? [at] : []));
}

describe('a reload', () => {
  test('goes by a canary, its soak and one slot after another, new before old', () => {
    const cluster = serving();
    assert.deepEqual(cluster.reload(), { accepted: true, message: 'generation 2' });
    cluster.run(5_000);
    assert.deepEqual(steps(cluster), [
      'begun',
      'forked 1 of 2',
      'ready 1 of 2',
      'probed 1 of 2',
      'soaked',
      'draining 1 of 1',
      'forked 2 of 2',
      'ready 2 of 2',
      'draining 2 of 1',
      'verdict',
    ]);
    assert.deepEqual(up(cluster), [
      [1, 2],
      [2, 2],
    ]);
    assert.equal(cluster.state.generation, 2);
  });

  test('tells systemd RELOADING at once, and READY once, with the verdict as STATUS', () => {
    const cluster = serving();
    cluster.reload();
    const [reloading] = cluster.effects('notify').filter(({ reloading }) => reloading === true);
    assert.equal(reloading?.at, 1_000);
    cluster.run(5_000);
    // 100 ms for the canary's boot, 2 s of soak, 100 ms for the second worker's.
    assert.deepEqual(readies(cluster), [100, 3_200]);
    assert.equal(
      cluster.effects('notify').find(({ ready, at }) => ready === true && at > 1_000)?.status,
      '2 of 2 workers ready, generation 2, 0 req/s, 0 restarts; reload to generation 2 done in 2.2 s',
    );
  });

  test('without a soak two workers take as long as one boot, and the canary is probed all the same', () => {
    const cluster = serving();
    cluster.reload({ soak: false });
    cluster.run(1_000);
    assert.deepEqual(readies(cluster).at(-1), 1_105);
    assert.deepEqual(
      cluster.effects('probe').map(({ key, path, timeout, at }) => [key, path, timeout, at]),
      [[3, '/health', 1_000, 1_100]],
    );
  });

  test('without a probe goes on as soon as the canary listens', () => {
    const cluster = serving({ policy: { reload: { probe: null } } });
    cluster.reload({ soak: false });
    cluster.run(1_000);
    assert.deepEqual(cluster.effects('probe'), []);
    assert.deepEqual(readies(cluster).at(-1), 1_100);
  });

  test('drains the old workers as those in whose place others accept', () => {
    const cluster = serving();
    cluster.reload();
    cluster.run(5_000);
    assert.deepEqual(
      cluster.effects('drain').map(({ key, last, timeout }) => [key, last, timeout]),
      [
        [1, false, 20_000],
        [2, false, 20_000],
      ],
    );
  });

  test('is refused before the service serves, while another is under way, and while it stops', () => {
    const cluster = new SimCluster({ play: () => ({ drain: 5_000 }) }).start();
    const refused = (reason: string) => ({ accepted: false, reason: `reload: ${reason}` });
    assert.deepEqual(cluster.reload(), refused('the service is still starting'));
    cluster.run(1_000);
    assert.equal(cluster.reload({ generation: 3 }).accepted, true);
    assert.deepEqual(cluster.reload(), refused('a reload to generation 3 is under way (canary)'));
    cluster.run(10_000);
    assert.deepEqual(cluster.reload({ generation: 3 }), refused('generation 3; expected one above 3'));
    cluster.stop();
    assert.deepEqual(cluster.reload({ generation: 9 }), refused('the service is stopping'));
    cluster.runToEnd();
    assert.deepEqual(cluster.reload({ generation: 9 }), refused('the service is stopping'));
  });

  test('goes on when an old worker crashes meanwhile, which comes back as what it was', () => {
    const cluster = serving({
      play: ({ slot, nth }) => (slot === 2 && nth === 1 ? { crash: { after: 2_000 } } : {}),
    });
    cluster.reload();
    cluster.run(1_500);
    assert.deepEqual(
      cluster.effects('fork').map((fork) => [slotOf(fork), fork.generation, fork.at]),
      [
        [1, 1, 0],
        [2, 1, 0],
        [1, 2, 1_000],
        [2, 1, 2_100],
      ],
    );
    cluster.run(5_000);
    assert.equal(cluster.state.lastReload?.verdict, 'done');
    assert.equal(cluster.state.deaths.length, 1);
  });

  test('a second one, after it, replaces what the first one brought', () => {
    const cluster = serving();
    cluster.reload();
    cluster.run(5_000).reload();
    cluster.run(5_000);
    assert.deepEqual(up(cluster), [
      [1, 3],
      [2, 3],
    ]);
    assert.deepEqual([cluster.state.lastReload?.from, cluster.state.lastReload?.generation], [2, 3]);
    assert.equal(readies(cluster).length, 3);
  });

  test('ends without READY, but with a record, where the service stops meanwhile', () => {
    const cluster = serving();
    cluster.reload();
    cluster.run(500).stop().runToEnd();
    const records = cluster.effects('record');
    assert.deepEqual(
      records.map(({ record }) => [record.verdict, record.reason, record.tookMs]),
      [['stopped', 'SIGTERM', 500]],
    );
    assert.equal(readies(cluster).length, 1);
    assert.equal(cluster.exitCode, 0);
  });
});

describe('a reload without a way back', () => {
  const again = { by: 'SIGUSR2', rollback: false };

  test('has no canary: one slot after another, and the new generation counts at once', () => {
    const cluster = serving();
    cluster.reload(again);
    assert.equal(cluster.state.generation, 2);
    cluster.run(1_000);
    assert.deepEqual(cluster.effects('probe'), []);
    assert.deepEqual(
      cluster
        .effects('fork')
        .map((fork) => [slotOf(fork), fork.generation, fork.at])
        .slice(2),
      [
        [1, 2, 1_000],
        [2, 2, 1_100],
      ],
    );
    assert.equal(cluster.state.lastReload?.verdict, 'done');
  });

  test('takes a death for an ordinary one: the next try waits for its backoff, the old worker serves', () => {
    const cluster = serving({
      play: ({ generation, nth }) =>
        generation === 2 && nth < 4 ? { bootFailure: { after: 50, failure } } : {},
    });
    cluster.reload(again);
    cluster.run(4_000);
    const [first, second, third] = cluster.effects('fork').slice(2);
    assert.ok(first !== undefined && second !== undefined && third !== undefined);
    assert.deepEqual([first, second, third].map(slotOf), [1, 1, 1]);
    assert.ok(second.at >= first.at + 50 + 250, `${first.at} ${second.at}`);
    assert.ok(third.at >= second.at + 50 + 500, `${second.at} ${third.at}`);
    assert.equal(cluster.state.lastReload?.verdict, 'done');
    assert.ok(cluster.state.restarts >= 2);
  });

  const neverListens: SimOptions = {
    policy: { bootTimeout: 2_000 },
    play: ({ generation }) => (generation === 2 ? { boot: null } : {}),
  };

  test('is rolled back by an abort: the generation before serves on, nothing more is started', () => {
    const cluster = serving(neverListens);
    cluster.reload(again);
    cluster.run(5_000);
    assert.equal(cluster.state.reload?.stage.name, 'rolling');
    const before = cluster.effects('fork').length;
    assert.deepEqual(cluster.ask({ type: 'abort', by: 'alice' }), {
      accepted: true,
      message: 'rolling back to generation 1',
    });
    cluster.run(30_000);
    assert.equal(cluster.state.lastReload?.verdict, 'rolled-back');
    assert.equal(cluster.effects('fork').length, before);
    assert.deepEqual(up(cluster), [
      [1, 1],
      [2, 1],
    ]);
  });

  test('whose workers never listen is superseded by a reload, and its record says so', () => {
    const cluster = serving(neverListens);
    cluster.reload(again);
    assert.equal(cluster.reload({ generation: 3 }).accepted, false, 'as long as it gets on');
    cluster.run(5_000);
    assert.equal(cluster.reload({ generation: 4 }).accepted, true);
    assert.equal(cluster.state.generation, 1, 'nothing of the one in between has proved itself');
    const record = cluster.effects('record').find(({ record }) => record.generation === 2)?.record;
    assert.deepEqual(
      [record?.verdict, record?.reason],
      ['superseded', 'superseded by the reload to generation 4'],
    );
    cluster.run(10_000);
    assert.equal(cluster.state.lastReload?.verdict, 'done');
    assert.deepEqual(up(cluster), [
      [1, 4],
      [2, 4],
    ]);
  });

  test('replaces a slot whose worker was just being replaced, and leaves nobody behind', () => {
    const cluster = serving();
    cluster.ask({ type: 'restart', by: 'alice', slot: 1 });
    cluster.reload(again);
    cluster.run(1_000);
    assert.deepEqual(up(cluster), [
      [1, 2],
      [2, 2],
    ]);
  });
});

describe('time that is needed', () => {
  test('is asked of systemd every 5 s while a reload is under way', () => {
    const cluster = serving({ ...release({ boot: 9_000 }), policy: { bootTimeout: 20_000 } });
    cluster.reload();
    const before = cluster.effects('notify').length;
    cluster.run(15_000);
    const asked = cluster
      .effects('notify')
      .slice(before)
      .filter(({ extend }) => extend !== undefined);
    assert.equal(asked.length, 3);
  });
});
