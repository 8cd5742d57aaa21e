import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { ReloadRecord } from '../../../src/protocol/reload-record.js';
import { type Play, SimCluster, type SimOptions } from '../../simulation/sim-cluster.js';

/** The old generation behaves as told, under a reload without a soak. */
function reloaded(old: Play, options: SimOptions = {}): SimCluster {
  const play: SimOptions['play'] = ({ generation }) => (generation === 1 ? old : {});
  const cluster = new SimCluster({ play, ...options }).start().run(1_500);
  cluster.reload({ soak: false, by: 'bob' });
  return cluster;
}

function records(cluster: SimCluster): readonly ReloadRecord[] {
  return cluster.effects('record').map(({ record }) => record);
}

describe('the record of a reload', () => {
  test('says what, from where, who, when, how long, and what came of it', () => {
    const cluster = reloaded({}).run(5_000);
    const [record] = records(cluster);
    const { steps, accepted, moved, lost, ...facts } = record as ReloadRecord;
    assert.deepEqual(facts, {
      serial: 2,
      generation: 2,
      from: 1,
      release: '/srv/app/2',
      by: 'bob',
      atMs: 1_700_000_000_000,
      tookMs: 105,
      verdict: 'done',
      reason: null,
    });
    assert.deepEqual(steps.at(0), {
      atMs: 0,
      step: 'begun',
      worker: null,
      generation: null,
      detail: '/srv/app/2',
    });
    assert.deepEqual(steps.at(-1), {
      atMs: 105,
      step: 'verdict',
      worker: null,
      generation: null,
      detail: 'done',
    });
    assert.deepEqual(
      [...steps].sort((a, b) => a.atMs - b.atMs),
      steps,
      'in the order of time',
    );
  });

  test('has the same steps that were told while it was under way', () => {
    const cluster = reloaded({}).run(5_000);
    assert.deepEqual(
      cluster.effects('step').map(({ step }) => step),
      records(cluster)[0]?.steps,
    );
  });

  test('counts what was in flight when its worker stopped accepting; what is answered is not lost', () => {
    const cluster = reloaded({ inFlight: 3, drain: 2_000 }).run(10_000);
    const last = records(cluster).at(-1);
    assert.deepEqual([last?.verdict, last?.moved, last?.lost], ['done', 6, 0]);
    assert.deepEqual(cluster.state.lastReload, last);
  });

  test('counts what was cut at the limit once', () => {
    const cluster = reloaded({ inFlight: 3, drain: null }).run(40_000);
    assert.equal(records(cluster).at(-1)?.lost, 6);
  });

  test('counts what was in flight on a worker that died before it had drained', () => {
    const cluster = reloaded({ inFlight: 3, drain: 5_000 }).run(1_000);
    cluster.post({ type: 'exited', key: 1, code: null, signal: 'SIGKILL' });
    assert.equal(cluster.state.lastReload?.lost, 3);
  });

  test('counts what was in flight on a worker of the new generation that died', () => {
    const play: SimOptions['play'] = ({ generation }) =>
      generation === 2 ? { crash: { after: 1_200 }, inFlight: 2 } : {};
    const cluster = new SimCluster({ play }).start().run(1_000);
    cluster.reload();
    cluster.run(5_000);
    assert.deepEqual([cluster.state.lastReload?.verdict, cluster.state.lastReload?.lost], ['rolled-back', 2]);
  });

  test('is complete once the last of the replaced workers is gone', () => {
    const cluster = reloaded({ drain: 3_000, inFlight: 1 }).run(1_000);
    assert.notEqual(cluster.state.acceptedBefore, null);
    cluster.run(9_000);
    assert.equal(cluster.state.acceptedBefore, null);
    const complete = records(cluster).length;
    cluster.run(60_000);
    assert.equal(records(cluster).length, complete);
  });

  test('is complete at the verdict where nobody was replaced', () => {
    const failure = { message: 'no', exitCode: 70 };
    const play: SimOptions['play'] = ({ generation }) =>
      generation === 2 ? { bootFailure: { after: 50, failure } } : {};
    const cluster = reloaded({}, { play, policy: { workers: 1 } }).run(1_000);
    assert.equal(cluster.state.lastReload?.verdict, 'rolled-back');
    assert.equal(cluster.state.acceptedBefore, null);
    assert.equal(records(cluster).length, 1);
  });

  test('is added to although the next reload has been asked for', () => {
    const cluster = reloaded({ drain: 3_000, inFlight: 2 }).run(1_000);
    cluster.reload();
    cluster.post({ type: 'cut', key: 1, requests: 2, connections: 2 });
    assert.deepEqual([cluster.state.lastReload?.generation, cluster.state.lastReload?.lost], [2, 2]);
    assert.equal(cluster.state.reload?.record.lost, 0);
  });
});
