import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { SimCluster } from '../../simulation/sim-cluster.js';
import { first, forks, promotions, servingWithSpare as serving, workers } from '../../simulation/spares.js';

describe('a spare takes over', () => {
  test('at once where a worker crashes, and the next one is made a moment after it serves', () => {
    const cluster = serving({ play: first({ crash: { after: 4_900, signal: 'SIGSEGV' } }) }).run(9_000);
    assert.deepEqual(promotions(cluster), [[3, 1, 5_000]]);
    assert.deepEqual(forks(cluster).slice(3), [[4, null, 1, 5_100]]);
    const [ready, again] = cluster.effects('log').filter(({ message }) => message === 'worker 1 is ready');
    assert.equal(ready?.at, 100);
    assert.deepEqual([again?.at, again?.fields?.tookMs], [5_002, 2]);
    assert.equal(cluster.state.restarts, 1);
  });

  test('at once where a worker hangs', () => {
    const cluster = serving({ play: first({ hang: 1_050 }) }).run(9_000);
    assert.deepEqual(promotions(cluster), [[3, 1, 6_100]]);
  });

  test('whatever the backoff, as long as there is one', () => {
    const cluster = serving({
      policy: { spares: 2, restart: { crashDelay: 30_000, crashDelayMax: 30_000 } },
      play: ({ slot, nth }) =>
        slot === 1
          ? { crash: { after: 4_900 } }
          : slot === null && nth === 1
            ? { crash: { after: 5_000 } }
            : {},
    });
    // Spare 3 is promoted at 5 s, and dies of its own crash soon after, which is the slot's second.
    cluster.run(5_000);
    const delays = cluster
      .effects('log')
      .flatMap(({ level, fields }) => (level === 'error' ? [fields?.restartInMs] : []));
    assert.deepEqual(delays, [0, 0]);
    assert.equal(promotions(cluster).length, 2);
  });

  test('not from one who could not boot: that slot waits for its backoff', () => {
    const cluster = serving({
      policy: { spares: 2 },
      play: ({ slot, key }) => (slot === 1 ? { crash: { after: 4_900 } } : key === 3 ? { boot: 100 } : {}),
    });
    cluster.run(4_000);
    cluster.post({ type: 'exited', key: 3, code: 1, signal: null });
    const deaths = cluster.effects('log').filter(({ level }) => level === 'error');
    assert.equal(deaths.length, 2);
    assert.ok(Number(deaths[1]?.fields?.restartInMs) >= 250);
    assert.deepEqual(promotions(cluster), [[3, 1, 5_000]]);
  });

  test('where a restart is asked for: the old one drains when it listens', () => {
    const cluster = serving();
    cluster.ask({ type: 'restart', by: 'alice', slot: 2 });
    assert.deepEqual(promotions(cluster), [[3, 2, 1_000]]);
    cluster.run(500);
    assert.deepEqual(
      cluster.effects('drain').map(({ key, at }) => [key, at]),
      [[2, 1_002]],
    );
    assert.deepEqual(
      workers(cluster).filter(([, slot]) => slot === 2),
      [[3, 2, 1, 'ready']],
    );
  });

  test('of a worker that is younger than itself', () => {
    // Spare 3 boots for longer than it takes to replace worker 1 by worker 4.
    const cluster = new SimCluster({
      policy: { spares: 1 },
      play: ({ slot, nth }) =>
        slot === null && nth === 1
          ? { boot: 2_000 }
          : slot === 1 && nth === 1
            ? { crash: { after: 500 } }
            : {},
    });
    cluster.start().run(3_000);
    cluster.ask({ type: 'restart', by: 'alice', slot: 1 });
    cluster.run(1_000);
    assert.deepEqual(promotions(cluster), [[3, 1, 3_000]]);
    assert.deepEqual(
      cluster.effects('drain').map(({ key }) => key),
      [4],
    );
  });

  test('where the service is scaled up, as far as they go', () => {
    const cluster = serving();
    cluster.ask({ type: 'scale', by: 'alice', change: { add: 2 } });
    assert.deepEqual(promotions(cluster), [[3, 3, 1_000]]);
    assert.deepEqual(forks(cluster).slice(3), [[4, 4, 1, 1_000]]);
    cluster.run(2_000);
    assert.deepEqual(forks(cluster).slice(4), [[5, null, 1, 1_100]]);
  });

  test('where a worker is sick', () => {
    const cluster = serving({
      policy: { memory: { maxRss: 100, maxHeap: 0, pressure: 0 } },
      play: ({ slot, nth }) => ({ heartbeat: () => ({ rssBytes: slot === 1 && nth === 1 ? 200 : 10 }) }),
    }).run(5_000);
    assert.equal(promotions(cluster).length, 1);
    assert.deepEqual(
      cluster.effects('drain').map(({ key }) => key),
      [1],
    );
  });

  test('of a worker that was drained for memory, once that is gone; no spare is made while it is short', () => {
    const cluster = new SimCluster({
      policy: { spares: 1, memory: { maxRss: null, maxHeap: 0, pressure: 0.9 } },
      play: ({ slot, nth }) => ({
        drain: 3_000,
        heartbeat: (served) => ({ rssBytes: (slot === 1 && nth === 1 ? 50 + served / 50 : 50) * 2 ** 20 }),
      }),
    });
    cluster.start().run(10_000);
    for (let second = 0; second < 8; second++) {
      cluster.post({ type: 'memory', used: 95, limit: 100, stalled: null });
      cluster.run(1_000);
    }
    const [drain] = cluster.effects('drain');
    assert.deepEqual(promotions(cluster), [[3, 1, (drain?.at ?? 0) + 3_005]]);
    assert.equal(cluster.effects('fork').length, 3);
    cluster.post({ type: 'memory', used: 50, limit: 100, stalled: null });
    assert.equal(cluster.effects('fork').length, 4);
  });

  test('only if it is known to be well', () => {
    const cluster = serving({
      play: ({ slot, nth }) =>
        slot === null && nth === 1
          ? { hang: 1_000 }
          : slot === 1 && nth === 1
            ? { crash: { after: 5_500 } }
            : {},
    }).run(6_000);
    assert.deepEqual(promotions(cluster), []);
    assert.deepEqual(forks(cluster).filter(([, slot]) => slot === 1).length, 2);
  });

  test('with the time of a boot to listen, and what it did before does not count as stable', () => {
    const cluster = serving({
      play: ({ slot, nth }) =>
        slot === 1 && nth === 1
          ? { crash: { after: 99_900 } }
          : slot === null && nth === 1
            ? { crash: { after: 100_000 } }
            : {},
    });
    cluster.run(100_500);
    assert.equal(cluster.state.slots[0]?.crashes, 2, 'in a row');
  });
});
