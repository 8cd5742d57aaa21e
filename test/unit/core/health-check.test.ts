import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Play, SimCluster } from '../../simulation/sim-cluster.js';

const minute = 60_000;
const well = { check: { failures: 0, failure: null } };

function failing(times: number) {
  return { check: { failures: times, failure: 'GET /healthz: no answer within 5000 ms' } };
}

/** From two seconds on the app is stuck. */
const stuck: Play = { heartbeat: (served) => (served < 2_000 ? well : failing(3)) };
const fine: Play = { heartbeat: () => well };

function replaced(cluster: SimCluster): readonly string[] {
  return cluster.logged('info').filter((message) => message.endsWith('is being replaced: it is unhealthy'));
}

describe('a worker whose app does not answer its check', () => {
  test('is replaced, the new one first', () => {
    const cluster = new SimCluster({
      policy: { workers: 3 },
      play: ({ slot, nth }) => (slot === 2 && nth === 1 ? stuck : fine),
    });
    cluster.start().run(minute);
    assert.deepEqual(replaced(cluster), ['worker 2 is being replaced: it is unhealthy']);
    assert.match(
      cluster.logged('warn').join(),
      /^worker 2 is unhealthy: its app does not answer health\.check: GET \/healthz: no answer within 5000 ms$/,
    );
    const [, , , again] = cluster.effects('fork');
    const [drain] = cluster.effects('drain');
    assert.ok(again !== undefined && drain !== undefined && again.at < drain.at);
  });

  test('stays as long as it fails less often than is allowed', () => {
    const cluster = new SimCluster({
      policy: { workers: 1 },
      play: () => ({ heartbeat: () => failing(2) }),
    });
    cluster.start().run(10 * minute);
    assert.deepEqual(replaced(cluster), []);
  });

  test('is followed by the next one only once the app of its replacement has answered', () => {
    const cluster = new SimCluster({
      policy: { workers: 4 },
      play: ({ nth }) => (nth === 1 ? stuck : { heartbeat: (served) => (served < 5_000 ? {} : well) }),
    });
    cluster.start().run(7_000);
    assert.equal(replaced(cluster).length, 1);
    cluster.run(minute);
    assert.equal(replaced(cluster).length, 4);
    assert.equal(cluster.effects('fork').length, 8);
  });

  test('costs one replacement a window where no new worker is better: the database is down', () => {
    const cluster = new SimCluster({
      policy: { workers: 8 },
      play: ({ nth }) => (nth === 1 ? stuck : { heartbeat: () => failing(3) }),
    });
    cluster.start().run(55_000);
    assert.equal(replaced(cluster).length, 1);
    assert.equal(cluster.state.workers.filter(({ phase }) => phase === 'ready').length, 8);
  });
});
