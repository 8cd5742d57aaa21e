import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { cellPostponed } from '../../../src/core/cell.js';
import { clusterStats } from '../../../src/core/stats.js';
import { slotOf } from '../../../src/core/workers.js';
import type { RequestNote } from '../../../src/protocol/requests.js';
import type { Fork, Play } from '../../simulation/play.js';
import { SimCluster } from '../../simulation/sim-cluster.js';
import type { PolicyPart } from '../../simulation/sim-policy.js';
import { randomBy } from '../../support/leaking-service.js';

const deadly: RequestNote = { method: 'GET', path: '/export/17', ageMs: 10 };
const usual: RequestNote = { method: 'GET', path: '/usual', ageMs: 10 };
const policy: PolicyPart = {
  poison: { deaths: 2, window: 600_000, block: 60_000, cell: 'on', cellTimeout: 5_000 },
  restart: { intensity: 3, window: 60_000 },
};

/** A service of which two workers have died of one kind of request. */
function suspicious(cell: (fork: Fork) => Play = () => ({}), more: PolicyPart = {}): SimCluster {
  const play = (fork: Fork): Play => (fork.isCell ? cell(fork) : { requests: [usual] });
  const cluster = new SimCluster({ policy: { ...policy, ...more }, play }).start().run(20_000);
  for (let death = 0; death < 2; death += 1) die(cluster);
  return cluster;
}

function die(cluster: SimCluster): void {
  const worker = cluster.state.workers.find((each) => slotOf(each) === 1 && each.phase === 'ready');
  const key = worker?.key ?? assert.fail();
  cluster.post({ type: 'current', key, inFlight: 1, requests: [deadly] });
  cluster.post({ type: 'exited', key, code: null, signal: 'SIGSEGV' });
  cluster.run(500);
}

/** What the workers were told last. */
function told(cluster: SimCluster): number | null | undefined {
  return (cluster.effects('block').at(-1) ?? assert.fail('nobody was told anything')).cell;
}

function stats({ state, now }: SimCluster) {
  const master = { pid: 42, version: '0.1.0', node: 'v20.19.0', rssBytes: 1_000 };
  return clusterStats(state, { now, kind: 'server', mode: 'cluster', master, records: [] });
}

/** What it has died of so far, by the log. */
function deaths(cluster: SimCluster): readonly string[] {
  return cluster.logged('warn').filter((message) => message.startsWith('the cell'));
}

describe('the cell', () => {
  test('starts with the first kind of request that is kept out, and ends with the last', () => {
    const cluster = suspicious();
    const [fork = assert.fail(), ...others] = cluster.effects('fork-cell');
    assert.deepEqual(others, []);
    assert.equal(told(cluster), fork.key);
    assert.match(
      cluster.logged('error').join('\n'),
      /died within 10 min: it is served by the cell for 1 min$/m,
    );
    assert.equal(stats(cluster).cell?.status, 'ready');
    cluster.run(70_000);
    assert.equal(told(cluster), null);
    assert.ok(cluster.effects('drain').some(({ key }) => key === fork.key));
    assert.deepEqual(cluster.state.cell.workers, []);
    assert.equal(cluster.state.workers.length, 2);
  });

  test('is not there where it was not asked for', () => {
    const cluster = suspicious(() => ({}), { poison: { ...policy.poison, cell: 'off' } });
    assert.deepEqual(cluster.effects('fork-cell'), []);
    assert.equal('cell' in (cluster.effects('block').at(-1) ?? assert.fail()), false);
    assert.equal(stats(cluster).cell, undefined);
  });

  test('may die as often as it likes: the service counts none of it, and its requests stay out', () => {
    const cluster = suspicious(() => ({ crash: { after: 200, code: 3, lastWord: [deadly] } }));
    const { restarts, deaths: counted, lastDeaths } = cluster.state;
    cluster.run(300_000);
    assert.equal(cluster.state.life.phase, 'serving');
    assert.deepEqual(
      [cluster.state.restarts, cluster.state.deaths, cluster.state.lastDeaths],
      [restarts, counted, lastDeaths],
    );
    assert.ok(cluster.state.cell.deaths > 20, String(cluster.state.cell.deaths));
    assert.equal(stats(cluster).cell?.deaths, cluster.state.cell.deaths);
    // It was to be kept out for a minute.
    assert.ok((stats(cluster).poison[0]?.blockedForSeconds ?? 0) > 50);
    assert.match(
      deaths(cluster)[0] ?? '',
      /^the cell died, and no other worker: ended by itself with code 3$/,
    );
    assert.equal(stats(cluster).poison[0]?.deaths, 2);
  });

  test('comes back at once after its first death, and later and later after the next ones', () => {
    const cluster = suspicious(() => ({ crash: { after: 200, code: 3, lastWord: [deadly] } }));
    cluster.run(60_000);
    const pauses = cluster
      .effects('log')
      .flatMap(({ message, fields }) =>
        message.startsWith('the cell died') ? [Number(fields?.restartInMs)] : [],
      );
    assert.equal(pauses[0], 0);
    assert.ok((pauses[1] ?? 0) > 0 && (pauses[4] ?? 0) > 300 && Math.max(...pauses) <= 1_000, String(pauses));
  });

  test('lets go of a kind of request that it serves without harm while it dies of another', () => {
    const cluster = suspicious(() => ({ crash: { after: 20_000, code: 3, lastWord: [usual] } }));
    cluster.run(70_000);
    assert.deepEqual(
      cluster.state.suspects.filter(({ blockedUntil }) => blockedUntil !== null),
      [],
    );
  });

  test('keeps every kind where nobody knows of what it has died', () => {
    const cluster = suspicious(() => ({ crash: { after: 20_000, signal: 'SIGKILL', oomKills: 1 } }));
    cluster.run(70_000);
    assert.match(deaths(cluster)[0] ?? '', /killed by the kernel for memory/);
    assert.ok((stats(cluster).poison[0]?.blockedForSeconds ?? 0) > 0);
  });

  test('is killed when it is silent for longer than a request may take', () => {
    const cluster = suspicious(({ nth }) => (nth === 1 ? { hang: 1_000 } : {}));
    cluster.run(10_000);
    const [first = assert.fail(), second = assert.fail()] = cluster.effects('fork-cell');
    assert.ok(cluster.effects('kill').some(({ key }) => key === first.key));
    assert.match(deaths(cluster).join(), /^the cell died, and no other worker: silent for [67] s$/);
    assert.equal(told(cluster), second.key);
  });

  test('is killed when its resident set is over its limit, or over that of all workers', () => {
    const grown = ({ nth }: Fork): Play =>
      nth === 1 ? { heartbeat: (served) => ({ rssBytes: served > 5_000 ? 3e8 : 1e8 }) } : {};
    for (const limit of [
      { poison: { ...policy.poison, cellMemory: 2e8 } },
      { memory: { maxRss: 2e8, maxHeap: 0, pressure: 0 } },
    ]) {
      const cluster = suspicious(grown, limit).run(10_000);
      assert.match(deaths(cluster).join(), /its resident set of 286 MiB is over its limit of 191 MiB/);
      assert.equal(cluster.effects('fork-cell').length, 2);
    }
  });

  test('that does not boot is tried again by the backoff of such workers, while requests are answered with 503', () => {
    const cluster = suspicious(() => ({ bootFailure: { after: 50, code: 1 } })).run(30_000);
    const tries = cluster.effects('fork-cell').length;
    assert.ok(tries > 3 && tries < 12, String(tries));
    assert.match(deaths(cluster)[0] ?? '', /^the cell could not start, and no other worker: /);
    assert.equal(told(cluster), null);
    assert.equal(cluster.state.life.phase, 'serving');
    const never = suspicious(() => ({ boot: null })).run(15_000);
    assert.match(deaths(never)[0] ?? '', /did not listen within 10 s/);
  });

  test('is replaced by a reload that is done, after it, and not by one that is rolled back', () => {
    const cluster = suspicious();
    const [old = assert.fail()] = cluster.effects('fork-cell');
    cluster.reload();
    cluster.run(3_000);
    assert.equal(cluster.state.generation, 2);
    const [, next = assert.fail()] = cluster.effects('fork-cell');
    assert.equal(next.generation, 2);
    assert.equal(told(cluster), next.key);
    // At no time in between was there none.
    const since = cluster.effects('block').filter(({ at }) => at > old.at + 1_000);
    assert.deepEqual(
      since.filter(({ cell }) => cell === null),
      [],
    );
    assert.ok(cluster.effects('drain').some(({ key }) => key === old.key));

    const bad = (fork: Fork): Play =>
      fork.isCell ? {} : fork.generation > 1 ? { crash: { after: 100, code: 1 } } : { requests: [usual] };
    const failing = new SimCluster({ policy, play: bad }).start().run(20_000);
    for (let death = 0; death < 2; death += 1) die(failing);
    failing.reload();
    failing.run(5_000);
    assert.equal(failing.state.generation, 1);
    assert.equal(failing.effects('fork-cell').length, 1);
  });

  test('cannot have a canary rolled back by its death', () => {
    const cluster = suspicious(() => ({ crash: { after: 700, code: 3, lastWord: [deadly] } }));
    cluster.reload();
    cluster.run(4_000);
    assert.equal(cluster.state.lastReload?.verdict, 'done');
  });

  test('ends with the service, whatever it does', () => {
    for (const cell of [() => ({}), () => ({ hang: 100 }), () => ({ boot: null }), () => ({ drain: null })]) {
      const cluster = suspicious(cell).run(1_000).stop().runToEnd();
      assert.equal(cluster.exitCode, 0);
      const [fork = assert.fail()] = cluster.effects('fork-cell');
      const told = ['drain', 'kill'] as const;
      assert.ok(told.some((type) => cluster.effects(type).some(({ key }) => key === fork.key)));
    }
  });

  test('of which there can be no process is tried again, and says why', () => {
    const forkFails = { message: 'cannot start a worker process: EAGAIN', exitCode: 71 };
    const cluster = suspicious(({ nth }) => (nth < 3 ? { forkFails } : {})).run(10_000);
    assert.match(deaths(cluster)[0] ?? '', /^the cell could not start, and no other worker: .*EAGAIN$/);
    assert.equal(stats(cluster).cell?.status, 'ready');
  });

  test('that says why it dies gets nothing more from then on, and is told with it', () => {
    const failure = { message: 'the app threw: out of order', exitCode: 70 };
    const cluster = suspicious(({ nth }) =>
      nth === 1 ? { crash: { after: 5_000, code: 70, failure, lastWord: [deadly] } } : {},
    );
    const [first = assert.fail()] = cluster.effects('fork-cell');
    cluster.post({ type: 'failed', key: first.key, failure });
    assert.equal(told(cluster), null);
    cluster.run(10_000);
    assert.match(deaths(cluster).join(), /^the cell died, and no other worker: the app threw: out of order$/);
    assert.notEqual(told(cluster), first.key);
    assert.equal(cluster.state.lastDeaths.length, 2);
  });

  test('that says so and does not end is killed', () => {
    const cluster = suspicious();
    const [first = assert.fail()] = cluster.effects('fork-cell');
    cluster.post({ type: 'failed', key: first.key, failure: { message: 'it threw', exitCode: 70 } });
    cluster.run(30_000);
    assert.ok(cluster.effects('kill').some(({ key }) => key === first.key));
    assert.equal(stats(cluster).cell?.status, 'ready');
  });

  test('does not start while the memory is short', () => {
    const cluster = suspicious(({ nth }) => (nth === 1 ? { crash: { after: 5_000, code: 1 } } : {}), {
      memory: { maxRss: null, maxHeap: 0, pressure: 0.9 },
    });
    const short = (used: number): void => {
      for (let second = 0; second < 5; second += 1) {
        cluster.post({ type: 'memory', used, limit: 100, stalled: null });
        cluster.run(1_000);
      }
    };
    short(99);
    short(99);
    assert.equal(cluster.effects('fork-cell').length, 1);
    short(10);
    assert.equal(cluster.effects('fork-cell').length, 2);
  });

  test('gets the time that the master missed on top of each of its limits', () => {
    const [worker = assert.fail()] = suspicious().state.cell.workers;
    const cell = {
      workers: [{ ...worker, heardAt: 1_000, deadline: 9_000 }],
      forkAt: 5,
      failures: 0,
      deaths: 0,
    };
    const [later = assert.fail()] = cellPostponed(cell, { missed: 3_000, now: 10_000 }).workers;
    assert.deepEqual([later.heardAt, later.deadline], [4_000, 12_000]);
    const [now = assert.fail()] = cellPostponed(cell, { missed: 30_000, now: 10_000 }).workers;
    assert.equal(now.heardAt, 10_000);
  });

  test('is not held to time that the master missed itself', () => {
    const cluster = suspicious();
    cluster.freeze(20_000).run(3_000);
    assert.deepEqual(deaths(cluster), []);
    assert.equal(cluster.effects('fork-cell').length, 1);
  });
});

test('random lives of workers and cells keep the invariants, and end', () => {
  const ways: readonly Play[] = [
    {},
    { crash: { after: 900, code: 3, lastWord: [deadly] } },
    { crash: { after: 2_500, signal: 'SIGKILL', oomKills: 1 } },
    { hang: 1_500 },
    { hang: 1_500, recovers: 3_000 },
    { boot: null },
    { bootFailure: { after: 70, code: 1 } },
    { drain: null },
    { heartbeat: () => ({ rssBytes: 9e8 }) },
  ];
  let cells = 0;
  for (let seed = 1; seed <= 60; seed += 1) {
    const random = randomBy(seed);
    const pick = <T>(all: readonly T[]): T => all[Math.floor(random() * all.length)] as T;
    const play = ({ isCell, slot, nth }: Fork): Play => {
      if (isCell) return pick(ways);
      const dies = slot === 1 && nth <= 3;
      return { requests: [usual], ...(dies ? { crash: { after: 8_000, code: 3, lastWord: [deadly] } } : {}) };
    };
    const poison = { ...policy.poison, block: pick([5_000, 30_000]), cellMemory: pick([null, 8e8]) };
    const cluster = new SimCluster({ policy: { poison, restart: { intensity: 20 } }, play, seed }).start();
    cluster.run(15_000);
    for (let act = 0; act < 12; act += 1) {
      const what = random();
      if (what < 0.2) cluster.reload({ soak: random() < 0.5, rollback: random() < 0.7 });
      else if (what < 0.3) cluster.freeze(pick([200, 7_000]));
      cluster.run(pick([90, 1_700, 6_000]));
    }
    cells += cluster.effects('fork-cell').length;
    cluster.stop().runToEnd();
  }
  assert.ok(cells > 100, String(cells));
});
