import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { PaperCluster } from '../support/paper-cluster.js';
import { paperBeat } from '../support/paper-policy.js';

function pings(cluster: PaperCluster): number[] {
  return cluster.effects('notify').flatMap(({ watchdog, at }) => (watchdog === true ? [at] : []));
}

describe('a worker that falls silent', () => {
  test('is killed once it was silent for the limit, and replaced at once', () => {
    const cluster = new PaperCluster({
      play: ({ slot, nth }) => (slot === 1 && nth === 1 ? { hang: 10_500 } : {}),
    });
    cluster.start().run(30_000);
    const [kill] = cluster.effects('kill');
    // Its last beat came 10 s after it was ready.
    assert.ok(kill !== undefined && kill.at >= 15_100 && kill.at <= 16_100, `${kill?.at}`);
    assert.equal(cluster.effects('kill').length, 1);
    const again = cluster.effects('fork')[2];
    assert.deepEqual([again?.slot, again?.at], [1, kill.at + 2]);
    assert.match(cluster.logged('warn').join(), /^worker 1 hung: silent for 5(\.\d)? s; killing it$/);
    assert.match(cluster.logged('error').join(), /^worker 1 crashed: hung: silent for/);
  });

  test('keeps its slot until it is gone: nobody takes it meanwhile', () => {
    const cluster = new PaperCluster({ play: ({ slot }) => (slot === 1 ? { hang: 1, immortal: true } : {}) });
    cluster.start().run(60_000);
    assert.equal(cluster.effects('kill').length, 1);
    assert.equal(cluster.effects('fork').length, 2);
    assert.equal(cluster.state.workers[0]?.phase, 'dying');
  });

  test('is not taken for hung while its beats come, however late', () => {
    const cluster = new PaperCluster({ play: () => ({ hang: 1 }) }).start().run(100);
    for (let index = 0; index < 20; index++) {
      cluster.run(4_900);
      for (const key of [1, 2]) cluster.post({ type: 'beat', key, beat: paperBeat() });
    }
    assert.deepEqual(cluster.effects('kill'), []);
  });

  test('while it boots is given the limit of the boot instead', () => {
    const cluster = new PaperCluster({ play: () => ({ boot: 9_000 }) }).start().run(9_500);
    assert.deepEqual(cluster.effects('kill'), []);
    assert.equal(cluster.state.life.phase, 'serving');
  });
});

describe('beats', () => {
  for (const [phase, key] of [
    ['boots', 1],
    ['is not known', 99],
  ] as const) {
    test(`of a worker that ${phase} say nothing`, () => {
      const cluster = new PaperCluster({ play: () => ({ boot: 5_000 }) }).start().run(100);
      const before = cluster.state;
      assert.deepEqual(cluster.post({ type: 'beat', key, beat: paperBeat() }), []);
      assert.equal(cluster.state, before);
    });
  }

  test('of a worker that is being killed do not save it', () => {
    const cluster = new PaperCluster({ play: () => ({ hang: 1, immortal: true }) }).start().run(6_000);
    assert.equal(cluster.state.workers[0]?.phase, 'dying');
    const before = cluster.state;
    cluster.post({ type: 'beat', key: 1, beat: paperBeat() });
    assert.equal(cluster.state, before);
  });
});

describe('time that the master itself missed', () => {
  test('is not held against the workers', () => {
    const cluster = new PaperCluster({ play: () => ({ hang: 1 }) }).start().run(3_000);
    cluster.freeze(60_000).run(1);
    assert.deepEqual(cluster.effects('kill'), []);
    assert.deepEqual(
      cluster
        .effects('log')
        .filter(({ level }) => level === 'warn')
        .map(({ message, fields }) => [message, fields]),
      [['the master itself stood still', { missed: 59_000 }]],
    );
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
    const cluster = new PaperCluster({ policy: { pingInterval: 1_000 }, play: () => ({ hang: 1 }) });
    cluster.start().run(3_000).freeze(60_000).run(1_000);
    assert.ok(pings(cluster).some((at) => at >= 63_000));
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

describe('pings', () => {
  test('go out at their interval from the start on, whatever else happens', () => {
    const cluster = new PaperCluster({ policy: { pingInterval: 3_333 }, play: () => ({ boot: 5_000 }) });
    cluster.start().run(20_000);
    assert.deepEqual(pings(cluster), [3_333, 6_666, 9_999, 13_332, 16_665, 19_998]);
  });

  test('are never sent where nobody asked for them', () => {
    assert.deepEqual(pings(new PaperCluster().start().run(60_000)), []);
  });

  test('go on while one worker hangs and is replaced', () => {
    const cluster = new PaperCluster({
      policy: { pingInterval: 1_000 },
      play: ({ slot, nth }) => (slot === 1 && nth === 1 ? { hang: 5_000 } : {}),
    });
    cluster.start().run(60_000);
    assert.equal(pings(cluster).length, 60);
  });

  test('go on while all workers hang at once and come back', () => {
    const cluster = new PaperCluster({
      policy: { pingInterval: 1_000 },
      play: ({ nth }) => (nth === 1 ? { hang: 5_000 } : { boot: 9_000 }),
    });
    cluster.start().run(60_000);
    assert.equal(pings(cluster).length, 60);
  });

  test('are withheld once nobody has answered for longer than a replacement takes', () => {
    const cluster = new PaperCluster({
      policy: { pingInterval: 1_000, hangTimeout: 5_000, bootTimeout: 10_000 },
      play: () => ({ hang: 4_500, immortal: true }),
    });
    cluster.start().run(60_000);
    // The last beats came 4 s after readiness at 100 ms.
    assert.equal(pings(cluster).at(-1), 19_000);
  });

  test('come back with the first answer', () => {
    const boots = [100, null, 5_000];
    const cluster = new PaperCluster({
      policy: { workers: 1, pingInterval: 1_000, hangTimeout: 5_000, bootTimeout: 10_000 },
      play: ({ nth }) => ({ boot: boots[nth - 1] ?? null, ...(nth === 1 ? { hang: 1 } : {}) }),
    });
    // Killed after 6 s, its replacement 10 s later; the third listens after a backoff and 5 s of boot.
    cluster.start().run(30_000);
    assert.equal(cluster.state.restarts, 2);
    const missing = Array.from({ length: 30 }, (_, index) => (index + 1) * 1_000).filter(
      (at) => !pings(cluster).includes(at),
    );
    assert.deepEqual(missing, [16_000, 17_000, 18_000, 19_000, 20_000, 21_000]);
  });

  test('go on during a drain', () => {
    const cluster = new PaperCluster({
      policy: { pingInterval: 1_000, drainTimeout: 40_000, hangTimeout: 5_000, bootTimeout: 5_000 },
      play: () => ({ drain: 30_000 }),
    });
    cluster.start().run(5_000).stop().run(25_000);
    assert.equal(pings(cluster).length, 30);
  });
});
