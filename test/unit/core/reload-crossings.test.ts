import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { slotOf } from '../../../src/core/workers.js';
import { SimCluster, type SimOptions } from '../../simulation/sim-cluster.js';

const failure = { message: 'cannot reach the database', exitCode: 70 };

function serving(options: SimOptions = {}): SimCluster {
  return new SimCluster(options).start().run(1_000);
}

function forks(cluster: SimCluster, slot: number): readonly (readonly [number, number])[] {
  return cluster
    .effects('fork')
    .filter((fork) => slotOf(fork) === slot)
    .map(({ generation, at }): [number, number] => [generation, at]);
}

describe('a reload that meets something else:', () => {
  /** The first slot's worker crashes for the second time as the reload begins: its next one is due after a while. */
  const crashedTwice: SimOptions = {
    policy: { restart: { crashDelay: 3_000, crashDelayMax: 3_000 } },
    play: ({ slot, nth, generation }) =>
      slot === 1 && nth <= 2 && generation === 1 ? { crash: { after: 400 * nth } } : {},
  };

  test('an old worker that waits for its backoff goes on waiting beside the canary', () => {
    const cluster = serving(crashedTwice).run(500);
    const due = cluster.state.slots[0]?.forkAt ?? 0;
    assert.ok(due > cluster.now + 500);
    cluster.reload();
    assert.equal(cluster.state.slots[0]?.forkAt, due);
    cluster.run(due - cluster.now);
    assert.deepEqual(forks(cluster, 1).slice(2), [
      [2, 1_500],
      [1, due],
    ]);
  });

  test('where the canary has proved itself by then, the old one does not come back', () => {
    const cluster = serving(crashedTwice).run(500);
    cluster.reload({ soak: false });
    cluster.run(200);
    assert.equal(cluster.state.slots[0]?.forkAt, null);
    cluster.run(10_000);
    assert.deepEqual(forks(cluster, 1).slice(2), [[2, 1_500]]);
  });

  const hangs: SimOptions = {
    policy: { workers: 3 },
    play: ({ generation, slot }) => {
      if (generation === 1) return {};
      return slot === 1 ? { hang: 50, immortal: true } : { boot: 9_000 };
    },
  };

  test('a worker on trial that has to be killed ends the trial at once, though it may never go', () => {
    const cluster = serving(hangs);
    cluster.reload({ soak: false });
    cluster.run(9_500);
    assert.equal(cluster.state.workers.find(({ key }) => key === 4)?.phase, 'dying');
    assert.equal(cluster.state.lastReload?.verdict, 'rolled-back');
    assert.match(cluster.state.lastReload?.reason ?? '', /^worker 1 of generation 2 hung/);
    cluster.post({ type: 'exited', key: 4, code: null, signal: 'SIGKILL' });
    assert.equal(cluster.state.deaths.length, 0, 'nor does its death count after the verdict');
  });

  test('without a way back a slot whose new worker cannot even be killed is given another, after a while', () => {
    const cluster = serving({
      policy: { workers: 3, bootTimeout: 5_000 },
      play: ({ generation }) => (generation === 1 ? {} : { boot: null, immortal: true }),
    });
    cluster.reload({ rollback: false });
    cluster.run(9_500);
    assert.equal(cluster.state.workers.find(({ key }) => key === 4)?.phase, 'dying');
    assert.equal(forks(cluster, 1).length, 3);
    assert.equal(forks(cluster, 3).length, 1);
  });

  test('an old worker that hangs is followed by a new one at once, without a way back too', () => {
    const cluster = serving({
      play: ({ generation, slot }) => {
        if (generation === 2) return { boot: 9_000 };
        return slot === 2 ? { hang: 500, immortal: true } : {};
      },
    });
    cluster.reload({ rollback: false });
    cluster.run(8_000);
    assert.equal(cluster.state.workers.find(({ key }) => key === 2)?.phase, 'dying');
    // Silent since it was ready at 100 ms.
    assert.deepEqual(forks(cluster, 2).slice(1), [[2, 5_100]]);
    cluster.post({ type: 'exited', key: 2, code: null, signal: 'SIGKILL' });
    assert.equal(forks(cluster, 2).length, 2);
  });

  test('a probe gets longer by what the master itself missed', () => {
    const cluster = serving({ play: ({ generation }) => (generation === 2 ? { probe: null } : {}) });
    cluster.reload({ soak: false });
    cluster.run(500).freeze(10_000).run(500);
    assert.equal(cluster.state.reload?.stage.name, 'soak');
    cluster.run(2_000);
    assert.equal(cluster.state.lastReload?.reason, 'the canary did not answer its probe');
  });

  test('what is cut after the next reload is over is added to neither', () => {
    const cluster = serving({
      play: ({ generation }) => (generation === 1 ? { drain: 19_000, inFlight: 1 } : {}),
    });
    cluster.reload({ soak: false });
    cluster.run(1_000).reload({ soak: false });
    cluster.run(1_000);
    assert.equal(cluster.state.lastReload?.generation, 3);
    cluster.post({ type: 'cut', key: 1, requests: 1, connections: 1 });
    assert.equal(cluster.state.lastReload?.lost, 0);
  });
});

describe('a scale that meets something else:', () => {
  test('a slot is given up with all who drain there', () => {
    const cluster = serving({ play: () => ({ drain: 15_000 }) });
    for (let turn = 0; turn < 2; turn++) {
      cluster.ask({ type: 'restart', by: 'alice', slot: 2 });
      cluster.run(200);
    }
    cluster.ask({ type: 'scale', by: 'alice', change: { to: 1 } });
    assert.equal(cluster.state.workers.filter(({ phase }) => phase === 'draining').length, 3);
    assert.deepEqual(cluster.effects('kill'), []);
  });

  test('a fork that fails after it is not wanted any more is no death', () => {
    const cluster = serving();
    cluster.ask({ type: 'scale', by: 'alice', change: { to: 3 } });
    cluster.ask({ type: 'scale', by: 'alice', change: { to: 2 } });
    cluster.post({ type: 'fork-failed', key: 3, failure });
    assert.deepEqual(cluster.logged('error'), []);
    assert.equal(cluster.state.deaths.length, 0);
    assert.equal(cluster.state.workers.length, 2);
  });
});
