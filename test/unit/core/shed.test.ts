import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SimCluster } from '../../simulation/sim-cluster.js';

/** Between its 5th and its 25th second worker 1 sheds ten requests a second. */
function overloaded(): SimCluster {
  return new SimCluster({
    policy: { workers: 2 },
    play: ({ slot }) => ({
      heartbeat: (served) => {
        const seconds = Math.min(20, Math.max(0, Math.floor(served / 1_000) - 5));
        return { shed: { requests: slot === 1 ? 10 * seconds : 0, why: 'late' } };
      },
    }),
  }).start();
}

test('the log is told once when a worker begins to shed, and once when that is over', () => {
  const cluster = overloaded().run(20_000);
  assert.deepEqual(cluster.logged('warn'), [
    'worker 1 sheds load: it is behind by more than shed.event_loop_delay; 10 requests got 503 without the app',
  ]);
  cluster.run(70_000);
  assert.equal(cluster.logged('warn').length, 1);
  const over = cluster.logged('info').filter((message) => message.includes('serves every request again'));
  assert.deepEqual(over, ['worker 1 serves every request again: 200 requests got 503 within 19 s']);
});

test('a worker without [shed] has nothing to tell', () => {
  const cluster = new SimCluster({ policy: { workers: 1 } }).start().run(60_000);
  assert.deepEqual(cluster.logged('warn'), []);
});
