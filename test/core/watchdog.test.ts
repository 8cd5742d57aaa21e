import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { PaperCluster } from '../support/paper-cluster.js';

function pings(cluster: PaperCluster): number[] {
  return cluster.effects('notify').flatMap(({ watchdog, at }) => (watchdog === true ? [at] : []));
}

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
      policy: { pingInterval: 3_000 },
      play: ({ nth }) => (nth === 1 ? { hang: 5_000 } : { boot: 9_000 }),
    });
    cluster.start().run(60_000);
    assert.equal(pings(cluster).length, 20);
  });

  test('are withheld once nobody has answered for longer than a replacement takes', () => {
    const cluster = new PaperCluster({
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
    const cluster = new PaperCluster({
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

  test('go on during a drain', () => {
    const cluster = new PaperCluster({
      policy: { pingInterval: 1_000, drainTimeout: 40_000, hangTimeout: 5_000, bootTimeout: 5_000 },
      play: () => ({ drain: 30_000 }),
    });
    cluster.start().run(5_000).stop().run(25_000);
    assert.equal(pings(cluster).length, 30);
  });
});
