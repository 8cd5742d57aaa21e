import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { PaperCluster } from '../support/paper-cluster.js';

function pings(cluster: PaperCluster): number[] {
  return cluster.effects('notify').flatMap(({ watchdog, at }) => (watchdog === true ? [at] : []));
}

describe('time that the master itself missed', () => {
  test('is not held against the workers', () => {
    const cluster = new PaperCluster({ play: () => ({ hang: 1 }) }).start().run(3_000);
    cluster.freeze(60_000).run(1);
    assert.deepEqual(cluster.effects('kill'), []);
    const [told] = cluster.effects('log').filter(({ level }) => level === 'warn');
    assert.deepEqual([told?.message, told?.fields], ['the master itself stood still', { missed: 59_000 }]);
    cluster.run(5_000);
    assert.equal(cluster.effects('kill').length, 2);
  });

  test('is not held against workers that boot', () => {
    const cluster = new PaperCluster({ play: () => ({ boot: null }) }).start().run(3_000);
    cluster.freeze(60_000).run(5_999);
    assert.deepEqual(cluster.effects('kill'), []);
    cluster.run(2_000);
    assert.equal(cluster.effects('kill').length, 2);
  });

  test('does not keep the pings from systemd', () => {
    const cluster = new PaperCluster({ policy: { pingInterval: 1_000 } });
    cluster.start().run(3_000).freeze(60_000).run(1_000);
    assert.ok(pings(cluster).some((at) => at >= 63_000));
    assert.doesNotMatch(cluster.logged('warn').join(), /withheld/);
  });

  test('gives no worker credit for the future, when its news is read before the clock', () => {
    const cluster = new PaperCluster({ play: () => ({ hang: 4_500 }) }).start().run(3_000);
    // The beats that came meanwhile are read first, as the event loop does after SIGCONT.
    cluster.freeze(600_000).run(1);
    assert.ok(cluster.state.watchdog.quorumAt <= cluster.now);
    for (const worker of cluster.state.workers) {
      assert.ok(worker.phase === 'ready' && worker.beatAt <= cluster.now);
    }
    cluster.run(6_000);
    assert.equal(cluster.effects('kill').length, 2, 'both have been silent for the limit since');
  });

  test('gives a worker that was forked on waking no more than the limit of a boot', () => {
    const cluster = new PaperCluster({
      play: ({ slot, nth }) => (slot === 1 ? (nth === 1 ? { crash: { after: 5_000 } } : { boot: null }) : {}),
    });
    cluster.start().run(3_000).freeze(600_000).run(1);
    const [, booting] = cluster.state.workers;
    assert.ok(booting?.phase === 'starting' && booting.deadline <= cluster.now + 10_000);
  });

  test('of less than half a tick is nothing to talk about', () => {
    const cluster = new PaperCluster().start().run(3_000);
    cluster.freeze(1_499).run(1);
    assert.deepEqual(cluster.logged('warn'), []);
  });
});
