import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { SimCluster } from '../../simulation/sim-cluster.js';

const retire = { type: 'retire', why: 'process 5 has taken over', patience: 60_000 } as const;

function serving(hang = false): SimCluster {
  const cluster = new SimCluster({
    policy: { drainTimeout: 10_000, hangTimeout: 200_000 },
    play: () => (hang ? { hang: 1 } : {}),
  });
  return cluster.start().run(1_000);
}

describe('a master whose place another one has taken', () => {
  test('has its workers drain with patience, while somebody else accepts, and says nothing to systemd of a stop', () => {
    const cluster = serving();
    cluster.post(retire);
    for (const drain of cluster.effects('drain'))
      assert.deepEqual([drain.last, drain.patience, drain.timeout], [false, 60_000, 10_000]);
    assert.equal(cluster.effects('drain').length, cluster.state.slots.length);
    assert.deepEqual(
      cluster.effects('notify').filter(({ stopping }) => stopping),
      [],
    );
    cluster.run(5_000);
    assert.deepEqual(cluster.state.life, { phase: 'ended', exitCode: 0 });
  });

  test('kills nobody before patience and drain are over', () => {
    const cluster = serving(true);
    cluster.post(retire);
    cluster.run(69_000);
    assert.equal(cluster.effects('kill').length, 0);
    cluster.run(20_000);
    assert.ok(cluster.effects('kill').length > 0);
  });

  test('drains at once when the service stops', () => {
    const cluster = serving(true);
    cluster.post(retire);
    cluster.run(1_000);
    const { life } = cluster.state;
    assert.ok(life.phase === 'stopping' && life.isPatient);
    cluster.post({ type: 'stop', why: 'SIGTERM', now: false });
    const again = cluster.effects('drain').slice(cluster.state.slots.length);
    assert.equal(again.length, cluster.state.slots.length);
    assert.ok(again.every(({ last, patience }) => !last && patience === undefined));
    cluster.run(20_000);
    assert.equal(cluster.state.life.phase, 'ended');
  });
});

describe('a master beside the one whose place it is to take', () => {
  test('begins with one worker, and gives up without closing the sockets for the other', () => {
    const cluster = new SimCluster();
    cluster.post({ type: 'start', beside: true });
    cluster.run(1_000);
    assert.deepEqual([cluster.state.life.phase, cluster.state.slots.length], ['serving', 1]);
    cluster.post({ type: 'stop', why: 'rolled back', now: false });
    assert.ok(cluster.effects('drain').every(({ last }) => !last));
    cluster.run(5_000);
    assert.equal(cluster.state.life.phase, 'ended');
  });

  test('is the last to close them once it is alone', () => {
    const cluster = new SimCluster();
    cluster.post({ type: 'start', beside: true });
    cluster.run(1_000);
    cluster.post({ type: 'alone' });
    cluster.post({ type: 'stop', why: 'SIGTERM', now: false });
    assert.ok(cluster.effects('drain').every(({ last }) => last));
  });
});
