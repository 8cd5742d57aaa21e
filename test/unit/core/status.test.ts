import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { statusLine } from '../../../src/core/status.js';
import { SimCluster } from '../../simulation/sim-cluster.js';
import { simHeartbeat } from '../../simulation/sim-policy.js';

function statuses(cluster: SimCluster): string[] {
  return cluster.effects('notify').flatMap(({ status }) => (status === undefined ? [] : [status]));
}

describe('the status line', () => {
  test('of a start counts the workers that listen', () => {
    const cluster = new SimCluster({
      policy: { workers: 3 },
      play: ({ slot }) => ({ boot: (slot ?? 0) * 1_000 }),
    });
    cluster.start().run(2_500);
    assert.deepEqual(statuses(cluster), [
      'starting: 0 of 3 workers ready',
      'starting: 1 of 3 workers ready',
      'starting: 2 of 3 workers ready',
    ]);
  });

  test('of a service says workers, generation, rate and restarts', () => {
    const cluster = new SimCluster({ play: () => ({ requestsPerSecond: 50 }) }).start().run(30_000);
    assert.equal(
      statusLine(cluster.state, cluster.now, cluster.policy),
      '2 of 2 workers ready, generation 1, 100 req/s, 0 restarts',
    );
    assert.equal(statuses(cluster).at(-1), statusLine(cluster.state, cluster.now, cluster.policy));
  });

  test('counts one restart in the singular', () => {
    const cluster = new SimCluster({ play: ({ key }) => (key === 1 ? { crash: { after: 1_000 } } : {}) });
    cluster.start().run(3_000);
    assert.match(statusLine(cluster.state, cluster.now, cluster.policy), /, 1 restart$/);
  });

  test('of a service says who is not well, and which spares are there', () => {
    const cluster = new SimCluster({
      policy: {
        workers: 3,
        spares: 2,
        memory: { maxRss: 2 ** 30, maxHeap: 0, pressure: 0 },
        restart: { window: 600_000 },
      },
      // The spare that follows the second one is no better.
      play: ({ key }) => ({
        heartbeat: () =>
          key === 1 ? { eventLoopDelayMs: 900 } : key === 2 || key === 4 ? { rssBytes: 2 ** 31 } : {},
      }),
    });
    cluster.start().run(30_000);
    assert.equal(
      statusLine(cluster.state, cluster.now, cluster.policy),
      '3 of 3 workers ready (1 degraded, 1 unhealthy), 2 of 2 spares, generation 1, 0 req/s, 0 restarts',
    );
  });

  test('of a stop says why, who is left, what is in flight and for how long at most', () => {
    const cluster = new SimCluster({ play: ({ slot }) => ({ inFlight: 2, drain: (slot ?? 0) * 1_000 }) });
    cluster.start().run(5_000).stop('SIGHUP').run(1_500);
    assert.equal(
      statusLine(cluster.state, cluster.now, cluster.policy),
      'stopping (SIGHUP): 1 worker left, 2 requests in flight, at most 20 s',
    );
  });

  test('never promises less than nothing', () => {
    const cluster = new SimCluster({ play: () => ({ drain: null, immortal: true, hang: 1 }) })
      .start()
      .run(500);
    cluster.stop().run(23_000);
    assert.match(statusLine(cluster.state, cluster.now, cluster.policy), /at most 0 s$/);
  });

  test('is told once as long as it stays the same, and every 5 s at most while only the rate moves', () => {
    const quiet = new SimCluster().start().run(120_000);
    assert.equal(statuses(quiet).length, 3);
    const busy = new SimCluster({ policy: { hangTimeout: 1e6 }, play: () => ({ hang: 1 }) })
      .start()
      .run(1_000);
    let requests = 0;
    for (let second = 1; second <= 60; second++) {
      requests += second * second;
      busy.post({ type: 'heartbeat', key: 1, heartbeat: simHeartbeat({ requests }) });
      busy.run(1_000);
    }
    assert.ok(statuses(busy).length >= 12 && statuses(busy).length <= 3 + 13, `${statuses(busy).length}`);
  });
});

describe('the rate', () => {
  test('falls to zero again when nothing comes', () => {
    const cluster = new SimCluster({
      policy: { hangTimeout: 1e6 },
      play: () => ({ hang: 10_000, requestsPerSecond: 10 }),
    });
    cluster.start().run(9_000);
    assert.equal(cluster.state.traffic.perSecond, 20);
    cluster.run(20_000);
    assert.equal(cluster.state.traffic.perSecond, 0);
  });

  test('does not fall below zero, nor forget requests, when a worker that had served many dies', () => {
    const cluster = new SimCluster({
      play: ({ key }) => ({ requestsPerSecond: 100, ...(key === 1 ? { crash: { after: 20_500 } } : {}) }),
    });
    cluster.start();
    for (let second = 0; second < 40; second++) {
      cluster.run(1_000);
      assert.ok(cluster.state.traffic.perSecond >= 0);
    }
    assert.equal(cluster.state.traffic.gone, 2_000);
  });
});

describe('the statistics line', () => {
  const statistics = (cluster: SimCluster) =>
    cluster.effects('log').filter(({ message }) => message.startsWith('statistics: '));

  test('is written at its interval while the service serves', () => {
    const cluster = new SimCluster({
      policy: { log: { statsInterval: 60_000 } },
      play: () => ({ requestsPerSecond: 10, inFlight: 3 }),
    });
    cluster.start().run(200_000);
    assert.deepEqual(
      statistics(cluster).map(({ at }) => at),
      [60_000, 120_000, 180_000],
    );
    const [first] = statistics(cluster);
    assert.equal(first?.level, 'info');
    assert.equal(first?.message, 'statistics: 2 of 2 workers ready, generation 1, 20 req/s, 0 restarts');
    assert.deepEqual(first?.fields, {
      requests: 1_180,
      inFlight: 6,
      connections: 6,
      rssBytes: 100 * 2 ** 20,
      uptimeSeconds: 60,
    });
  });

  test('is never written with an interval of 0', () => {
    assert.deepEqual(statistics(new SimCluster().start().run(600_000)), []);
  });

  test('is not written during a stop', () => {
    const cluster = new SimCluster({
      policy: { log: { statsInterval: 1_000 } },
      play: () => ({ drain: 10_000 }),
    });
    cluster.start().run(3_500);
    assert.equal(statistics(cluster).length, 3);
    cluster.stop().runToEnd();
    assert.equal(statistics(cluster).length, 3);
  });
});
