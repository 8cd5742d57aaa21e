import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createAlerts } from '../../../src/master/alerts.js';
import type { Observation } from '../../../src/notify/policy.js';
import { type Play, SimCluster } from '../../simulation/sim-cluster.js';

/** What the notifier is shown while a cluster on paper goes through it; how the service stands is left out. */
function shown(play: Play, go: (cluster: SimCluster) => void): readonly Observation[] {
  const seen: Observation[] = [];
  const alerts = createAlerts({ isOn: () => true, observe: (each) => void seen.push(each) });
  const cluster = new SimCluster({ play: ({ generation }) => (generation === 1 ? {} : play) });
  const { post } = cluster;
  cluster.post = (event) => {
    const before = cluster.state;
    const result = post.call(cluster, event);
    alerts.changed(before, cluster.state, event);
    return result;
  };
  cluster.start().run(1_000);
  go(cluster);
  return seen.filter(({ type }) => type !== 'standing');
}

test('a rollback is shown once, with its cause and who had asked for the reload', () => {
  const failure = { message: 'cannot reach the database', exitCode: 70 };
  const seen = shown({ bootFailure: { after: 80, failure } }, (cluster) => {
    cluster.reload({ by: 'ann' });
    cluster.run(10_000);
  });
  assert.deepEqual(
    seen.map((each) => (each.type === 'rollback' ? [each.type, each.generation, each.by] : [each.type])),
    [['death'], ['rollback', 2, 'ann']],
  );
  const told = seen.find((each) => each.type === 'rollback');
  assert.match(told?.cause ?? '', /cannot reach the database/);
});

test('a reload that goes well is not shown', () => {
  const seen = shown({}, (cluster) => {
    cluster.reload();
    cluster.run(60_000);
    assert.equal(cluster.state.lastReload?.verdict, 'done');
  });
  assert.deepEqual(seen, []);
});
