import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { slotOf } from '../../../src/core/workers.js';
import type { Answer, ScaleChange } from '../../../src/protocol/control-api.js';
import { SimCluster, type SimOptions } from '../../simulation/sim-cluster.js';

const failure = { message: 'cannot reach the database', exitCode: 70 };

function serving(options: SimOptions = {}): SimCluster {
  return new SimCluster(options).start().run(1_000);
}

function scale(cluster: SimCluster, change: ScaleChange): Answer {
  return cluster.ask({ type: 'scale', by: 'alice', change });
}

function restart(cluster: SimCluster, slot: number): Answer {
  return cluster.ask({ type: 'restart', by: 'alice', slot });
}

function readySlots(cluster: SimCluster): readonly number[] {
  return cluster.state.workers
    .flatMap((worker) => (worker.phase === 'ready' ? [worker.role.slot] : []))
    .sort();
}

function why(answer: Answer): string {
  return answer.accepted ? answer.message : answer.reason;
}

describe('a scale', () => {
  test('up forks into the lowest numbers that are free', () => {
    const cluster = serving();
    assert.equal(why(scale(cluster, { add: 2 })), 'from 2 to 4 workers');
    cluster.run(200);
    assert.deepEqual(readySlots(cluster), [1, 2, 3, 4]);
    assert.match(cluster.state.status, /^4 of 4 workers ready/);
  });

  test('down drains the workers with the highest numbers, at once and not as the last ones', () => {
    const cluster = serving({ policy: { workers: 8 }, play: () => ({ drain: 15_000, inFlight: 1 }) });
    assert.equal(why(scale(cluster, { to: 1 })), 'from 8 to 1 worker');
    assert.deepEqual(
      cluster.effects('drain').map(({ key, last }) => [key, last]),
      [2, 3, 4, 5, 6, 7, 8].map((key) => [key, false]),
    );
    cluster.run(20_000);
    assert.deepEqual(cluster.effects('kill'), [], 'however many drain at once');
    assert.deepEqual(readySlots(cluster), [1]);
    assert.equal(cluster.state.workers.length, 1);
  });

  test('down and up again fills the slots beside those who still drain', () => {
    const cluster = serving({ play: ({ nth }) => (nth === 1 ? { drain: 9_000 } : {}) });
    scale(cluster, { to: 1 });
    cluster.run(1_000);
    scale(cluster, { to: 2 });
    cluster.run(1_000);
    assert.deepEqual(readySlots(cluster), [1, 2]);
    assert.equal(cluster.state.workers.length, 3);
  });

  test('refuses what is no number of workers, and leaves everything as it is', () => {
    const cluster = serving();
    for (const [change, number] of [
      [{ to: 0 }, 0],
      [{ add: -2 }, 0],
      [{ to: 1.5 }, 1.5],
      [{ to: Number.NaN }, Number.NaN],
      [{ add: 10_000 }, 10_002],
    ] as const) {
      assert.equal(why(scale(cluster, change)), `scale: ${number} workers; expected 1 to 1024`);
    }
    assert.equal(cluster.state.slots.length, 2);
  });

  test('is refused before the service serves and while it stops', () => {
    const cluster = new SimCluster({ play: () => ({ drain: 5_000 }) }).start();
    assert.equal(why(scale(cluster, { add: 1 })), 'scale: the service is still starting');
    cluster.run(1_000).stop();
    assert.equal(why(scale(cluster, { add: 1 })), 'scale: the service is stopping');
  });

  test('during a reload waits for the verdict; of several they add up or the last counts', () => {
    const cluster = serving();
    cluster.reload();
    assert.equal(why(scale(cluster, { add: 1 })), '3 workers once the reload is over');
    assert.equal(why(scale(cluster, { add: 1 })), '4 workers once the reload is over');
    assert.equal(why(scale(cluster, { to: 3 })), '3 workers once the reload is over');
    cluster.run(2_100);
    assert.equal(cluster.state.slots.length, 2);
    cluster.run(2_000);
    assert.equal(cluster.state.lastReload?.verdict, 'done');
    assert.deepEqual(
      cluster.state.workers.map((worker) => [slotOf(worker), worker.generation, worker.phase]),
      [
        [1, 2, 'ready'],
        [2, 2, 'ready'],
        [3, 2, 'ready'],
      ],
    );
  });

  test('that waits for a rollback is done with the old generation', () => {
    const cluster = serving({
      play: ({ generation }) => (generation === 2 ? { bootFailure: { after: 50, failure } } : {}),
    });
    cluster.reload();
    scale(cluster, { to: 3 });
    cluster.run(1_000);
    assert.deepEqual(readySlots(cluster), [1, 2, 3]);
    assert.deepEqual([...new Set(cluster.state.workers.map(({ generation }) => generation))], [1]);
  });

  test('that waits is forgotten by a stop', () => {
    const cluster = serving();
    cluster.reload();
    scale(cluster, { to: 3 });
    cluster.stop().runToEnd();
    assert.equal(cluster.effects('fork').length, 3);
    assert.equal(cluster.state.pendingScale, null);
  });

  test('a death in a slot that is given up is followed by nobody', () => {
    const cluster = serving({
      play: ({ slot, nth }) =>
        slot === 1 ? {} : nth === 1 ? { crash: { after: 1_500 } } : { boot: null, immortal: true },
    }).run(11_000);
    assert.equal(cluster.state.workers.find(({ key }) => key === 3)?.phase, 'dying');
    const before = cluster.effects('fork').length;
    scale(cluster, { to: 1 });
    cluster.post({ type: 'exited', key: 3, code: null, signal: 'SIGKILL' });
    cluster.run(20_000);
    assert.equal(cluster.effects('fork').length, before);
    assert.equal(cluster.state.slots.length, 1);
  });
});

describe('a restart of a worker', () => {
  test('has the new one first: the old one drains when it listens', () => {
    const cluster = serving();
    assert.equal(why(restart(cluster, 2)), 'worker 2 is being replaced');
    cluster.run(99);
    assert.deepEqual(cluster.effects('drain'), []);
    cluster.run(1);
    assert.deepEqual(
      cluster.effects('drain').map(({ key, last, at }) => [key, last, at]),
      [[2, false, 1_100]],
    );
    cluster.run(1_000);
    assert.deepEqual(readySlots(cluster), [1, 2]);
    assert.equal(cluster.state.generation, 1);
  });

  test('leaves the old one where the new one dies', () => {
    const cluster = serving({ play: ({ nth }) => (nth > 1 ? { bootFailure: { after: 50, failure } } : {}) });
    restart(cluster, 2);
    cluster.run(5_000);
    assert.deepEqual(
      cluster.state.workers.map(({ key, phase }) => [key, phase]),
      [
        [1, 'ready'],
        [2, 'ready'],
      ],
    );
    assert.equal(cluster.effects('fork').length, 3);
    assert.deepEqual(cluster.effects('drain'), []);
  });

  test('does not have the slot filled twice where the old one dies meanwhile', () => {
    const cluster = serving({
      play: ({ slot, nth }) => (slot === 2 && nth === 1 ? { crash: { after: 950 } } : {}),
    });
    restart(cluster, 2);
    cluster.run(5_000);
    assert.equal(cluster.effects('fork').length, 3);
    assert.deepEqual(readySlots(cluster), [1, 2]);
  });

  test('is refused where there is no such worker, or it starts already', () => {
    const cluster = serving();
    assert.equal(why(restart(cluster, 3)), 'restart: there is no worker 3; expected one of 1, 2');
    restart(cluster, 2);
    assert.equal(why(restart(cluster, 2)), 'restart: worker 2 is starting already');
  });
});

describe('workers that drain while the service goes on', () => {
  test('are killed when they are over their own limit', () => {
    const cluster = serving({ play: ({ nth }) => (nth === 1 ? { drain: 60_000, inFlight: 2 } : {}) });
    restart(cluster, 1);
    cluster.run(30_000);
    assert.deepEqual(
      cluster.effects('kill').map(({ key, at }) => [key, at]),
      [[1, 1_100 + 21_000]],
    );
    assert.match(cluster.logged('warn').join(), /worker 1 is over the limit of its drain; killing it/);
    assert.equal(cluster.state.deaths.length, 0);
  });

  test('are two at most for a slot: one more ends the oldest', () => {
    const cluster = serving({ play: () => ({ drain: 19_000 }) });
    for (let turn = 0; turn < 3; turn++) {
      restart(cluster, 1);
      cluster.run(1_000);
    }
    assert.deepEqual(
      cluster.effects('kill').map(({ key }) => key),
      [1],
    );
    assert.match(cluster.logged('warn').join(), /3 workers 1 drain at once: the oldest is ended/);
  });
});
