import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ownPolicy } from '../../../src/core/policy.js';
import { slotOf } from '../../../src/core/workers.js';
import type { Capture } from '../../../src/protocol/capture.js';
import { type Play, SimCluster } from '../../simulation/sim-cluster.js';
import { type PolicyPart, simHeartbeat, simPolicy } from '../../simulation/sim-policy.js';

describe('heartbeats', () => {
  for (const [phase, key] of [
    ['boots', 1],
    ['is not known', 99],
  ] as const) {
    test(`of a worker that ${phase} say nothing`, () => {
      const cluster = new SimCluster({ play: () => ({ boot: 5_000 }) }).start().run(100);
      const before = cluster.state;
      assert.deepEqual(cluster.post({ type: 'heartbeat', key, heartbeat: simHeartbeat() }), []);
      assert.equal(cluster.state, before);
    });
  }

  test('of a worker that is being killed do not save it', () => {
    const cluster = new SimCluster({ play: () => ({ hang: 1, immortal: true }) }).start().run(6_000);
    assert.equal(cluster.state.workers[0]?.phase, 'dying');
    const before = cluster.state;
    cluster.post({ type: 'heartbeat', key: 1, heartbeat: simHeartbeat() });
    assert.equal(cluster.state, before);
  });
});

describe('a worker that falls silent', () => {
  test('is killed once it was silent for the limit, and replaced at once', () => {
    const cluster = new SimCluster({
      play: ({ slot, nth }) => (slot === 1 && nth === 1 ? { hang: 10_500 } : {}),
    });
    cluster.start().run(30_000);
    const [kill] = cluster.effects('kill');
    // Its last heartbeat came 10 s after it was ready.
    assert.equal(kill?.at, 15_100);
    assert.equal(cluster.effects('kill').length, 1);
    const again = cluster.effects('fork')[2];
    assert.deepEqual([again && slotOf(again), again?.at], [1, 15_100]);
    assert.deepEqual(cluster.logged('error'), ['worker 1 hung: silent for 5 s']);
  });

  test('is replaced though it may never go, and its end is no news', () => {
    const cluster = new SimCluster({
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

  test('is not taken for hung while its heartbeats come, however late', () => {
    const cluster = new SimCluster({ play: () => ({ hang: 1 }) }).start().run(100);
    for (let index = 0; index < 20; index++) {
      cluster.run(4_900);
      for (const key of [1, 2]) cluster.post({ type: 'heartbeat', key, heartbeat: simHeartbeat() });
    }
    assert.deepEqual(cluster.effects('kill'), []);
  });

  test('while it boots is given the limit of the boot instead', () => {
    const cluster = new SimCluster({ play: () => ({ boot: 9_000 }) }).start().run(9_500);
    assert.deepEqual(cluster.effects('kill'), []);
    assert.equal(cluster.state.life.phase, 'serving');
  });
});

const slow = { method: 'GET', path: '/slow', ageMs: 4_100 };
const stack = '    at checkout (/srv/app.js:12:5)\n    at handle (/srv/app.js:3:1)';
const inCheckout: Partial<Capture> = { state: 'running', stack, at: 'checkout (/srv/app.js:12:5)' };

/** Worker 1 falls silent 1 s after it was ready, so that its last heartbeat came at 1100 ms or just before. */
function oneSilent(play: Play, policy: PolicyPart = {}): SimCluster {
  return new SimCluster({
    policy,
    play: ({ slot, nth }) => (slot === 1 && nth === 1 ? { hang: 1_050, ...play } : {}),
  }).start();
}

function entry(cluster: SimCluster, level: string, about: RegExp) {
  return cluster.effects('log').find((log) => log.level === level && about.test(log.message));
}

describe('a silent worker is looked at', () => {
  test('once, a quarter of its limit before it is killed, and that takes as long as it has left', () => {
    const cluster = oneSilent({ captureTakes: 5_000 }).run(10_000);
    assert.deepEqual(
      cluster.effects('capture').map(({ key, timeout, at }) => [key, timeout, at]),
      [[1, 1_250, 4_850]],
    );
    assert.deepEqual(
      cluster.effects('kill').map(({ at }) => at),
      [6_100],
    );
  });

  test('as long before where the limit is short, and the limit is kept to the tick', () => {
    const cluster = oneSilent({}, { hangTimeout: 1_000, heartbeatInterval: 250 }).run(3_000);
    assert.deepEqual(
      cluster.effects('capture').map(({ timeout, at }) => [timeout, at]),
      [[250, 1_850]],
    );
    assert.deepEqual(
      cluster.effects('kill').map(({ at }) => at),
      [2_100],
    );
  });

  test('and what was found is in the one entry of its death', () => {
    const cluster = oneSilent({
      capture: { ...inCheckout, requests: [slow], detail: 'waits for convert (4711)' },
    }).run(10_000);
    assert.deepEqual(cluster.logged('error'), [
      'worker 1 hung: silent for 5 s in checkout (/srv/app.js:12:5)',
    ]);
    assert.deepEqual(entry(cluster, 'error', /hung/)?.fields, {
      workerPid: 1001,
      uptimeSeconds: 6,
      inFlight: 1,
      requests: ['GET /slow 4.1 s'],
      restartInMs: 0,
      detail: 'waits for convert (4711)',
      stack,
    });
    assert.doesNotMatch(cluster.logged('warn').join(), /hung|killing/);
  });

  for (const [state, at, words] of [
    ['stopped', null, 'silent for 5 s, stopped by a signal'],
    ['blocked', null, 'silent for 5 s, blocked in a system call'],
    ['blocked', 'read (/a.js:1:1)', 'silent for 5 s in read (/a.js:1:1), blocked in a system call'],
    ['idle', null, 'silent for 5 s, idle in its event loop'],
    ['unknown', null, 'silent for 5 s'],
    ['running', null, 'silent for 5 s'],
  ] as const) {
    test(`and is killed when it is ${state}${at === null ? '' : ' at a known place'}`, () => {
      const cluster = oneSilent({ capture: { state, at } }).run(10_000);
      assert.deepEqual(cluster.logged('error'), [`worker 1 hung: ${words}`]);
      assert.equal(cluster.effects('kill')[0]?.at, 6_100);
    });
  }

  test('and if it only gets no CPU it has three times as long', () => {
    const cluster = oneSilent({ capture: { state: 'starved' } }).run(20_000);
    assert.deepEqual(
      cluster.effects('kill').map(({ at }) => at),
      [16_100],
    );
    assert.equal(cluster.effects('capture').length, 1);
    assert.deepEqual(cluster.logged('error'), ['worker 1 hung: silent for 15 s, starved of CPU']);
  });

  test('and the requests of its last heartbeat are told where it could not be asked, older by the silence', () => {
    const cluster = oneSilent({ requests: [{ ...slow, ageMs: 200 }] }).run(10_000);
    assert.deepEqual(entry(cluster, 'error', /hung/)?.fields?.requests, ['GET /slow 5.2 s']);
  });
});

describe('a worker that speaks again', () => {
  test('goes on, and the log knows where it was', () => {
    const cluster = oneSilent({ recovers: 4_650, capture: inCheckout }).run(30_000);
    assert.deepEqual(cluster.effects('kill'), []);
    const recovered = entry(cluster, 'warn', /did not answer/);
    assert.equal(
      recovered?.message,
      'worker 1 did not answer for 4.7 s: it was in checkout (/srv/app.js:12:5)',
    );
    assert.deepEqual(recovered?.fields, { workerPid: 1001, stack });
    assert.equal(cluster.state.workers[0]?.vitals.silence, null);
  });

  test('before it is known what it did is told of when that comes', () => {
    const cluster = oneSilent({ recovers: 4_100, captureTakes: 500, capture: { state: 'stopped' } });
    cluster.run(5_250);
    assert.equal(entry(cluster, 'warn', /did not answer/), undefined);
    cluster.run(100);
    const recovered = entry(cluster, 'warn', /did not answer/);
    assert.equal(recovered?.message, 'worker 1 did not answer for 4.2 s: it was stopped by a signal');
    assert.equal(recovered?.at, 5_350);
    cluster.run(30_000);
    assert.deepEqual(cluster.effects('kill'), []);
  });

  test('and falls silent again is looked at again, and killed at its limit', () => {
    const cluster = oneSilent({ captureTakes: 1_000 }).run(5_500);
    cluster.post({ type: 'heartbeat', key: 1, heartbeat: simHeartbeat() });
    cluster.run(10_000);
    assert.deepEqual(
      cluster.effects('capture').map(({ at }) => at),
      [4_850, 9_250],
    );
    assert.equal(entry(cluster, 'warn', /did not answer for 4.4 s/)?.at, 5_850);
    assert.deepEqual(
      cluster.effects('kill').map(({ at }) => at),
      [10_500],
    );
  });

  test('without anything being known is told of without', () => {
    const cluster = oneSilent({ recovers: 4_500, capture: { state: 'unknown' } }).run(10_000);
    assert.equal(entry(cluster, 'warn', /did not answer/)?.message, 'worker 1 did not answer for 4.6 s');
  });
});

describe('a worker that is excused', () => {
  test('is not judged silent until that is over', () => {
    const cluster = oneSilent({}).run(2_000);
    cluster.post({ type: 'excused', key: 1, for: 20_000 });
    cluster.run(30_000);
    assert.deepEqual(
      cluster.effects('capture').map(({ at }) => at),
      [25_750],
    );
    assert.deepEqual(
      cluster.effects('kill').map(({ at }) => at),
      [27_000],
    );
  });

  test('has its time anew when it is not any more', () => {
    const cluster = oneSilent({}).run(2_000);
    cluster.post({ type: 'excused', key: 1, for: 20_000 });
    cluster.run(3_000);
    cluster.post({ type: 'excused', key: 1, for: 0 });
    cluster.run(10_000);
    assert.equal(cluster.effects('kill')[0]?.at, 10_000);
  });

  test('is not killed for what was found out about it before', () => {
    const cluster = oneSilent({}).run(5_500);
    assert.equal(cluster.effects('capture').length, 1);
    cluster.post({ type: 'excused', key: 1, for: 20_000 });
    cluster.run(20_000);
    assert.deepEqual(cluster.effects('kill'), []);
  });
});

test('hangs count as deaths: they end the master where there are too many', () => {
  const cluster = new SimCluster({
    policy: { restart: { intensity: 2 } },
    play: ({ slot }) => (slot === 1 ? { hang: 1 } : {}),
  });
  cluster.start().runToEnd();
  assert.equal(cluster.exitCode, 76);
  assert.match(
    cluster.logged('error').at(-1) ?? '',
    /^too many restarts: 3 within 60 s; the last: hung: silent/,
  );
});

test('a worker is judged by the settings of its own generation, with which it was forked', () => {
  const { hangTimeout, ...own } = ownPolicy(simPolicy({ hangTimeout: 10_000 }), { generation: 1 });
  const cluster = new SimCluster({
    // What a new configuration says; the workers that serve heartbeat every second.
    policy: {
      hangTimeout: 800,
      heartbeatInterval: 200,
      generations: { 1: { ...own, hangTimeout } },
    },
    play: ({ slot }) => (slot === 2 ? { hang: 3_000 } : {}),
  });
  cluster.start().run(11_500);
  assert.deepEqual(cluster.effects('kill'), []);
  cluster.run(2_000);
  assert.deepEqual(
    cluster.effects('kill').map(({ key }) => key),
    [2],
  );
});
