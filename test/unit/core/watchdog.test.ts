import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { SimCluster } from '../../simulation/sim-cluster.js';

function pings(cluster: SimCluster): number[] {
  return cluster.effects('notify').flatMap(({ watchdog, at }) => (watchdog === true ? [at] : []));
}

describe('pings', () => {
  test('go out at their interval from the start on, whatever else happens', () => {
    const cluster = new SimCluster({ policy: { pingInterval: 3_333 }, play: () => ({ boot: 5_000 }) });
    cluster.start().run(20_000);
    assert.deepEqual(pings(cluster), [3_333, 6_666, 9_999, 13_332, 16_665, 19_998]);
  });

  test('are never sent where nobody asked for them', () => {
    assert.deepEqual(pings(new SimCluster().start().run(60_000)), []);
  });

  test('go on while one worker hangs and is replaced', () => {
    const cluster = new SimCluster({
      policy: { pingInterval: 1_000 },
      play: ({ slot, nth }) => (slot === 1 && nth === 1 ? { hang: 5_000 } : {}),
    });
    cluster.start().run(60_000);
    assert.equal(pings(cluster).length, 60);
  });

  test('go on while all workers hang at once and come back', () => {
    const cluster = new SimCluster({
      policy: { pingInterval: 3_000 },
      play: ({ nth }) => (nth === 1 ? { hang: 5_000 } : { boot: 9_000 }),
    });
    cluster.start().run(60_000);
    assert.equal(pings(cluster).length, 20);
  });

  test('are withheld once nobody has answered for longer than a replacement takes', () => {
    const cluster = new SimCluster({
      policy: { pingInterval: 1_000, hangTimeout: 5_000, bootTimeout: 10_000 },
      play: ({ nth }) => (nth === 1 ? { hang: 4_500 } : { boot: null }),
    });
    cluster.start().run(30_000);
    // They proved it before the ping of 4 s for the last time, which holds for two pings. Killed they are at 9.1 s.
    assert.deepEqual(
      pings(cluster).filter((at) => at > 5_000),
      Array.from({ length: 11 }, (_, index) => 10_000 + index * 1_000),
    );
  });

  test('come back with the first answer', () => {
    const boots = [100, null, 5_000];
    const cluster = new SimCluster({
      policy: { workers: 1, pingInterval: 1_000, hangTimeout: 5_000, bootTimeout: 10_000 },
      play: ({ nth }) => ({ boot: boots[nth - 1] ?? null, ...(nth === 1 ? { hang: 1 } : {}) }),
    });
    // Killed after 5.1 s, its replacement 10 s later; the third listens after a backoff and 5 s of boot.
    cluster.start().run(30_000);
    assert.equal(cluster.state.restarts, 2);
    const missing = Array.from({ length: 30 }, (_, index) => (index + 1) * 1_000).filter(
      (at) => !pings(cluster).includes(at),
    );
    assert.deepEqual(missing, [3_000, 4_000, 5_000, 18_000, 19_000, 20_000]);
  });

  test('are withheld where all apps have closed their servers, and no replacement comes up', () => {
    const cluster = new SimCluster({
      policy: { pingInterval: 1_000, hangTimeout: 5_000, bootTimeout: 10_000, restart: { intensity: 1_000 } },
      play: ({ nth }) => (nth === 1 ? { deaf: 4_000, proves: false } : { boot: null }),
    });
    cluster.start().run(60_000);
    assert.deepEqual(
      pings(cluster).filter((at) => at > 4_100 + 5_000 + 10_000 + 1_000),
      [],
    );
    assert.equal(cluster.state.watchdog.withheld, true);
  });

  test('go on where an app closes its server after each boot, until so many restarts end the service', () => {
    const cluster = new SimCluster({
      policy: { pingInterval: 1_000 },
      play: () => ({ boot: 300, deaf: 2_000, proves: false }),
    });
    cluster.start().run(60_000);
    assert.deepEqual(cluster.state.life, { phase: 'ended', exitCode: 76 });
  });

  test('go on during a drain', () => {
    const cluster = new SimCluster({
      policy: { pingInterval: 1_000, drainTimeout: 40_000, hangTimeout: 5_000, bootTimeout: 5_000 },
      play: () => ({ drain: 30_000 }),
    });
    cluster.start().run(5_000).stop().run(25_000);
    assert.equal(pings(cluster).length, 30);
  });
});

describe('a proof', () => {
  const every = 3_000;

  test('is asked for a third of the interval before the ping, of those who answered nothing since the last', () => {
    const cluster = new SimCluster({
      policy: { pingInterval: every },
      play: ({ slot }) => (slot === 1 ? { requestsPerSecond: 5 } : {}),
    });
    cluster.start().run(9_500);
    assert.deepEqual(
      cluster.effects('prove').map(({ key, timeout, at }) => [key, timeout, at]),
      [
        [2, 1_000, 5_000],
        [2, 1_000, 8_000],
      ],
    );
  });

  test('is given by real answers alone where there is traffic', () => {
    const cluster = new SimCluster({
      policy: { pingInterval: every },
      play: () => ({ requestsPerSecond: 5, proves: false }),
    });
    cluster.start().run(60_000);
    assert.deepEqual(cluster.effects('prove'), []);
    assert.equal(pings(cluster).length, 20);
  });

  test('is not given by a heartbeat without an answer: the pings are withheld, and the log knows once', () => {
    const cluster = new SimCluster({ policy: { pingInterval: every }, play: () => ({ proves: false }) });
    cluster.start().run(60_000);
    // To listen is a proof, and one holds for two intervals.
    assert.deepEqual(pings(cluster), [3_000, 6_000]);
    assert.deepEqual(cluster.logged('warn'), ['watchdog pings are withheld: 0 of 2 workers answer']);
  });

  test('that comes has the pings go on', () => {
    const cluster = new SimCluster({ policy: { pingInterval: every }, play: () => ({ proves: false }) });
    cluster.start().run(20_000);
    cluster.post({ type: 'proved', key: 2 });
    cluster.run(1_500);
    assert.equal(pings(cluster).at(-1), 21_000);
    assert.equal(cluster.logged('info').at(-1), 'watchdog pings go on: 1 of 2 workers answers');
  });

  for (const [workers, quorum] of [
    [1, 1],
    [2, 1],
    [3, 2],
    [4, 2],
    [5, 3],
  ] as const) {
    test(`of ${quorum} is enough for ${workers} workers, and no fewer`, () => {
      const proving = (enough: number) =>
        new SimCluster({
          policy: { workers, pingInterval: every },
          play: ({ slot }) => ({ proves: (slot ?? 0) <= enough }),
        })
          .start()
          .run(60_000);
      assert.equal(pings(proving(quorum)).length, 20);
      assert.equal(pings(proving(quorum - 1)).length, 2);
    });
  }

  test('is not asked of a worker that is excused, nor missed', () => {
    const cluster = new SimCluster({
      policy: { workers: 1, pingInterval: every },
      play: () => ({ hang: 2_000 }),
    });
    cluster.start().run(2_500);
    cluster.post({ type: 'excused', key: 1, for: 30_000 });
    cluster.run(30_000);
    assert.equal(pings(cluster).length, 10);
    assert.deepEqual(cluster.effects('prove'), []);
  });

  test('is asked of nobody during the start and the stop, when the pings go on', () => {
    const cluster = new SimCluster({
      policy: { pingInterval: every },
      play: () => ({ boot: 8_000, drain: 15_000, proves: false }),
    });
    cluster.start().run(8_500).stop().run(14_000);
    assert.deepEqual(cluster.effects('prove'), []);
    assert.equal(pings(cluster).length, 7);
  });

  test('of a replacement is that it listens', () => {
    const cluster = new SimCluster({
      policy: { workers: 1, pingInterval: every },
      play: ({ nth }) => (nth === 1 ? { crash: { after: 8_000 } } : { boot: 3_500 }),
    });
    cluster.start().run(30_000);
    assert.equal(pings(cluster).length, 10);
  });
});
