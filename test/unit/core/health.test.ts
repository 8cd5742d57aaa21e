import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { SimCluster } from '../../simulation/sim-cluster.js';
import { simHeartbeat } from '../../simulation/sim-policy.js';

describe('heartbeats', () => {
  for (const [phase, key] of [
    ['boots', 1],
    ['is not known', 99],
  ] as const) {
    test(`of a worker that ${phase} say nothing`, () => {
      const cluster = new SimCluster({ play: () => ({ boot: 5_000 }) }).start().run(100);
      const before = cluster.state;
      assert.deepEqual(cluster.post({ type: 'heartbeat', key, heartbeat: simHeartbeat() }), []);
      assert.equal(cluster.state, before);
    });
  }

  test('of a worker that is being killed do not save it', () => {
    const cluster = new SimCluster({ play: () => ({ hang: 1, immortal: true }) }).start().run(6_000);
    assert.equal(cluster.state.workers[0]?.phase, 'dying');
    const before = cluster.state;
    cluster.post({ type: 'heartbeat', key: 1, heartbeat: simHeartbeat() });
    assert.equal(cluster.state, before);
  });
});
