import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { clusterStats } from '../../../src/core/stats.js';
import { slotOf } from '../../../src/core/workers.js';
import type { RequestNote } from '../../../src/protocol/requests.js';
import { SimCluster, type SimOptions } from '../../simulation/sim-cluster.js';
import type { PolicyPart } from '../../simulation/sim-policy.js';

const minute = 60_000;
const master = { pid: 42, version: '0.1.0', node: 'v20.19.0', rssBytes: 1_000 };

function request(path: string, method = 'GET'): RequestNote {
  return { method, path, ageMs: 10 };
}

const suspicious: PolicyPart = {
  poison: { deaths: 3, window: 10 * minute, block: 0 },
  restart: { intensity: 100, window: 1_000 },
};
const blocking: PolicyPart = { ...suspicious, poison: { deaths: 3, window: 10 * minute, block: 5 * minute } };

function serving(options: SimOptions = {}): SimCluster {
  const play = () => ({ requests: [request('/usual')] });
  // For so long that it is known what is usual.
  return new SimCluster({ policy: suspicious, play, ...options }).start().run(20_000);
}

/** The worker of slot 1 dies with these in flight; the next one has a moment to listen. */
function die(cluster: SimCluster, ...requests: readonly RequestNote[]): SimCluster {
  const worker = cluster.state.workers.find((worker) => slotOf(worker) === 1 && worker.phase === 'ready');
  const key = worker?.key ?? 0;
  cluster.post({ type: 'current', key, inFlight: requests.length, requests });
  cluster.post({ type: 'exited', key, code: null, signal: 'SIGSEGV' });
  return cluster.run(5_000);
}

function accusations(cluster: SimCluster): readonly string[] {
  return cluster.logged('error').filter((message) => message.includes('in flight'));
}

function poison({ state, now }: SimCluster) {
  return clusterStats(state, { now, kind: 'server', mode: 'cluster', master, records: [] }).poison;
}

describe('a kind of request that was in flight when workers died', () => {
  test('is named once that has happened often enough, and once for each death more', () => {
    const cluster = serving();
    die(cluster, request('/x/1'), request('/fine'));
    die(cluster, request('/x/2'));
    assert.deepEqual(accusations(cluster), []);
    die(cluster, request('/x/3'), request('/x/4'));
    assert.deepEqual(accusations(cluster), ['GET /x/:id was in flight when 3 workers died within 10 min']);
    die(cluster, request('/x/5'), request('/other'));
    assert.equal(accusations(cluster)[1], 'GET /x/:id was in flight when 4 workers died within 10 min');
    assert.equal(accusations(cluster).length, 2);
  });

  test('is told from others by its method and its route', () => {
    const cluster = serving();
    die(cluster, request('/x/1'), request('/y'));
    die(cluster, request('/x/1', 'POST'), request('/y/z'));
    die(cluster, request('/x'), request('/'));
    assert.deepEqual(accusations(cluster), []);
  });

  test('is in the stats from the second death on, the most suspicious first', () => {
    const cluster = serving();
    die(cluster, request('/a'), request('/b'));
    assert.deepEqual(poison(cluster), []);
    die(cluster, request('/a'), request('/b'));
    die(cluster, request('/b'));
    assert.deepEqual(poison(cluster), [
      { method: 'GET', route: '/b', deaths: 3, agoSeconds: 5, blockedForSeconds: 0 },
      { method: 'GET', route: '/a', deaths: 2, agoSeconds: 10, blockedForSeconds: 0 },
    ]);
  });

  test('is forgotten after the window', () => {
    const cluster = serving();
    die(cluster, request('/a'));
    die(cluster, request('/a'));
    cluster.run(10 * minute);
    assert.deepEqual(cluster.state.suspects, []);
    die(cluster, request('/a'));
    die(cluster, request('/a'));
    assert.deepEqual(accusations(cluster), []);
  });

  test('is accused of a hang as well: of what was found in flight then', () => {
    const cluster = serving({
      play: ({ slot, nth }) =>
        slot === 1 && nth <= 3
          ? { hang: 100, capture: { requests: [request('/x/9')] } }
          : { requests: [request('/usual')] },
    }).run(30_000);
    assert.deepEqual(accusations(cluster), ['GET /x/:id was in flight when 3 workers died within 10 min']);
  });

  test('is accused by a worker that says that it fails, of what that leaves unanswered', () => {
    const failure = { message: 'TypeError: no', exitCode: 70 };
    const lastWord = [request('/x/1')];
    const cluster = serving({
      play: ({ slot, nth }) =>
        slot === 1 && nth <= 3
          ? { requests: [request('/fine')], crash: { after: 5_000, failure, lastWord } }
          : { requests: [request('/fine')] },
    }).run(30_000);
    assert.deepEqual(accusations(cluster), ['GET /x/:id was in flight when 3 workers died within 10 min']);
    assert.deepEqual(
      cluster.state.suspects.map(({ route }) => route),
      ['/x/:id'],
    );
  });

  test('is not accused of deaths before a worker listened, nor where nobody asked for it', () => {
    const cluster = serving({ play: ({ nth }) => (nth > 1 ? { boot: null } : {}) });
    die(cluster, request('/a'));
    for (const key of [3, 4]) {
      cluster.post({ type: 'current', key, inFlight: 1, requests: [request('/a')] });
      cluster.post({ type: 'exited', key, code: 1, signal: null });
      cluster.run(2_000);
    }
    assert.deepEqual(
      cluster.state.suspects.map(({ deaths }) => deaths.length),
      [1],
    );
    const never = serving({ policy: { restart: { intensity: 100 } } });
    for (let turn = 0; turn < 5; turn++) die(never, request('/a'));
    assert.deepEqual(never.state.suspects, []);
  });

  test('is one of twenty at most that are kept in mind', () => {
    const cluster = serving();
    die(cluster, request('/worst'));
    for (let turn = 0; turn < 4; turn++) {
      const many = Array.from({ length: 15 }, (_, index) => request(`/r${turn}-${'abcdefghijklmno'[index]}`));
      die(cluster, request('/worst'), ...many);
    }
    assert.equal(cluster.state.suspects.length, 20);
    assert.deepEqual(poison(cluster)[0]?.route, '/worst');
  });
});

describe('a death that the worker has not caused', () => {
  const x = request('/x/1');

  function ended(exit: { signal: string; oomKills?: number }): SimCluster {
    const cluster = serving({ policy: blocking });
    for (let turn = 0; turn < 5; turn++) {
      const key =
        cluster.state.workers.find((worker) => slotOf(worker) === 1 && worker.phase === 'ready')?.key ?? 0;
      cluster.post({ type: 'current', key, inFlight: 1, requests: [x] });
      cluster.post({ type: 'exited', key, code: null, ...exit });
      cluster.run(5_000);
    }
    return cluster;
  }

  for (const [what, exit] of [
    ['kill -9 by hand', { signal: 'SIGKILL' }],
    ['kill by hand', { signal: 'SIGTERM' }],
    ["the kernel's OOM killer", { signal: 'SIGKILL', oomKills: 1 }],
  ] as const) {
    test(`makes no request suspicious: ${what}`, () => {
      const cluster = ended(exit);
      assert.equal(cluster.state.lastDeaths.length, 5);
      assert.deepEqual([cluster.state.suspects, accusations(cluster)], [[], []]);
    });
  }

  test('is told from one that it has: SIGSEGV', () => {
    assert.equal(ended({ signal: 'SIGSEGV' }).effects('block').length > 0, true);
  });
});

describe('a kind of request that is common', () => {
  test('is neither named nor blocked, though it is in flight at every crash', () => {
    const cluster = serving({ policy: blocking });
    for (let turn = 0; turn < 10; turn++) die(cluster, request('/usual'), request('/usual'));
    assert.deepEqual([accusations(cluster), cluster.effects('block')], [[], []]);
  });

  test('does not shield the rare one beside it', () => {
    const cluster = serving({ policy: blocking });
    for (let turn = 0; turn < 3; turn++) die(cluster, request('/usual'), request('/x/1'));
    assert.deepEqual(
      cluster
        .effects('block')
        .at(-1)
        ?.requests.map(({ route }) => route),
      ['/x/:id'],
    );
  });

  test('cannot be told from a rare one by a service that has hardly served, which blocks nothing', () => {
    const cluster = serving({ policy: blocking, play: () => ({}) });
    for (let turn = 0; turn < 3; turn++) die(cluster, request('/x/1'));
    assert.match(accusations(cluster).join(), /died within 10 min; too little traffic was seen to tell/);
    assert.deepEqual(cluster.effects('block'), []);
  });
});

describe('a kind of request that is blocked', () => {
  const x = { method: 'GET', route: '/x/:id' };

  function accused(): SimCluster {
    const cluster = serving({ policy: { ...blocking, spares: 1 } });
    for (let turn = 0; turn < 3; turn++) die(cluster, request('/x/1'));
    return cluster;
  }

  function blocks(cluster: SimCluster, from = 0) {
    return cluster
      .effects('block')
      .filter(({ at }) => at >= from)
      .map(({ key, requests, at }) => [key, requests.map(({ route }) => route), at]);
  }

  test('is made known to everybody who is there: who serves, who starts, who waits', () => {
    const cluster = accused();
    const [first] = cluster.effects('block');
    assert.deepEqual(first?.requests, [{ ...x, for: 5 * minute }]);
    const at = first?.at ?? 0;
    assert.equal(at, 30_000);
    const up = blocks(cluster, at).filter(([, , time]) => time === at);
    assert.deepEqual(
      up.map(([key]) => key),
      [2, 5],
    );
    assert.equal(
      accusations(cluster).at(-1),
      'GET /x/:id was in flight when 3 workers died within 10 min: it is answered with 503 for 5 min',
    );
    assert.equal(poison(cluster)[0]?.blockedForSeconds, 295);
  });

  test('is made known to who is forked later, for the time that is left', () => {
    const cluster = accused().run(minute);
    const before = cluster.now;
    cluster.ask({ type: 'scale', by: 'alice', change: { add: 2 } });
    const told = cluster.effects('block').filter(({ at }) => at >= before);
    const forked = cluster.effects('fork').filter(({ at }) => at >= before);
    assert.deepEqual(
      told.map(({ key, requests }) => [key, requests]),
      forked.map(({ key }) => [key, [{ ...x, for: 5 * minute - (before - 30_000) }]]),
    );
  });

  test('is let in again when its time is over, to the tick', () => {
    const cluster = accused().run(6 * minute);
    const over = 30_000 + 5 * minute;
    assert.deepEqual(
      blocks(cluster, over).map(([, routes, at]) => [routes, at]),
      cluster.state.workers.map(() => [[], over]),
    );
    assert.equal(poison(cluster)[0]?.blockedForSeconds, 0);
  });

  test('is told of only where something has changed', () => {
    const cluster = accused();
    const before = blocks(cluster).length;
    cluster.run(4 * minute);
    assert.equal(blocks(cluster).length, before);
  });

  test('stays blocked for longer where it kills once more', () => {
    const cluster = accused().run(minute);
    die(cluster, request('/x/1'));
    const again = cluster.now - 5_000;
    cluster.run(20 * minute);
    const over = cluster.effects('block').find(({ requests, at }) => requests.length === 0 && at > again);
    assert.equal(over?.at, again + 5 * minute);
  });
});
