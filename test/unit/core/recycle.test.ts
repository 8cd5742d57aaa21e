import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { SimCluster } from '../../simulation/sim-cluster.js';

const minute = 60_000;
const hour = 60 * minute;

function recycled(cluster: SimCluster): readonly string[] {
  return cluster.logged('info').filter((message) => message.includes('recycled'));
}

describe('recycling', () => {
  test('replaces each worker once in its age, the new one first, one after the other', () => {
    const cluster = new SimCluster({
      policy: { workers: 4, maxAge: 10 * minute },
      play: () => ({ boot: 700 }),
    });
    let fewest = 4;
    cluster.start();
    for (let second = 0; second < 11 * 60; second++) {
      cluster.run(1_000);
      const ready = cluster.state.workers.filter(({ phase }) => phase === 'ready').length;
      if (second > 10) fewest = Math.min(fewest, ready);
    }
    assert.equal(fewest, 4, 'four serve all the while');
    assert.equal(recycled(cluster).length, 4);
    assert.equal(cluster.effects('fork').length, 8);
    const forks = cluster
      .effects('fork')
      .slice(4)
      .map(({ at }) => at);
    assert.ok(
      forks.every((at) => at >= 9 * minute && at < 10 * minute + 10_000),
      forks.join(),
    );
    for (const [index, at] of forks.entries()) {
      assert.ok(index === 0 || at - (forks[index - 1] ?? 0) > 700, 'one starts at a time');
    }
    assert.match(
      recycled(cluster)[0] ?? '',
      /^worker \d is being recycled: it has served for 5\d\d(\.\d)? s$/,
    );
  });

  test('counts requests as well', () => {
    const cluster = new SimCluster({
      policy: { workers: 2, maxRequests: 10_000 },
      play: () => ({ requestsPerSecond: 100 }),
    });
    cluster.start().run(80_000);
    assert.deepEqual(recycled(cluster), []);
    cluster.run(25_000);
    assert.equal(recycled(cluster).length, 2);
    assert.match(recycled(cluster)[0] ?? '', /^worker \d is being recycled: it has had 9\d\d\d requests$/);
  });

  test('is off unless it is asked for', () => {
    const cluster = new SimCluster({ policy: { workers: 2 } }).start().run(hour);
    assert.equal(cluster.effects('fork').length, 2);
  });

  test('leaves the old worker where the new one does not boot, and tries again after ten minutes', () => {
    const cluster = new SimCluster({
      policy: { workers: 1, maxAge: 20 * minute },
      play: ({ nth }) =>
        nth === 2 ? { bootFailure: { after: 50, failure: { message: 'no database', exitCode: 70 } } } : {},
    });
    cluster.start().run(40 * minute);
    const [first] = cluster.effects('drain');
    const forks = cluster.effects('fork').map(({ at }) => at);
    assert.ok(first !== undefined && forks.filter((at) => at < first.at).length >= 3, forks.join());
    assert.equal(cluster.state.life.phase, 'serving');
  });

  test('waits for the end of a reload, and does not begin during a stop', () => {
    const cluster = new SimCluster({ policy: { workers: 2, maxAge: minute, reload: { soak: 2 * minute } } });
    cluster.start().run(50_000).reload();
    cluster.run(90_000);
    assert.deepEqual(recycled(cluster), []);
    const other = new SimCluster({ policy: { workers: 2, maxAge: minute, lameDuck: 5 * minute } });
    other
      .start()
      .run(50_000)
      .stop()
      .run(3 * minute);
    assert.deepEqual(recycled(other), []);
  });
});
