import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { SimCluster } from '../../simulation/sim-cluster.js';

function serving(options: ConstructorParameters<typeof SimCluster>[0] = {}): SimCluster {
  const cluster = new SimCluster(options).start().run(1_000);
  assert.equal(cluster.state.life.phase, 'serving');
  return cluster;
}

describe('a stop', () => {
  test('of a service that serves says STOPPING first, drains every worker and ends with 0', () => {
    const cluster = serving();
    const effects = cluster.post({ type: 'stop', why: 'SIGTERM', now: false });
    assert.deepEqual(effects, [
      {
        type: 'notify',
        stopping: true,
        status: 'stopping (SIGTERM): 2 workers left, 0 requests in flight, at most 21 s',
        extend: 15_000,
      },
      { type: 'log', level: 'info', message: 'stopping: SIGTERM', fields: { workers: 2 } },
      { type: 'drain', key: 1, timeout: 20_000, last: true },
      { type: 'drain', key: 2, timeout: 20_000, last: true },
    ]);
    cluster.runToEnd();
    assert.equal(cluster.exitCode, 0);
    assert.deepEqual(cluster.effects('kill'), []);
    assert.deepEqual(cluster.effects('exit'), [{ type: 'exit', code: 0, at: 1_055 }]);
  });

  test('waits for the last worker', () => {
    const cluster = serving({ play: ({ slot }) => ({ drain: (slot ?? 0) * 3_000 }) }).stop();
    cluster.run(6_000);
    assert.equal(cluster.exitCode, null);
    cluster.run(10);
    assert.equal(cluster.exitCode, 0);
  });

  test('before the start ends at once', () => {
    const cluster = new SimCluster().stop();
    assert.deepEqual(cluster.turns[0]?.effects, [{ type: 'exit', code: 0 }]);
    assert.equal(cluster.state.life.phase, 'ended');
  });

  test('during the start drains the workers that still boot, too', () => {
    const cluster = new SimCluster({ play: ({ slot }) => ({ boot: slot === 1 ? 100 : 5_000 }) })
      .start()
      .run(500);
    cluster.stop();
    assert.deepEqual(
      cluster.effects('drain').map(({ key }) => key),
      [1, 2],
    );
    cluster.runToEnd();
    assert.equal(cluster.exitCode, 0);
    assert.ok(cluster.effects('notify').every(({ ready }) => ready === undefined));
  });

  test('a worker that listens too late during a stop changes nothing', () => {
    const cluster = new SimCluster({ play: () => ({ boot: 5_000 }) }).start().run(500).stop();
    const before = cluster.state;
    assert.deepEqual(cluster.post({ type: 'ready', key: 1, urls: [] }), []);
    assert.equal(cluster.state, before);
  });

  test('cancels the restart of a worker that has crashed', () => {
    const cluster = serving({
      policy: { restart: { intensity: 100 } },
      play: ({ slot, nth }) => (slot === 1 && nth < 6 ? { crash: { after: 10 } } : {}),
    });
    assert.notEqual(cluster.state.slots[0]?.forkAt ?? null, null);
    const forks = cluster.effects('fork').length;
    cluster.stop().runToEnd();
    assert.equal(cluster.effects('fork').length, forks);
    assert.equal(cluster.exitCode, 0);
  });

  test('with no worker left ends at once', () => {
    const cluster = new SimCluster({
      policy: { workers: 1 },
      play: () => ({ bootFailure: { after: 10, signal: 'SIGKILL' } }),
    });
    cluster.start().run(50);
    assert.equal(cluster.state.workers.length, 0);
    cluster.stop();
    assert.equal(cluster.exitCode, 0);
  });

  test('takes no notice of a fork that fails meanwhile', () => {
    const cluster = new SimCluster({ policy: { workers: 1 }, play: () => ({ boot: null }) }).start();
    cluster.stop();
    const failure = { message: 'spawn EAGAIN', exitCode: 71 };
    cluster.post({ type: 'fork-failed', key: 1, failure });
    assert.equal(cluster.exitCode, 0);
    assert.deepEqual(cluster.logged('error'), []);
  });
});

describe('a second stop', () => {
  test('is harmless and says how long it takes at most', () => {
    const cluster = serving({ play: () => ({ drain: 10_000 }) })
      .stop()
      .run(4_500);
    const before = cluster.state;
    assert.deepEqual(cluster.post({ type: 'stop', why: 'SIGTERM', now: false }), [
      { type: 'log', level: 'info', message: 'SIGTERM: already stopping, at most 17 s more' },
    ]);
    assert.equal(cluster.state, before);
    cluster.runToEnd();
    assert.equal(cluster.exitCode, 0);
    assert.deepEqual(cluster.effects('kill'), []);
  });

  test('that asks not to wait kills what is left', () => {
    const cluster = serving({ play: () => ({ drain: 10_000, inFlight: 2 }) })
      .stop('SIGINT')
      .run(2_000);
    cluster.stop('SIGINT', true);
    assert.deepEqual(
      cluster.effects('kill').map(({ key }) => key),
      [1, 2],
    );
    const [warning] = cluster.effects('log').filter(({ level }) => level === 'warn');
    assert.equal(warning?.message, 'SIGINT: killing the workers that are left');
    assert.deepEqual(warning?.fields, { pids: [1001, 1002], inFlight: 4 });
    cluster.run(10);
    assert.equal(cluster.exitCode, 0);
  });

  test('a third that asks not to wait kills nobody twice', () => {
    const cluster = serving({ play: () => ({ drain: null, immortal: true }) }).stop();
    cluster.stop('SIGINT', true).stop('SIGINT', true);
    assert.equal(cluster.effects('kill').length, 2);
  });

  test('a first stop that asks not to wait does not wait either', () => {
    const cluster = serving({ play: () => ({ drain: 10_000 }) }).stop('SIGINT', true);
    assert.equal(cluster.effects('kill').length, 2);
    cluster.run(10);
    assert.equal(cluster.exitCode, 0);
    assert.equal(cluster.effects('notify').find(({ stopping }) => stopping === true)?.at, 1_000);
  });

  test('once the service has ended is ignored', () => {
    const cluster = serving().stop().runToEnd();
    const before = cluster.state;
    assert.deepEqual(cluster.post({ type: 'stop', why: 'SIGTERM', now: true }), []);
    assert.equal(cluster.state, before);
  });
});

describe("the drain's deadline", () => {
  test('is left to the workers first: one that cuts its connections in time is not killed', () => {
    const cluster = serving({ play: () => ({ drain: null, inFlight: 1 }) })
      .stop()
      .runToEnd();
    assert.deepEqual(cluster.effects('kill'), []);
    assert.deepEqual(cluster.logged('warn'), [
      'worker 1 cut what was left at the end of its drain',
      'worker 2 cut what was left at the end of its drain',
    ]);
    assert.equal(cluster.exitCode, 0);
    assert.equal(cluster.effects('exit')[0]?.at, 21_005);
  });

  test('kills whoever is still there a second later', () => {
    const cluster = serving({ policy: { hangTimeout: 60_000 }, play: () => ({ hang: 500 }) })
      .stop()
      .run(20_999);
    assert.deepEqual(cluster.effects('kill'), []);
    cluster.run(1);
    assert.deepEqual(
      cluster.effects('kill').map(({ at }) => at),
      [22_000, 22_000],
    );
    assert.ok(
      cluster.logged('warn').includes('the drain is over its limit: killing the workers that are left'),
    );
    cluster.runToEnd();
    assert.equal(cluster.exitCode, 0);
  });

  test('is over for good after a grace: what cannot even be killed is left behind', () => {
    const cluster = serving({ policy: { hangTimeout: 60_000 }, play: () => ({ hang: 500, immortal: true }) });
    cluster.stop().run(25_999);
    assert.equal(cluster.exitCode, null);
    cluster.runToEnd();
    assert.equal(cluster.effects('exit')[0]?.at, 27_000);
    assert.deepEqual(cluster.logged('error'), ['killed workers are still there; leaving them']);
  });

  test('is not waited for by a worker that hangs: it is killed on its silence', () => {
    const cluster = serving({ play: ({ slot }) => (slot === 1 ? { hang: 500 } : { drain: 100 }) })
      .stop()
      .runToEnd();
    assert.ok((cluster.effects('exit')[0]?.at ?? 0) < 8_000);
    assert.match(cluster.logged('warn').join(), /worker 1 hung: silent for 5 s; killing it/);
  });
});

describe('a stop with a lame duck', () => {
  const policy = { lameDuck: 12_000, pingInterval: 10_000 };
  const drains = (cluster: SimCluster) => cluster.effects('drain').map(({ at }) => at);

  test('tells the workers and systemd at once, asks for the time, and drains when it is over', () => {
    const cluster = serving({ policy });
    const effects = cluster.post({ type: 'stop', why: 'SIGTERM', now: false });
    assert.deepEqual(effects, [
      {
        type: 'notify',
        stopping: true,
        status: 'stopping (SIGTERM): 2 of 2 workers ready, draining in 12 s',
        extend: 15_000,
      },
      {
        type: 'log',
        level: 'info',
        message: 'stopping: SIGTERM; serving on as a lame duck, /readyz answers 503',
        fields: { drainInMs: 12_000 },
      },
      { type: 'lame-duck', key: 1 },
      { type: 'lame-duck', key: 2 },
    ]);
    cluster.runTo(12_999);
    assert.deepEqual(drains(cluster), []);
    const extended = cluster.effects('notify').filter(({ extend, at }) => extend === 15_000 && at > 1_000);
    assert.deepEqual(
      extended.map(({ at }) => at),
      [6_000, 11_000],
    );
    cluster.runToEnd();
    assert.deepEqual(drains(cluster), [13_000, 13_000]);
    assert.equal(cluster.exitCode, 0);
  });

  test('drains at once at a second signal, which is not the same one passed on', () => {
    const cluster = serving({ policy });
    cluster.stop().run(499).stop();
    assert.deepEqual(drains(cluster), []);
    cluster.run(1).stop();
    assert.deepEqual(drains(cluster), [1_500, 1_500]);
    cluster.runToEnd();
    assert.equal(cluster.exitCode, 0);
  });

  test('is left out where nobody is to wait, and before the service serves', () => {
    const now = serving({ policy });
    now.post({ type: 'stop', why: 'SIGINT', now: true });
    assert.equal(now.effects('kill').length, 2);
    const starting = new SimCluster({ policy, play: () => ({ boot: 5_000 }) }).start().run(100).stop();
    assert.equal(drains(starting).length, 2);
  });

  test('replaces a worker that crashes meanwhile, and tells the next one too', () => {
    const cluster = serving({
      policy,
      play: ({ slot, nth }) => (slot === 1 && nth === 1 ? { crash: { after: 3_000 } } : {}),
    });
    cluster.stop().run(8_000);
    assert.deepEqual(
      cluster.effects('lame-duck').map(({ key }) => key),
      [1, 2, 3],
    );
    cluster.runToEnd();
    assert.equal(cluster.exitCode, 0);
  });

  test('refuses a reload, and is no part of one', () => {
    const cluster = serving({ policy }).stop();
    cluster.reload();
    assert.ok(cluster.logged('warn').some((line) => line.includes('the service is stopping')));
    const reloading = serving({ policy });
    reloading.reload();
    reloading.run(20_000);
    assert.equal(reloading.effects('lame-duck').length, 0);
    assert.equal(reloading.state.generation, 2);
  });
});
