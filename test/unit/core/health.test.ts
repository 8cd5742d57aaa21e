import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { PaperCluster } from '../../simulation/paper-cluster.js';
import { paperBeat } from '../../simulation/paper-policy.js';

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
