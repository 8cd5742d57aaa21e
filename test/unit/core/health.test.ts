import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { slotOf } from '../../../src/core/workers.js';
import type { Heartbeat } from '../../../src/protocol/heartbeat.js';
import { type Play, SimCluster } from '../../simulation/sim-cluster.js';
import type { PolicyPart } from '../../simulation/sim-policy.js';

const mebibyte = 2 ** 20;

/** The first worker of slot 1 has this in its heartbeats, so long after it was ready. */
function one(
  heartbeat: (served: number) => Partial<Heartbeat>,
  policy: PolicyPart = {},
  more: Play = {},
): SimCluster {
  return new SimCluster({
    policy: { workers: 3, ...policy },
    play: ({ slot, nth }) => (slot === 1 && nth === 1 ? { heartbeat, ...more } : {}),
  }).start();
}

function health(cluster: SimCluster, key = 1) {
  return cluster.state.workers.find((worker) => worker.key === key)?.vitals.health;
}

const late = { eventLoopDelayMs: 800 };

describe('a worker is slow', () => {
  test('while its event loop is late; the log knows once it has lasted three heartbeats, and when it is over', () => {
    const cluster = one((served) => (served > 2_000 && served < 8_000 ? late : {}));
    cluster.run(3_050);
    assert.equal(health(cluster), 'healthy');
    cluster.run(1_000);
    assert.equal(health(cluster), 'degraded');
    assert.deepEqual(cluster.logged('warn'), []);
    cluster.run(10_000);
    assert.equal(health(cluster), 'healthy');
    assert.deepEqual(cluster.logged('warn'), ['worker 1 is degraded: its event loop is late by 800 ms']);
    const again = cluster.effects('log').find(({ message }) => message === 'worker 1 is healthy again');
    assert.deepEqual([again?.level, again?.at], ['info', 9_000]);
  });

  test('for too short a time to be worth a line', () => {
    const cluster = one((served) => (served > 2_000 && served < 4_500 ? late : {})).run(20_000);
    assert.deepEqual(
      cluster.logged('warn', 'info').filter((message) => /degraded|healthy/.test(message)),
      [],
    );
  });

  test('while a heartbeat is overdue, before it is lost', () => {
    const cluster = one(() => ({}), {}, { hang: 1_050 });
    cluster.run(3_500);
    assert.equal(health(cluster), 'healthy');
    cluster.run(1_000);
    assert.equal(health(cluster), 'degraded');
    cluster.run(600);
    assert.match(cluster.logged('warn').join(), /^worker 1 is degraded: no heartbeat for 3\.\d s$/);
    cluster.run(2_000);
    assert.equal(health(cluster), undefined, 'killed, and gone');
  });

  test('and stays where that is not limited', () => {
    const cluster = one(() => late, { health: { slowDelay: 500, slowLimit: 0 } }).run(600_000);
    assert.equal(cluster.effects('fork').length, 3);
  });

  test('in its own eyes only where it is slower than it may be', () => {
    const cluster = one(() => ({ eventLoopDelayMs: 500 })).run(20_000);
    assert.equal(health(cluster), 'healthy');
  });
});

describe('a worker that is slow for too long', () => {
  const limited = { health: { slowDelay: 500, slowLimit: 30_000 } };

  test('is replaced, the new one first', () => {
    const cluster = one(() => late, limited).run(60_000);
    const warned = cluster.effects('log').filter(({ level }) => level === 'warn');
    assert.deepEqual(
      warned.map(({ message }) => message.replace(/\d+(\.\d)? s/, '… s')),
      [
        'worker 1 is degraded: its event loop is late by 800 ms',
        'worker 1 is unhealthy: it has been degraded for … s, most others are not',
      ],
    );
    const [, , , again] = cluster.effects('fork');
    assert.ok(again !== undefined && again.at >= 30_100 && again.at <= 31_100, `${again?.at}`);
    assert.deepEqual(
      cluster.effects('drain').map(({ key, at }) => [key, at]),
      [[1, again.at + 100]],
    );
    assert.equal(cluster.state.deaths.length, 0);
    assert.equal(cluster.state.restarts, 0);
  });

  test('stays where most others are slow as well', () => {
    const cluster = new SimCluster({
      policy: { workers: 3, ...limited },
      play: ({ slot }) => (slot !== 3 ? { heartbeat: () => late } : {}),
    });
    cluster.start().run(120_000);
    assert.equal(cluster.effects('fork').length, 3);
    assert.equal(health(cluster), 'degraded');
  });

  test('stays where it is the only one', () => {
    const cluster = one(() => late, { ...limited, workers: 1 }).run(120_000);
    assert.equal(cluster.effects('fork').length, 1);
  });
});

describe('a worker with too much memory', () => {
  const limited = { memory: { maxRss: 300 * mebibyte, maxHeap: 0.9, pressure: 0 } };
  const fat = { rssBytes: 400 * mebibyte };
  const full = { heapUsedBytes: 475 * mebibyte, heapLimitBytes: 512 * mebibyte };

  test('is replaced once it is over the limit of its resident set', () => {
    const cluster = one((served) => (served > 5_000 ? fat : {}), limited).run(20_000);
    assert.deepEqual(cluster.logged('warn'), [
      'worker 1 is unhealthy: its resident set is 400 MiB, over the limit of 300 MiB',
    ]);
    assert.equal(cluster.effects('fork').length, 4);
    assert.deepEqual(
      cluster.effects('drain').map(({ key }) => key),
      [1],
    );
  });

  test('is replaced once its heap was full in five heartbeats in a row', () => {
    const cluster = one(() => full, limited);
    cluster.run(4_900);
    assert.equal(health(cluster), 'healthy');
    cluster.run(1_200);
    assert.deepEqual(cluster.logged('warn'), ['worker 1 is unhealthy: its heap is full: 475 of 512 MiB']);
    assert.equal(cluster.effects('fork').length, 4);
  });

  test('stays where garbage is collected at times', () => {
    const cluster = one((served) => (Math.round(served / 1_000) % 5 === 0 ? {} : full), limited).run(60_000);
    assert.equal(cluster.effects('fork').length, 3);
  });

  test('stays where nothing is limited', () => {
    const cluster = one(() => ({ ...fat, ...full })).run(60_000);
    assert.equal(cluster.effects('fork').length, 3);
  });

  test('is replaced once within the window, though the next one is sick again; the log knows once', () => {
    const cluster = new SimCluster({
      policy: limited,
      play: ({ slot }) => (slot === 1 ? { heartbeat: () => fat } : {}),
    });
    cluster.start().run(59_000);
    assert.equal(cluster.effects('fork').length, 3);
    const again = cluster.logged('warn').filter((message) => message.includes('again'));
    assert.equal(again.length, 1);
    assert.match(
      again.join(),
      /^worker 1 is unhealthy again, [\d.]+ s after it was replaced for that: it stays for now$/,
    );
    cluster.run(10_000);
    assert.equal(cluster.effects('fork').length, 4);
  });

  test('waits while another starts: they are replaced one after the other', () => {
    const cluster = new SimCluster({
      policy: { workers: 3, ...limited },
      play: ({ nth }) => (nth === 1 ? { heartbeat: () => fat } : { boot: 2_500 }),
    });
    cluster.start();
    for (let turn = 0; turn < 200; turn++) {
      cluster.run(100);
      assert.ok(
        cluster.state.workers.filter(({ phase }) => phase === 'starting').length <= 1 || cluster.now < 1_000,
      );
    }
    assert.equal(cluster.effects('fork').length, 6);
    assert.deepEqual(
      cluster.state.workers.map((worker) => [slotOf(worker), worker.phase]),
      [1, 2, 3].map((slot) => [slot, 'ready']),
    );
  });

  test('waits for the end of a reload', () => {
    const cluster = one((served) => (served > 1_000 ? fat : {}), limited, { drain: 500 });
    cluster.run(500).reload();
    cluster.run(1_900);
    assert.equal(health(cluster), 'unhealthy');
    assert.equal(cluster.effects('fork').length, 4, 'the canary alone');
    cluster.run(10_000);
    assert.equal(cluster.effects('fork').length, 6);
  });

  test('stays where the next one cannot start', () => {
    const failure = { message: 'cannot reach the database', exitCode: 70 };
    const cluster = new SimCluster({
      policy: limited,
      play: ({ nth, slot }) =>
        slot === 1 && nth === 1
          ? { heartbeat: () => fat }
          : nth > 1
            ? { bootFailure: { after: 50, failure } }
            : {},
    });
    cluster.start().run(50_000);
    assert.equal(cluster.effects('fork').length, 3);
    assert.equal(health(cluster), 'unhealthy');
    assert.deepEqual(cluster.effects('drain'), []);
  });
});
