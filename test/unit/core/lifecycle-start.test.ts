import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { slotOf } from '../../../src/core/workers.js';
import { allWait } from '../../../src/protocol/wait-status.js';
import { SimCluster } from '../../simulation/sim-cluster.js';

const refused = { message: 'port 3000 is in use', exitCode: 69, errno: 98 };

function readies(cluster: SimCluster) {
  return cluster.effects('notify').filter(({ ready }) => ready === true);
}

describe('the start', () => {
  test('forks one worker a slot at once and asks for time', () => {
    const cluster = new SimCluster({ policy: { workers: 3 } }).start();
    assert.deepEqual(
      cluster.effects('fork').map((fork) => [fork.key, slotOf(fork), fork.generation]),
      [
        [1, 1, 1],
        [2, 2, 1],
        [3, 3, 1],
      ],
    );
    assert.deepEqual(cluster.effects('notify'), [
      { type: 'notify', status: 'starting: 0 of 3 workers ready', extend: 15_000, at: 0 },
    ]);
  });

  test('is over, exactly once, when the last worker of the first generation listens', () => {
    const boots = [300, 900, 600];
    const cluster = new SimCluster({
      policy: { workers: 3 },
      play: ({ slot }) => ({ boot: boots[(slot ?? 0) - 1] ?? 0 }),
    });
    cluster.start().runTo(899);
    assert.equal(readies(cluster).length, 0);
    assert.equal(cluster.state.life.phase, 'starting');
    cluster.runTo(120_000);
    assert.deepEqual(readies(cluster), [
      {
        type: 'notify',
        ready: true,
        status: '3 of 3 workers ready, generation 1, 0 req/s, 0 restarts',
        at: 900,
      },
    ]);
    assert.deepEqual(cluster.effects('serving'), [
      { type: 'serving', urls: ['http://localhost:3000'], at: 900 },
    ]);
    assert.ok(cluster.logged('info').includes('serving with 3 workers'));
  });

  test('of an app that is no server is over when every worker is ready, and speaks of no request', () => {
    const cluster = new SimCluster({ policy: { kind: 'process' } }).start().run(2_000);
    assert.ok(cluster.logged('info').includes('running with 2 workers'));
    assert.equal(readies(cluster)[0]?.status, '2 of 2 workers ready, generation 1, 0 restarts');
  });

  test('of an app that is no server fails where it is not ready in time', () => {
    const cluster = new SimCluster({
      policy: { kind: 'process', bootTimeout: 3_000 },
      play: () => ({ boot: 60_000 }),
    });
    cluster.start().runToEnd();
    assert.deepEqual(cluster.logged('error'), ['cannot start: worker 1 did not become ready within 3 s']);
  });

  test('does not count the wait for a port that another process has, within listen_wait', () => {
    const cluster = new SimCluster({
      policy: { bootTimeout: 3_000, listenWait: 20_000 },
      play: ({ slot }) => ({ boot: slot === 1 ? 15_000 : null }),
    });
    cluster.start().run(1_000);
    for (const key of [1, 2]) cluster.post({ type: 'waits', key, port: 3000 });
    const status = cluster.effects('notify').at(-1)?.status ?? '';
    assert.equal(status, 'starting: 0 of 2 workers ready, 2 wait for port 3000');
    assert.ok(allWait(status));
    assert.ok(cluster.logged('info').includes('worker 2 waits for port 3000, which another process has'));
    // Said again, it does not get that time again.
    cluster.run(10_000).post({ type: 'waits', key: 2, port: 3000 });
    cluster.run(10_000);
    const statuses = cluster.effects('notify').flatMap(({ status = [] }) => status);
    assert.equal(statuses.at(-1), 'starting: 1 of 2 workers ready, 1 waits for port 3000');
    cluster.runToEnd();
    assert.deepEqual(cluster.logged('error'), ['cannot start: worker 2 did not listen within 3 s']);
    assert.equal(cluster.effects('kill').find(({ key }) => key === 2)?.at, 23_000);
  });

  test('knows no wait of a worker that does not start', () => {
    const cluster = new SimCluster({ policy: { listenWait: 20_000 } }).start().run(2_000);
    assert.deepEqual(cluster.post({ type: 'waits', key: 1, port: 3000 }), []);
    assert.equal(allWait('2 of 2 workers ready, generation 1, 0 req/s, 0 restarts'), false);
    assert.equal(allWait('starting: 0 of 2 workers ready, 1 waits for port 3000'), false);
  });

  test('tells nobody of readiness twice when a worker is replaced later', () => {
    const cluster = new SimCluster({
      play: ({ slot, nth }) => (slot === 1 && nth === 1 ? { crash: { after: 5_000 } } : {}),
    });
    cluster.start().run(30_000);
    assert.equal(cluster.state.restarts, 1);
    assert.equal(readies(cluster).length, 1);
    assert.equal(cluster.effects('serving').length, 1);
  });

  test('says one worker in the singular', () => {
    const cluster = new SimCluster({ policy: { workers: 1 } }).start().run(200);
    assert.ok(cluster.logged('info').includes('serving with 1 worker'));
  });

  test('a worker that listens twice counts once', () => {
    const cluster = new SimCluster({ play: ({ slot }) => ({ boot: slot === 1 ? 10 : null }) })
      .start()
      .run(20);
    const before = cluster.state;
    assert.deepEqual(cluster.post({ type: 'ready', key: 1, urls: [] }), []);
    assert.equal(cluster.state, before);
    assert.equal(cluster.state.life.phase, 'starting');
  });

  test('a second start changes nothing', () => {
    const cluster = new SimCluster().start().run(500);
    const before = cluster.state;
    assert.deepEqual(cluster.post({ type: 'start' }), []);
    assert.equal(cluster.state, before);
  });

  test('a first worker that crashes before the others listen is replaced, and readiness waits for it', () => {
    const cluster = new SimCluster({
      play: ({ slot, nth }) => {
        if (slot === 2) return { boot: 3_000 };
        return nth === 1 ? { boot: 100, crash: { after: 2_850 } } : { boot: 400 };
      },
    });
    cluster.start().run(10_000);
    assert.deepEqual(
      readies(cluster).map(({ at }) => at),
      [3_350],
    );
  });

  test('is given more time every 5 s as long as it lasts, and not after', () => {
    const cluster = new SimCluster({ policy: { bootTimeout: 60_000 }, play: () => ({ boot: 12_500 }) });
    cluster.start().run(60_000);
    const extended = cluster.effects('notify').filter(({ extend }) => extend !== undefined);
    assert.deepEqual(
      extended.map(({ at, extend }) => [at, extend]),
      [
        [0, 15_000],
        [5_000, 15_000],
        [10_000, 15_000],
      ],
    );
  });
});

describe('a start that does not get on', () => {
  test('gets no more time: a worker that is tried again and again is ended by TimeoutStartSec=', () => {
    const cluster = new SimCluster({
      play: () => ({ bootFailure: { after: 100, signal: 'SIGSEGV' } }),
      policy: { restart: { intensity: 1_000 } },
    });
    cluster.start().run(60_000);
    assert.equal(cluster.state.life.phase, 'starting');
    const extended = cluster.effects('notify').filter(({ extend }) => extend !== undefined);
    assert.deepEqual(
      extended.map(({ at }) => at),
      [0],
    );
  });
});

describe('a first start that cannot succeed', () => {
  test('ends at once with the reason as STATUS, ERRNO and the exit status of the failure', () => {
    const cluster = new SimCluster({ play: () => ({ bootFailure: { after: 200, failure: refused } }) });
    cluster.start().runToEnd();
    assert.equal(cluster.exitCode, 69);
    assert.ok(cluster.now < 1_000, `took ${cluster.now} ms`);
    const [stopping] = cluster.effects('notify').filter(({ stopping }) => stopping === true);
    assert.equal(stopping?.status, refused.message);
    assert.equal(stopping?.errno, 98);
    assert.deepEqual(cluster.logged('error'), ['cannot start: port 3000 is in use']);
    assert.deepEqual(cluster.logged('warn'), []);
    assert.equal(readies(cluster).length, 0);
  });

  test('drains the workers that already listen first', () => {
    const cluster = new SimCluster({
      play: ({ slot }) =>
        slot === 1
          ? { drain: 3_000 }
          : { bootFailure: { after: 500, failure: { message: 'no', exitCode: 70 } } },
    });
    cluster.start().run(600);
    assert.equal(cluster.exitCode, null);
    assert.deepEqual(
      cluster.effects('drain').map(({ key, timeout }) => [key, timeout]),
      [[1, 20_000]],
    );
    cluster.runToEnd();
    assert.equal(cluster.exitCode, 70);
    assert.equal(cluster.effects('exit')[0]?.at, 3_505);
  });

  test('keeps the reason as the last STATUS, however long the drain takes', () => {
    const cluster = new SimCluster({
      play: ({ slot }) =>
        slot === 1 ? { drain: 15_000 } : { bootFailure: { after: 500, failure: refused } },
    });
    cluster.start().runToEnd();
    const statuses = cluster
      .effects('notify')
      .flatMap(({ status }) => (status === undefined ? [] : [status]));
    assert.equal(statuses.at(-1), refused.message);
  });

  test('an app that ends before it listens has its own exit status and sentence', () => {
    const cluster = new SimCluster({ play: () => ({ bootFailure: { after: 50, code: 0 } }) })
      .start()
      .runToEnd();
    assert.equal(cluster.exitCode, 70);
    assert.ok(cluster.logged('error').includes('cannot start: the app ended with code 0 before it listened'));
  });

  test('an abort is taken for the heap limit', () => {
    const cluster = new SimCluster({ play: () => ({ bootFailure: { after: 50, signal: 'SIGABRT' } }) });
    cluster.start().runToEnd();
    assert.equal(cluster.exitCode, 71);
    assert.match(cluster.logged('error').join(), /heap limit \(max_old_space_size\)/);
  });

  test('the stack of the failure is logged with it', () => {
    const failure = { message: 'boom', exitCode: 70, stack: 'Error: boom\n    at app.js:1' };
    const cluster = new SimCluster({ play: () => ({ bootFailure: { after: 50, failure } }) })
      .start()
      .runToEnd();
    assert.deepEqual(cluster.effects('log').find(({ level }) => level === 'error')?.fields, {
      stack: failure.stack,
    });
  });

  test('a worker that does not listen within its limit is killed, and that ends the start', () => {
    const cluster = new SimCluster({ play: ({ slot }) => ({ boot: slot === 1 ? null : 100 }) }).start();
    cluster.runTo(9_999);
    assert.deepEqual(cluster.effects('kill'), []);
    cluster.runToEnd();
    assert.deepEqual(cluster.effects('kill'), [{ type: 'kill', key: 1, at: 10_000 }]);
    assert.equal(cluster.exitCode, 75);
    assert.ok(cluster.logged('error').includes('cannot start: worker 1 did not listen within 10 s'));
  });

  test('no process to be had ends it too, with the number of the system error', () => {
    const forkFails = { message: 'cannot start a worker process: spawn EAGAIN', exitCode: 71, errno: 11 };
    const cluster = new SimCluster({ play: ({ slot }) => (slot === 2 ? { forkFails } : {}) })
      .start()
      .runToEnd();
    assert.equal(cluster.exitCode, 71);
    const [stopping] = cluster.effects('notify').filter(({ stopping }) => stopping === true);
    assert.equal(stopping?.errno, 11);
    assert.equal(stopping?.status, forkFails.message);
  });

  test('a worker that a foreign signal killed gets another try instead, after the backoff of boots', () => {
    const cluster = new SimCluster({
      play: ({ slot, nth }) =>
        slot === 1 && nth === 1 ? { bootFailure: { after: 50, signal: 'SIGKILL' } } : {},
    });
    cluster.start().run(5_000);
    assert.equal(cluster.state.life.phase, 'serving');
    assert.equal(cluster.exitCode, null);
    const again = cluster.effects('fork')[2];
    assert.ok(
      again !== undefined && slotOf(again) === 1 && again.at >= 50 + 250 && again.at <= 50 + 500,
      `${again?.at}`,
    );
    assert.deepEqual(cluster.logged('error'), ['worker 1 died before it listened: ended by SIGKILL']);
  });
});
