import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { follow } from '../../../src/core/autoscale.js';
import { freshTrend } from '../../../src/core/scaling-state.js';
import type { Answer, ScaleChange } from '../../../src/protocol/control-api.js';
import { checked, checkedDay } from '../../simulation/scaling/model.js';
import { SimCluster, type SimOptions } from '../../simulation/sim-cluster.js';
import { narrated, turnsOf } from '../../simulation/turns.js';

const minute = 60_000;

/** A cluster whose event loops share a load, in workers' worth. */
function loaded(load: () => number, options: SimOptions = {}): SimCluster {
  const cluster: SimCluster = new SimCluster({
    ...options,
    policy: { workers: '2..8', scale: { target: 0.7, downAfter: minute }, ...options.policy },
    play: (fork) => ({
      boot: 500,
      heartbeat: () => ({
        eventLoopUtilization: Math.min(1, load() / ready(cluster)),
        accepted: Math.floor(cluster.now / 10),
      }),
      ...options.play?.(fork),
    }),
  });
  return cluster.start().run(3_000);
}

function ready({ state }: SimCluster): number {
  return state.workers.filter(({ phase }) => phase === 'ready').length;
}

function scaled(cluster: SimCluster): readonly string[] {
  return cluster.logged('info').filter((message) => message.startsWith('scaled'));
}

function scale(cluster: SimCluster, change: ScaleChange): Answer {
  return cluster.ask({ type: 'scale', by: 'alice', change });
}

describe('the number of workers', () => {
  for (const seed of [1, 2, 3]) {
    test(`settles over a day of load: few changes an hour, hardly one back and forth, workers as they are needed (seed ${seed})`, () => {
      assert.deepEqual(checkedDay({ follow, freshTrend }, seed), []);
    });
  }

  test('follows a step within five seconds; what stays, or comes and goes within seconds or minutes, moves it little', () => {
    assert.deepEqual(checked({ follow, freshTrend }, []), []);
  });
});

describe('the number of workers that follows the load', () => {
  test('starts at the lower end, and stays there while there is little to do', () => {
    const cluster = loaded(() => 0.3).run(3 * minute);
    assert.equal(cluster.effects('fork').length, 2);
    assert.match(cluster.state.status, /^2 of 2 workers ready/);
  });

  test('follows a step within five seconds, to four times as many where connections wait for long', () => {
    let load = 0.3;
    const cluster = loaded(() => load, { queue: () => (load > 1 ? 100 : 0) });
    load = 8;
    cluster.run(5_000);
    assert.equal(ready(cluster), 8);
    assert.match(
      scaled(cluster)[0] ?? '',
      /^scaled from 2 to 8 workers: event loops were 100 % busy for [23] s, 100 connections waited to be accepted$/,
    );
  });

  test('goes to twice as many where the loops never rest, and asks no further than it must where they do', () => {
    let load = 0.3;
    const cluster = loaded(() => load, { queue: () => null });
    load = 20;
    cluster.run(5_000);
    assert.match(
      scaled(cluster)[0] ?? '',
      /^scaled from 2 to 4 workers: event loops were 100 % busy for [23] s$/,
    );
    load = 0.3;
    const other = loaded(() => load);
    load = 1.8;
    other.run(10_000);
    assert.equal(scaled(other).length, 1);
    assert.match(scaled(other)[0] ?? '', /^scaled from 2 to 3 workers: event loops were 90 % busy for/);
  });

  test('goes down to what was enough all the while, and drains those with the highest numbers', () => {
    let load = 20;
    const cluster = loaded(() => load).run(20_000);
    assert.equal(ready(cluster), 8);
    load = 1.9;
    cluster.run(50_000);
    assert.equal(ready(cluster), 8, 'not before its time');
    cluster.run(40_000);
    assert.equal(ready(cluster), 3);
    assert.match(
      scaled(cluster).at(-1) ?? '',
      /^scaled from \d to 3 workers: event loops are \d+ % busy, 3 have been enough for 60 s$/,
    );
    assert.deepEqual(
      cluster.state.slots.map(({ id }) => id),
      [1, 2, 3],
    );
    assert.equal(cluster.effects('kill').length, 0);
  });

  test('does not ask the kernel for its queue while there is little to do', () => {
    assert.equal(
      loaded(() => 0.3)
        .run(minute)
        .effects('read-queue').length,
      0,
    );
  });

  test('stays as it is while a reload is under way, and looks anew after it', () => {
    let load = 0.3;
    const cluster = loaded(() => load, { policy: { reload: { soak: 30_000 } } });
    cluster.reload();
    load = 8;
    cluster.run(30_000);
    assert.deepEqual(scaled(cluster), []);
    cluster.run(20_000);
    assert.equal(cluster.state.reload, null);
    assert.equal(ready(cluster), 8);
  });

  test('stays as it is while memory is short, and where workers crash one after the other', () => {
    const cluster = loaded(() => 8, { policy: { memory: { maxRss: null, maxHeap: 0, pressure: 0.9 } } });
    const other = loaded(() => 8, {
      play: () => ({ crash: { after: 1_500 } }),
      policy: { restart: { intensity: 1_000 } },
    });
    const before = scaled(cluster).length;
    for (let second = 0; second < 20; second++) {
      cluster.post({ type: 'memory', used: 95, limit: 100, stalled: null });
      cluster.run(1_000);
    }
    assert.equal(scaled(cluster).length, before);
    assert.deepEqual(scaled(other.run(30_000)), []);
  });

  test('gives back the slot of a worker that does not start, and tries no other one until down_after is over', () => {
    let load = 0.3;
    let starts = false;
    const cluster = loaded(() => load, {
      play: ({ slot }) =>
        slot !== null && slot > 3 && !starts ? { bootFailure: { after: 100, code: 1 } } : {},
    });
    load = 8;
    cluster.run(30_000);
    assert.equal(ready(cluster), 3, 'the third one starts');
    assert.deepEqual(
      cluster.state.slots.map(({ id }) => id),
      [1, 2, 3],
    );
    const given = cluster.logged('warn').filter((message) => message.startsWith('scaled'));
    assert.match(
      given.at(-1) ?? '',
      /^scaled from 4 to 3 workers: worker \d died 2 times before it listened; for 60 s the load gets no more than 3$/,
    );
    const forked = cluster.effects('fork').length;
    starts = true;
    cluster.run(20_000);
    assert.equal(cluster.effects('fork').length, forked, 'nothing is tried meanwhile');
    cluster.run(minute);
    assert.equal(ready(cluster), 8);
  });

  test('keeps trying to start what an operator asked for, or the range has at least', () => {
    const cluster = loaded(() => 0.3, {
      play: ({ slot }) => (slot === 3 ? { bootFailure: { after: 100, code: 1 } } : {}),
      policy: { restart: { intensity: 1_000 } },
    });
    scale(cluster, { to: 3 });
    cluster.run(30_000);
    assert.equal(cluster.state.slots.length, 3);
    scale(cluster, { auto: true });
    cluster.run(2 * minute);
    assert.equal(cluster.state.slots.length, 2, 'once it follows the load again');
  });

  test('a number that was given back is tried at once when an operator or a reload changes something', () => {
    let starts = false;
    let load = 0.3;
    const cluster = loaded(() => load, {
      play: ({ slot }) =>
        slot !== null && slot > 2 && !starts ? { bootFailure: { after: 100, code: 1 } } : {},
      policy: { scale: { target: 0.7, downAfter: 60 * minute } },
    });
    load = 8;
    cluster.run(30_000);
    assert.notEqual(cluster.state.scaling.cap, null);
    starts = true;
    cluster.run(5 * minute);
    assert.equal(ready(cluster), 2);
    cluster.reload();
    cluster.run(30_000);
    assert.equal(ready(cluster), 8);
  });

  test('a spare takes over as the next worker at once', () => {
    let load = 0.3;
    const cluster = loaded(() => load, { policy: { spares: 1 } });
    load = 1.9;
    cluster.run(5_000);
    assert.equal(cluster.effects('promote').length, 1);
    assert.equal(cluster.state.slots.length, 4);
  });

  test('a worker whose loop does not turn counts as busy', () => {
    const cluster = loaded(() => 1.75, {
      play: ({ slot }) => (slot === 1 ? { hang: 4_000, recovers: 4_500 } : {}),
    });
    assert.ok(cluster.run(10_000).state.slots.length > 2);
  });
});

describe('a number that an operator asks for', () => {
  test('holds, whatever the load is, until the number may follow it again', () => {
    const cluster = loaded(() => 8);
    assert.ok(scale(cluster, { to: 3 }).accepted);
    cluster.run(2 * minute);
    assert.equal(ready(cluster), 3);
    assert.ok(scale(cluster, { to: 12 }).accepted);
    cluster.run(2 * minute);
    assert.equal(ready(cluster), 12, 'also outside of the range');
    const answer = scale(cluster, { auto: true });
    assert.deepEqual(answer, {
      accepted: true,
      message: 'the number of workers follows the load, from 2 to 8',
    });
    cluster.run(3_000);
    assert.match(scaled(cluster).at(-1) ?? '', /^scaled from 12 to 8 workers: workers is 2\.\.8$/);
  });

  test('holds until a reload is done, but not by one that is rolled back; one that waited for it holds on', () => {
    const cluster = loaded(() => 0.3);
    scale(cluster, { to: 5 });
    cluster.run(5_000).reload();
    cluster.ask({ type: 'abort', by: 'alice' });
    cluster.run(2 * minute);
    assert.equal(ready(cluster), 5);
    cluster.reload();
    scale(cluster, { to: 4 });
    cluster.run(3 * minute);
    assert.equal(ready(cluster), 4);
    cluster.reload();
    cluster.run(3 * minute);
    assert.equal(ready(cluster), 2);
  });

  test('may be outside of the range, and the answer says so', () => {
    const cluster = loaded(() => 0.3);
    assert.deepEqual(scale(cluster, { to: 9 }), {
      accepted: true,
      message: 'from 2 to 9 workers, outside of workers = "2..8", until rom-agent scale auto or a reload',
    });
    assert.deepEqual(scale(cluster, { to: 8 }), { accepted: true, message: 'from 9 to 8 workers' });
    assert.deepEqual(scale(cluster, { to: 0 }), {
      accepted: false,
      reason: 'scale: 0 workers; expected 1 to 1024',
    });
  });

  test('is the only way where the number is fixed', () => {
    const cluster = new SimCluster({ policy: { workers: 2 } }).start().run(1_000);
    const answer = scale(cluster, { auto: true });
    assert.deepEqual(answer, {
      accepted: false,
      reason: 'scale: workers is 2; expected a range such as "2..8" for scale auto',
    });
    assert.equal(cluster.state.scaling.held, false);
  });
});

test('why says what the load brought about, and from what', () => {
  let load = 0.3;
  const cluster = loaded(() => load, { queue: () => (load > 1 ? 12 : 0) });
  load = 8;
  cluster.run(5_000);
  const lines = narrated(turnsOf(cluster));
  const change = lines.find(({ kind }) => kind === 'scale');
  assert.equal(change?.text, 'scaled from 2 to 4 workers');
  assert.match(
    change?.cause ?? '',
    /^event loops were 100 % busy for \d s, 12 connections waited to be accepted$/,
  );
  const fork = lines.find(({ text }) => text === 'worker 3 starts');
  assert.match(fork?.cause ?? '', /^more workers are wanted: event loops were/);
});
