import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { SimCluster } from '../../simulation/sim-cluster.js';
import { simHeartbeat } from '../../simulation/sim-policy.js';

function pings(cluster: SimCluster): number[] {
  return cluster.effects('notify').flatMap(({ watchdog, at }) => (watchdog === true ? [at] : []));
}

describe('time that the master itself missed', () => {
  test('is not held against the workers', () => {
    const cluster = new SimCluster({ play: () => ({ hang: 1 }) }).start().run(3_000);
    cluster.freeze(60_000).run(1);
    assert.deepEqual(cluster.effects('kill'), []);
    const [told] = cluster.effects('log').filter(({ level }) => level === 'warn');
    assert.deepEqual(
      [told?.message, told?.fields],
      ['master event loop stalled for 59150 ms; worker deadlines extended', undefined],
    );
    cluster.run(5_000);
    assert.equal(cluster.effects('kill').length, 2);
  });

  test('is not held against workers that boot', () => {
    const cluster = new SimCluster({ play: () => ({ boot: null }) }).start().run(3_000);
    cluster.freeze(60_000).run(5_999);
    assert.deepEqual(cluster.effects('kill'), []);
    cluster.run(2_000);
    assert.equal(cluster.effects('kill').length, 1, 'which ends the start');
  });

  test('moves the limit of a stop as it moves those of its workers', () => {
    const cluster = new SimCluster({ play: () => ({ drain: 20_000 }), policy: { drainTimeout: 30_000 } });
    cluster.start().run(3_000).stop().run(5_000);
    cluster.freeze(60_000).run(10_000);
    assert.deepEqual(cluster.effects('kill'), []);
    cluster.run(30_000);
    assert.equal(cluster.state.life.phase, 'ended');
    assert.deepEqual(cluster.effects('kill'), []);
  });

  test('is not held against a canary that is mirrored: its time begins anew where it was', () => {
    const cluster = new SimCluster({ policy: { reload: { mirror: 'safe', mirrorTime: 10_000 } } });
    cluster.start().run(2_000).reload();
    cluster.run(3_000);
    const until = (): number => {
      const stage = cluster.state.reload?.stage;
      assert.ok(stage?.name === 'mirror');
      return stage.until;
    };
    const before = until();
    cluster.freeze(60_000).run(1);
    assert.ok(until() >= before + 59_000, `${before} -> ${until()}`);
    cluster.run(2_000);
    assert.equal(cluster.state.reload?.stage.name, 'mirror');
  });

  test('does not keep the pings from systemd', () => {
    const cluster = new SimCluster({ policy: { pingInterval: 1_000 } });
    cluster.start().run(3_000).freeze(60_000).run(1_000);
    assert.ok(pings(cluster).some((at) => at >= 63_000));
    assert.doesNotMatch(cluster.logged('warn').join(), /withheld/);
  });

  test('gives no worker credit for the future, when its news is read before the clock', () => {
    const cluster = new SimCluster({ play: () => ({ hang: 4_500 }) }).start().run(3_000);
    // The heartbeats that came meanwhile are read first, as the event loop does after SIGCONT.
    cluster.freeze(600_000).run(1);
    assert.ok(cluster.state.watchdog.quorumAt <= cluster.now);
    for (const worker of cluster.state.workers) {
      assert.ok(worker.phase === 'ready' && worker.heartbeatAt <= cluster.now);
    }
    cluster.run(6_000);
    assert.equal(cluster.effects('kill').length, 2, 'both have been silent for the limit since');
  });

  test('gives a worker that was forked on waking no more than the limit of a boot', () => {
    const cluster = new SimCluster({
      play: ({ slot, nth }) => (slot === 1 ? (nth === 1 ? { crash: { after: 5_000 } } : { boot: null }) : {}),
    });
    cluster.start().run(3_000).freeze(600_000).run(1);
    const [, booting] = cluster.state.workers;
    assert.ok(booting?.phase === 'starting' && booting.deadline <= cluster.now + 10_000);
  });

  test('of less than half a tick is nothing to talk about', () => {
    const cluster = new SimCluster().start().run(3_000);
    cluster.freeze(1_499).run(1);
    assert.deepEqual(cluster.logged('warn'), []);
  });

  test('does not have a worker looked at, nor one that is looked at killed', () => {
    const before = new SimCluster({ play: () => ({ hang: 1 }) }).start().run(3_500);
    before.freeze(60_000).run(1);
    assert.deepEqual(before.effects('capture'), []);
    const between = new SimCluster({ play: () => ({ hang: 1 }) }).start().run(4_500);
    assert.equal(between.effects('capture').length, 2);
    between.freeze(60_000).run(1);
    assert.deepEqual(between.effects('kill'), []);
  });

  test('has what came meanwhile read before anybody is judged, though the kill was due', () => {
    // Looked at since 4.1 s, to be killed at 5.1 s; it speaks while the master stands still.
    const cluster = new SimCluster({ play: () => ({ hang: 1 }) }).start().run(4_500);
    cluster.freeze(1_200);
    // The timer comes first, as it does in the event loop, and the mail after it.
    cluster.post({ type: 'tick' });
    assert.deepEqual(cluster.effects('kill'), []);
    for (const key of [1, 2]) cluster.post({ type: 'heartbeat', key, heartbeat: simHeartbeat() });
    cluster.run(3_000);
    assert.deepEqual(cluster.effects('kill'), []);
    assert.match(cluster.logged('warn').join(), /worker 1 did not answer for/);
  });

  test('is noticed with a short hang limit, too: a stall of the master is not one of the workers', () => {
    for (const stall of [300, 700, 1_100, 1_400, 2_000, 10_000]) {
      for (let phase = 0; phase < 1_000; phase += 50) {
        const cluster = new SimCluster({ policy: { hangTimeout: 1_000, heartbeatInterval: 250 } });
        cluster.start().run(3_000 + phase);
        cluster.freeze(stall).post({ type: 'tick' });
        cluster.run(5_000);
        assert.deepEqual(cluster.effects('kill'), [], `${stall} ms at ${phase}`);
      }
    }
  });

  test('makes nobody degraded or unhealthy', () => {
    const late = { eventLoopDelayMs: 800 };
    const cluster = new SimCluster({
      policy: { health: { slowDelay: 500, slowLimit: 30_000 } },
      play: ({ slot }) => (slot === 1 ? { heartbeat: (served) => (served > 5_000 ? late : {}) } : {}),
    });
    cluster.start().run(10_000).freeze(60_000).run(5_000);
    assert.equal(cluster.state.workers[0]?.vitals.health, 'degraded');
    assert.equal(cluster.effects('fork').length, 2);
    cluster.run(30_000);
    assert.equal(cluster.effects('fork').length, 3);
  });

  test('does not end what a worker is excused for, and takes no proof away', () => {
    const cluster = new SimCluster({
      policy: { workers: 1, pingInterval: 3_000 },
      play: () => ({ hang: 2_000 }),
    });
    cluster.start().run(2_500);
    cluster.post({ type: 'excused', key: 1, for: 20_000 });
    cluster.run(1_000).freeze(60_000).run(15_000);
    assert.deepEqual(cluster.effects('capture'), []);
    assert.doesNotMatch(cluster.logged('warn').join(), /withheld/);
  });

  test('is no time in which the memory had its rest', () => {
    const mebibyte = 2 ** 20;
    const cluster = new SimCluster({
      policy: { workers: 3, memory: { maxRss: null, maxHeap: 0, pressure: 0.9 } },
      play: () => ({ heartbeat: (served) => ({ rssBytes: (50 + served / 50) * mebibyte }) }),
    });
    cluster.start().run(10_000);
    const read = (times: number) => {
      for (let index = 0; index < times; index++) {
        cluster.post({ type: 'memory', used: 95, limit: 100, stalled: null });
        cluster.run(1_000);
      }
    };
    read(5);
    assert.equal(cluster.effects('drain').length, 1);
    cluster.freeze(60_000).run(1);
    read(4);
    assert.equal(cluster.effects('drain').length, 1);
    read(8);
    assert.equal(cluster.effects('drain').length, 2);
  });
});
