import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { slotOf } from '../../../src/core/workers.js';
import { type Play, SimCluster } from '../../simulation/sim-cluster.js';
import type { PolicyPart } from '../../simulation/sim-policy.js';

const mebibyte = 2 ** 20;
const pressed: PolicyPart = { workers: 3, memory: { maxRss: null, maxHeap: 0, pressure: 0.9 } };

/** Grows from 50 MiB by so much a second. */
function growing(perSecond: number): Play {
  return { heartbeat: (served) => ({ rssBytes: (50 + (perSecond * served) / 1_000) * mebibyte }) };
}

interface Readings {
  readonly used?: number;
  readonly stalled?: number | null;
}

/** So many readings, a second apart. */
function read(cluster: SimCluster, times: number, { used = 950, stalled = null }: Readings = {}): SimCluster {
  for (let index = 0; index < times; index++) {
    cluster.post({ type: 'memory', used: used * mebibyte, limit: 1_000 * mebibyte, stalled });
    cluster.run(1_000);
  }
  return cluster;
}

/** Worker 2 is the fattest of three, after ten seconds of growing. */
function fat(policy: PolicyPart = pressed, more: Play = {}): SimCluster {
  return new SimCluster({
    policy,
    play: ({ slot, nth }) => ({ ...growing(nth === 1 ? (slot === 2 ? 20 : 10) : 0), ...more }),
  })
    .start()
    .run(10_500);
}

function drained(cluster: SimCluster): readonly number[] {
  return cluster.effects('drain').map(({ key }) => key);
}

describe('a cgroup that runs out of memory', () => {
  test('has the fattest worker drained first, and its slot filled once it is gone', () => {
    const cluster = fat(pressed, { drain: 4_000 });
    read(cluster, 2);
    assert.deepEqual(drained(cluster), []);
    read(cluster, 3);
    assert.deepEqual(drained(cluster), [2]);
    assert.equal(cluster.effects('fork').length, 3, 'nobody is forked beside it');
    cluster.run(5_000);
    const [drain] = cluster.effects('drain');
    const again = cluster.effects('fork')[3];
    assert.deepEqual([again && slotOf(again), again?.at], [2, (drain?.at ?? 0) + 4_005]);
    assert.equal(cluster.state.deaths.length, 0);
    assert.match(
      cluster.logged('warn').join(),
      /^memory is short, 950 of 1000 MiB are used: draining worker 2, which has 2\d\d MiB and began with \d\d$/,
    );
  });

  test('is judged by three readings in a row', () => {
    const cluster = fat();
    for (let turn = 0; turn < 5; turn++) {
      read(cluster, 2);
      read(cluster, 1, { used: 800 });
    }
    assert.deepEqual(drained(cluster), []);
  });

  test('is known by the time in which all wait for memory, too', () => {
    assert.deepEqual(drained(read(fat(), 3, { used: 800, stalled: 0.09 })), []);
    assert.deepEqual(drained(read(fat(), 3, { used: 800, stalled: 0.1 })), [2]);
  });

  test('is none where nobody asked for it', () => {
    assert.deepEqual(drained(read(fat({ workers: 3 }), 10, { stalled: 1 })), []);
  });

  test('costs one worker at a time, and the next not before ten seconds after the replacement is ready', () => {
    const cluster = fat();
    read(cluster, 30);
    const [first, second] = cluster.effects('drain');
    assert.deepEqual([first?.key, second?.key], [2, 1]);
    const ready = cluster.turns.find(({ event }) => event.type === 'ready' && event.key === 4)?.at ?? 0;
    const after = (second?.at ?? 0) - ready;
    assert.ok(after >= 10_000 && after <= 12_100, `${after}`);
  });

  test('costs nobody who has not grown: a new one would be as large', () => {
    const cluster = new SimCluster({
      policy: pressed,
      play: () => ({ heartbeat: () => ({ rssBytes: 300 * mebibyte }) }),
    });
    assert.deepEqual(drained(read(cluster.start().run(5_000), 20)), []);
    const little = new SimCluster({
      policy: pressed,
      play: () => ({ heartbeat: (served) => ({ rssBytes: (served > 2_000 ? 50 : 20) * mebibyte }) }),
    });
    assert.deepEqual(drained(read(little.start().run(5_000), 20)), [], 'by less than 32 MiB');
  });

  test('takes the fattest of those whom it helps with', () => {
    const cluster = new SimCluster({
      policy: pressed,
      play: ({ slot }) =>
        slot === 1 ? { heartbeat: () => ({ rssBytes: 600 * mebibyte }) } : growing((slot ?? 0) * 10),
    });
    assert.deepEqual(drained(read(cluster.start().run(10_000), 3)), [3]);
  });

  test('has the only worker replaced by a new one first', () => {
    const cluster = fat({ ...pressed, workers: 2 });
    cluster.ask({ type: 'scale', by: 'alice', change: { to: 1 } });
    cluster.run(1_000);
    const before = drained(cluster).length;
    const single = new SimCluster({
      policy: { ...pressed, workers: 1 },
      play: ({ nth }) => growing(nth === 1 ? 20 : 0),
    });
    read(single.start().run(10_000), 3);
    assert.equal(before, 1);
    assert.equal(single.effects('fork').length, 2);
    assert.deepEqual(drained(single), [1]);
    const [drain] = single.effects('drain');
    assert.equal(drain?.at, (single.effects('fork')[1]?.at ?? 0) + 100);
    assert.match(single.logged('warn').join(), /replacing worker 1/);
  });

  test('waits for the end of a reload', () => {
    const cluster = fat({ ...pressed, reload: { soak: 10_000 } });
    cluster.reload();
    read(cluster, 5);
    assert.ok(cluster.state.reload !== null);
    assert.doesNotMatch(cluster.logged('warn').join(), /memory is short/);
  });

  test('fills the slot with the generation of a reload that comes in between', () => {
    const cluster = fat(pressed, { drain: 8_000 });
    read(cluster, 3);
    cluster.reload({ soak: false });
    cluster.run(20_000);
    assert.equal(cluster.state.lastReload?.verdict, 'done');
    assert.deepEqual(
      cluster.state.workers.map((worker) => [slotOf(worker), worker.generation, worker.phase]).sort(),
      [1, 2, 3].map((slot) => [slot, 2, 'ready']),
    );
  });

  test('forgets the slot where it is given up meanwhile', () => {
    const cluster = fat({ ...pressed }, { drain: 8_000 });
    const byThree = new SimCluster({
      policy: pressed,
      play: ({ slot }) => ({ ...growing((slot ?? 0) * 10), drain: 3_000 }),
    });
    read(byThree.start().run(10_000), 3);
    assert.deepEqual(drained(byThree), [3]);
    byThree.ask({ type: 'scale', by: 'alice', change: { to: 2 } });
    read(byThree, 20);
    assert.equal(drained(byThree)[1], 2, 'the next one has its turn');
    assert.ok(cluster.state.life.phase === 'serving');
  });

  test('drained at a stop ends as all do', () => {
    const cluster = fat(pressed, { drain: 3_000 });
    read(cluster, 3);
    cluster.stop().runToEnd();
    assert.equal(cluster.exitCode, 0);
    assert.equal(cluster.effects('fork').length, 3);
  });

  test('that others have filled costs no worker its place: it is said once that replacing would not help', () => {
    const cluster = new SimCluster({
      policy: { ...pressed, memory: { maxRss: null, maxHeap: 0, pressure: 0.6 } },
      play: () => ({ heartbeat: (served) => ({ rssBytes: (served < 1_500 ? 50 : 120) * mebibyte }) }),
    })
      .start()
      .run(10_500);
    read(cluster, 120, { used: 950 });
    assert.deepEqual(drained(cluster), []);
    const [told, ...more] = cluster.logged('warn');
    assert.match(
      told ?? '',
      /^memory is short, 950 of 1000 MiB are used: replacing workers would not help, the workers have/,
    );
    assert.deepEqual(more, []);
  });

  test('whose workers grow again after each replacement loses each of them once, not every few seconds', () => {
    const cluster = new SimCluster({ policy: pressed, play: () => growing(20) }).start().run(10_000);
    read(cluster, 590);
    assert.deepEqual([...drained(cluster)].length, 3);
    assert.match(
      cluster.logged('warn').at(-1) ?? '',
      /each worker that has grown was replaced within the last 10 minutes$/,
    );
  });

  test('is not short because somebody waits for memory while there is plenty', () => {
    const cluster = fat();
    read(cluster, 30, { used: 300, stalled: 0.5 });
    assert.deepEqual([drained(cluster), cluster.logged('warn')], [[], []]);
  });
});
