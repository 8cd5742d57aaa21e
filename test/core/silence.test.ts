import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { PaperCluster } from '../support/paper-cluster.js';
import { paperBeat } from '../support/paper-policy.js';

describe('a worker that falls silent', () => {
  test('is killed once it was silent for the limit, and replaced at once', () => {
    const cluster = new PaperCluster({
      play: ({ slot, nth }) => (slot === 1 && nth === 1 ? { hang: 10_500 } : {}),
    });
    cluster.start().run(30_000);
    const [kill] = cluster.effects('kill');
    // Its last beat came 10 s after it was ready.
    assert.equal(kill?.at, 15_100);
    assert.equal(cluster.effects('kill').length, 1);
    const again = cluster.effects('fork')[2];
    assert.deepEqual([again?.slot, again?.at], [1, 15_100]);
    assert.deepEqual(cluster.logged('error'), ['worker 1 hung: silent for 5 s']);
  });

  test('is replaced though it may never go, and its end is no news', () => {
    const cluster = new PaperCluster({
      play: ({ slot, nth }) => (slot === 1 && nth === 1 ? { hang: 1, immortal: true } : {}),
    });
    cluster.start().run(60_000);
    assert.equal(cluster.effects('kill').length, 1);
    assert.equal(cluster.effects('fork').length, 3);
    assert.equal(cluster.state.workers[0]?.phase, 'dying');
    const effects = cluster.post({ type: 'exited', key: 1, code: null, signal: 'SIGKILL' });
    assert.deepEqual(
      effects.map((effect) => (effect.type === 'log' ? effect.level : effect.type)),
      ['debug'],
    );
    assert.equal(cluster.state.deaths.length, 1);
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
