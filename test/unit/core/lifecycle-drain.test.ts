import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { slotOf } from '../../../src/core/workers.js';
import { SimCluster } from '../../simulation/sim-cluster.js';
import { simHeartbeat, simPolicy } from '../../simulation/sim-policy.js';

function serving(options: ConstructorParameters<typeof SimCluster>[0] = {}): SimCluster {
  const cluster = new SimCluster(options).start().run(1_000);
  assert.equal(cluster.state.life.phase, 'serving');
  return cluster;
}

function extensions(cluster: SimCluster): number[] {
  return cluster.effects('notify').flatMap(({ extend, at }) => (extend === undefined ? [] : [at]));
}

describe('EXTEND_TIMEOUT_USEC during a drain', () => {
  function slow(): SimCluster {
    const cluster = serving({
      policy: { drainTimeout: 120_000, hangTimeout: 200_000 },
      play: () => ({ hang: 1 }),
    });
    return cluster.stop();
  }

  test('repeats while the bytes written grow, every 5 s at most', () => {
    const cluster = slow();
    for (let second = 1; second <= 30; second++) {
      cluster.run(1_000);
      cluster.post({
        type: 'heartbeat',
        key: 1,
        heartbeat: simHeartbeat({ inFlight: 1, bytesWritten: second * 1_000 }),
      });
    }
    assert.deepEqual(
      extensions(cluster).filter((at) => at >= 1_000),
      [1_000, 6_000, 11_000, 16_000, 21_000, 26_000, 31_000],
    );
  });

  test('ends when nothing moves any more, though the workers answer', () => {
    const cluster = slow();
    for (let second = 1; second <= 30; second++) {
      cluster.run(1_000);
      const bytesWritten = Math.min(second, 8) * 1_000;
      cluster.post({ type: 'heartbeat', key: 1, heartbeat: simHeartbeat({ inFlight: 1, bytesWritten }) });
    }
    assert.deepEqual(
      extensions(cluster).filter((at) => at >= 1_000),
      [1_000, 6_000],
    );
  });

  for (const figure of ['requests', 'inFlight', 'connections'] as const) {
    test(`counts a change of ${figure} as progress`, () => {
      const cluster = slow().run(5_500);
      cluster.post({ type: 'heartbeat', key: 1, heartbeat: simHeartbeat() });
      const before = extensions(cluster).length;
      cluster.run(5_500);
      cluster.post({ type: 'heartbeat', key: 1, heartbeat: simHeartbeat({ rssBytes: 1, heapUsedBytes: 1 }) });
      assert.equal(extensions(cluster).length, before);
      cluster.post({ type: 'heartbeat', key: 1, heartbeat: simHeartbeat({ [figure]: 1 }) });
      assert.equal(extensions(cluster).length, before + 1);
    });
  }

  test('counts a worker that has drained, and one that is gone, as progress', () => {
    const cluster = slow().run(6_000);
    cluster.post({ type: 'drained', key: 1 });
    assert.equal(extensions(cluster).at(-1), 7_000);
    cluster.run(6_000);
    cluster.post({ type: 'exited', key: 1, code: 0, signal: null });
    assert.equal(extensions(cluster).at(-1), 13_000);
  });

  test('goes with the reason as STATUS left alone where the service has failed', () => {
    const failure = { message: 'no', exitCode: 70 };
    const cluster = new SimCluster({
      play: ({ slot }) => (slot === 1 ? { drain: 12_000 } : { bootFailure: { after: 500, failure } }),
    });
    cluster.start().run(7_000);
    cluster.post({ type: 'heartbeat', key: 1, heartbeat: simHeartbeat({ bytesWritten: 1 }) });
    assert.deepEqual(cluster.effects('notify').at(-1), { type: 'notify', extend: 15_000, at: 7_000 });
  });
});

describe('what a worker says of its drain', () => {
  function draining(): SimCluster {
    return serving({ play: () => ({ drain: 60_000 }) })
      .stop()
      .run(2);
  }

  test('all listeners closed releases the workers that keep answers back, once', () => {
    const cluster = serving({ play: () => ({ hang: 1 }) }).stop();
    assert.deepEqual(cluster.post({ type: 'closed', key: 1, inFlight: 0, accepted: 0 }), []);
    assert.deepEqual(cluster.post({ type: 'closed', key: 2, inFlight: 0, accepted: 0 }), [
      { type: 'release', key: 1 },
      { type: 'release', key: 2 },
    ]);
    assert.deepEqual(cluster.post({ type: 'closed', key: 2, inFlight: 0, accepted: 0 }), []);
  });

  test('the exit of one that could not close releases the others too', () => {
    const cluster = serving({ play: () => ({ hang: 1 }) }).stop();
    cluster.post({ type: 'closed', key: 1, inFlight: 0, accepted: 0 });
    cluster.post({ type: 'exited', key: 2, code: null, signal: 'SIGKILL' });
    assert.deepEqual(
      cluster.effects('release').map(({ key }) => key),
      [1],
    );
  });

  test('a cut is logged with what it cost', () => {
    const cluster = draining();
    assert.deepEqual(cluster.post({ type: 'cut', key: 2, requests: 3, connections: 7 }), [
      {
        type: 'log',
        level: 'warn',
        message: 'worker 2 cut what was left at the end of its drain',
        fields: { requests: 3, connections: 7, workerPid: 1002 },
      },
    ]);
  });

  test('how an app ends itself once its connections are gone is its own business', () => {
    const cluster = draining();
    cluster.post({ type: 'drained', key: 1 });
    cluster.post({ type: 'exited', key: 1, code: 143, signal: null });
    assert.deepEqual(cluster.logged('warn', 'error'), []);
  });

  test('an end before its connections were gone is worth a warning with the reason', () => {
    const cluster = draining();
    cluster.post({ type: 'failed', key: 1, failure: { message: 'boom', exitCode: 70 } });
    cluster.post({ type: 'exited', key: 1, code: 1, signal: null });
    cluster.post({ type: 'exited', key: 2, code: null, signal: 'SIGSEGV' });
    const warnings = cluster.effects('log').filter(({ level }) => level === 'warn');
    assert.deepEqual(
      warnings.map(({ message, fields }) => [message, fields]),
      [
        ['worker 1 ended with code 1 while it drained', { workerPid: 1001, reason: 'boom' }],
        ['worker 2 ended with SIGSEGV while it drained', { workerPid: 1002 }],
      ],
    );
    assert.equal(cluster.exitCode, 0);
  });
});

describe('a worker that is well and of no use', () => {
  const failure = { message: 'the app has closed its server', exitCode: 70 };

  test('is replaced at once, counts as a death, and is given the time of any drain', () => {
    const cluster = serving({ policy: { drainTimeout: 20_000 } });
    cluster.post({ type: 'failed', key: 1, failure, drains: true });
    const orders = cluster.effects('drain').map(({ key, timeout, last }) => ({ key, timeout, last }));
    assert.deepEqual(orders, [{ key: 1, timeout: 20_000, last: false }]);
    assert.deepEqual(cluster.logged('error'), ['worker 1 crashed: the app has closed its server']);
    const worker = cluster.state.workers.find(({ key }) => key === 1);
    assert.ok(worker?.phase === 'draining' && worker.deadline - cluster.state.tickedAt > 20_000);
    cluster.run(1_000);
    assert.ok(cluster.effects('fork').some((fork) => fork.key > 2 && slotOf(fork) === 1));
  });

  test('has the drain_timeout of its own generation, whatever a newer configuration says', () => {
    const policy = { drainTimeout: 1_000, generations: { 1: simPolicy({ drainTimeout: 20_000 }) } };
    const cluster = serving({ policy });
    cluster.post({ type: 'failed', key: 1, failure, drains: true });
    assert.equal(cluster.effects('drain')[0]?.timeout, 20_000);
  });
});
