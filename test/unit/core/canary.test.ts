import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { quantile, worse } from '../../../src/core/canary.js';
import { bucketOf, emptyLatency, latencyBuckets } from '../../../src/protocol/heartbeat.js';
import { type Play, SimCluster, type SimOptions } from '../../simulation/sim-cluster.js';
import { simHeartbeat } from '../../simulation/sim-policy.js';

/** The old generation, and the canary, each behave as told. */
function soaking(canary: Play, old: Play = {}, options: SimOptions = {}): SimCluster {
  const play: SimOptions['play'] = ({ generation }) => (generation === 1 ? old : canary);
  const cluster = new SimCluster({ ...options, play }).start().run(10_000);
  cluster.reload();
  return cluster;
}

function fakeServed(answers: number, share: number) {
  const { shed: _, ...counts } = served(answers, share);
  return simHeartbeat({ requests: answers, ...counts });
}

function served(answers: number, share: number, latency = 3) {
  const counts = emptyLatency();
  counts[bucketOf(latency)] = answers;
  return { answers, errors: Math.round(answers * share), shed: 0, latency: counts };
}

/** `share` of the requests got 503 without the app; all others were answered well. */
function shedding(answers: number, share: number) {
  const all = served(answers, share);
  return { ...all, shed: all.errors };
}

const limits = { soak: 2_000, probe: null, probeTimeout: 0, maxErrors: 0.05, maxLatency: 3 };

describe('a canary', () => {
  test('whose answers fail more often than those of the others is rolled back before its soak is over', () => {
    const cluster = soaking({ requestsPerSecond: 100, errors: 0.2 }, { requestsPerSecond: 100 });
    cluster.run(600);
    const { lastReload } = cluster.state;
    assert.equal(lastReload?.verdict, 'rolled-back');
    assert.equal(lastReload?.reason, "20 % of the canary's 25 answers failed, 0 % of the others'");
    assert.ok((lastReload?.tookMs ?? 0) < 400, `${lastReload?.tookMs}`);
  });

  test('that fails as often as the others is not blamed for it', () => {
    const cluster = soaking({ requestsPerSecond: 100, errors: 0.2 }, { requestsPerSecond: 100, errors: 0.2 });
    cluster.run(5_000);
    assert.equal(cluster.state.lastReload?.verdict, 'done');
  });

  test('that sheds as the others do, in the same overload, is not blamed for it', () => {
    const cluster = soaking({ hang: 1 }, { hang: 1 }, { policy: { hangTimeout: 60_000 } });
    const heartbeat = (key: number, answers: number, share: number) => {
      const errors = Math.round(answers * share);
      const shed = { requests: errors, why: 'late' as const };
      return cluster.post({ type: 'heartbeat', key, heartbeat: { ...fakeServed(answers, share), shed } });
    };
    heartbeat(1, 1_000, 0);
    cluster.run(150);
    assert.equal(cluster.state.reload?.stage.name, 'soak');
    heartbeat(1, 1_100, 30 / 1_100);
    heartbeat(3, 50, 0.4);
    assert.equal(cluster.state.reload?.stage.name, 'soak');
    heartbeat(3, 100, 1);
    assert.equal(
      cluster.state.reload?.stage.name,
      'soak',
      'half of its errors are sheds, but the others shed as well',
    );
  });

  test('that takes several times as long as the others is rolled back', () => {
    const cluster = soaking(
      { requestsPerSecond: 100, latency: 900 },
      { requestsPerSecond: 100, latency: 60 },
    );
    cluster.run(600);
    assert.equal(
      cluster.state.lastReload?.reason,
      "a tenth of the canary's answers took more than 512 ms, nine tenths of the others' at most 64 ms",
    );
  });

  test('is compared with what the others did since its soak began, not with their past', () => {
    // Until the soak the others failed for ten seconds.
    const cluster = soaking({ hang: 1 }, { hang: 1 }, { policy: { hangTimeout: 60_000 } });
    const heartbeat = (key: number, answers: number, share: number) =>
      cluster.post({ type: 'heartbeat', key, heartbeat: fakeServed(answers, share) });
    heartbeat(1, 1_000, 0.9);
    cluster.run(150);
    assert.equal(cluster.state.reload?.stage.name, 'soak');
    heartbeat(1, 1_100, 0.9 * (1_000 / 1_100));
    heartbeat(3, 50, 0.2);
    assert.equal(cluster.state.lastReload?.verdict, 'rolled-back');
  });

  test('that fails its probe is rolled back', () => {
    const cluster = soaking({ probe: 'status 503' });
    cluster.run(500);
    assert.equal(cluster.state.lastReload?.reason, 'the canary failed its probe: status 503');
  });

  test('whose probe is never answered is rolled back a second after its time', () => {
    const cluster = soaking({ probe: null });
    cluster.run(2_099);
    assert.equal(cluster.state.reload?.stage.name, 'soak');
    cluster.run(1);
    assert.equal(cluster.state.lastReload?.reason, 'the canary did not answer its probe');
  });

  test('has to give a sign of life at the end of its soak, for which it is asked', () => {
    const cluster = soaking({ hang: 300 });
    cluster.run(3_000);
    assert.equal(cluster.state.reload?.stage.name, 'soak');
    const [canary] = cluster.effects('probe');
    cluster.post({ type: 'heartbeat', key: canary?.key ?? 0, heartbeat: fakeServed(0, 0) });
    assert.equal(cluster.state.reload?.stage.name, 'rolling');
  });

  test('and the others are asked for heartbeats four times a second, at the end too', () => {
    const cluster = soaking({}, {}, { policy: { reload: { soak: 600 } } });
    cluster.run(705);
    const asked = cluster.effects('ask-heartbeat').filter(({ at }) => at > 10_000);
    assert.deepEqual(
      asked.map(({ key, at }) => [at - 10_100, key]),
      [250, 500, 600].flatMap((at) => [3, 1, 2].map((key) => [at, key])),
    );
  });

  test('is soaked for longer by what the master itself missed', () => {
    const cluster = soaking({});
    cluster.run(500).freeze(10_000).run(600);
    assert.equal(cluster.state.reload?.stage.name, 'soak');
    cluster.run(4_000);
    assert.equal(cluster.state.lastReload?.verdict, 'done');
  });

  test('alone counts as proven only when the others follow', () => {
    const cluster = soaking({});
    cluster.run(500);
    assert.equal(cluster.state.generation, 1);
    assert.equal(cluster.state.workers.filter(({ generation }) => generation === 2).length, 1);
    assert.deepEqual(cluster.effects('drain'), []);
  });
});

describe('worse', () => {
  test('says nothing about fewer than twenty answers', () => {
    assert.equal(worse(served(19, 1), served(1_000, 0), limits), null);
    assert.match(worse(served(20, 1), served(1_000, 0), limits) ?? '', /^100 %/);
  });

  test('allows the share of errors that the others have, and a little more, and what is chance', () => {
    assert.equal(worse(served(100, 0.21), served(100, 0.1), limits), null);
    assert.match(worse(served(100, 0.22), served(100, 0.1), limits) ?? '', /^22 %.* 10 % of the others'$/);
    assert.equal(worse(served(100, 0.05), served(100, 0), limits), null);
    assert.match(worse(served(100, 0.06), served(100, 0), limits) ?? '', /^6 %.* 0 % of the others'$/);
  });

  test('blames no canary for requests that it sheds while the others shed as well', () => {
    assert.equal(worse(shedding(100, 0.4), shedding(1_000, 0.3), limits), null);
    assert.equal(worse(shedding(100, 0.1), shedding(1_000, 0.02), limits), null);
  });

  test('blames a canary that sheds where the others do not, or much less', () => {
    assert.equal(
      worse(shedding(100, 0.4), shedding(1_000, 0), limits),
      'the canary shed 40 % of its 100 requests, the others 0 %',
    );
    assert.match(
      worse(shedding(100, 0.4), shedding(1_000, 0.02), limits) ?? '',
      /shed 40 %.* the others 2 %/,
    );
  });

  test('finds errors of the app among requests that are shed', () => {
    const failing = { ...shedding(100, 0.5), errors: 60 };
    assert.equal(
      worse(failing, shedding(1_000, 0.5), limits),
      "20 % of the canary's 50 answers failed, 0 % of the others'",
    );
    assert.equal(worse(shedding(100, 0.9), shedding(1_000, 0.9), limits), null, 'too few are left');
  });

  test('counts upgrades that were shed, which are in no count of answers', () => {
    assert.equal(worse({ ...served(100, 0), shed: 300 }, { ...served(100, 0), shed: 300 }, limits), null);
  });

  test('compares latency only with others that answered, and beyond 100 ms', () => {
    assert.equal(worse(served(100, 0, 60_000), served(5, 0, 1), limits), null);
    assert.equal(worse(served(100, 0, 60), served(100, 0, 1), limits), null);
    assert.match(worse(served(100, 0, 300), served(100, 0, 1), limits) ?? '', /^a tenth/);
    assert.match(worse(served(100, 0, 1e9), served(100, 0, 1), limits) ?? '', /more than 65536 ms/);
  });
});

describe('latency', () => {
  test('is counted in the bucket whose limit it does not exceed', () => {
    for (const [index, limit] of latencyBuckets.entries()) {
      assert.equal(bucketOf(limit), index);
      assert.equal(bucketOf(limit + 0.1), index + 1);
    }
    assert.equal(bucketOf(0), 0);
    assert.equal(bucketOf(1e12), latencyBuckets.length);
  });

  test('has quantiles as upper limits of buckets', () => {
    const counts = emptyLatency();
    assert.equal(quantile(counts, 0.9), null);
    counts[1] = 90;
    counts[8] = 10;
    assert.equal(quantile(counts, 0.9), 2);
    assert.equal(quantile(counts, 0.91), 256);
    counts[latencyBuckets.length] = 900;
    assert.equal(quantile(counts, 0.9), Number.POSITIVE_INFINITY);
  });
});
