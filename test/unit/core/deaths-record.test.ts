import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { clusterStats } from '../../../src/core/stats.js';
import { type Death, type Play, SimCluster } from '../../simulation/sim-cluster.js';

const slow = { method: 'GET', path: '/slow', ageMs: 12_340 };
const upload = { method: 'POST', path: '/files/7', ageMs: 50 };
const failure = { message: 'TypeError: no', exitCode: 70, stack: 'TypeError: no\n    at x' };
const master = { pid: 42, version: '0.1.0', node: 'v20.19.0', rssBytes: 1_000 };

/** The first worker of slot 1 dies 5 s after it was ready. */
function dying(death: Partial<Death>, more: Play = {}): SimCluster {
  return new SimCluster({
    play: ({ slot, nth }) => (slot === 1 && nth === 1 ? { ...more, crash: { after: 5_000, ...death } } : {}),
  })
    .start()
    .run(6_000);
}

function entry(cluster: SimCluster) {
  return cluster.effects('log').find(({ level }) => level === 'error');
}

function deaths({ state, now }: SimCluster) {
  return clusterStats(state, { now, kind: 'server', mode: 'cluster', master, records: [] }).deaths;
}

describe('the entry of a death', () => {
  test('names the requests that were lost, as of the last heartbeat', () => {
    const cluster = dying({ signal: 'SIGSEGV' }, { requests: [slow, upload] });
    assert.deepEqual(entry(cluster)?.fields, {
      workerPid: 1001,
      code: null,
      signal: 'SIGSEGV',
      uptimeSeconds: 5,
      inFlight: 2,
      requests: ['GET /slow 12.3 s', 'POST /files/7 0.1 s'],
      restartInMs: 0,
    });
  });

  test('names those of its last word where it said one', () => {
    const cluster = dying({ code: 1, lastWord: [upload] }, { requests: [slow, upload] });
    assert.deepEqual(entry(cluster)?.fields?.requests, ['POST /files/7 0.1 s']);
    assert.equal(entry(cluster)?.fields?.inFlight, 1);
  });

  test('says that the kernel killed it for memory, where it did', () => {
    const cluster = dying({ signal: 'SIGKILL', oomKills: 1 });
    assert.equal(entry(cluster)?.message, 'worker 1 crashed: killed by the kernel for memory');
    assert.equal(entry(cluster)?.fields?.oomKills, 1);
  });

  test('does not blame the kernel for what somebody else killed', () => {
    assert.equal(entry(dying({ signal: 'SIGKILL' }))?.message, 'worker 1 crashed: ended by SIGKILL');
    const cluster = dying({ code: 3, oomKills: 1 });
    assert.equal(entry(cluster)?.message, 'worker 1 crashed: ended by itself with code 3');
    assert.equal(entry(cluster)?.fields?.oomKills, 1);
  });

  test('is one, though a worker says first that it fails', () => {
    const cluster = dying({ failure, lastWord: [slow] }, { requests: [slow, upload] });
    assert.deepEqual(cluster.logged('error'), ['worker 1 crashed: TypeError: no']);
    assert.deepEqual(cluster.logged('warn'), []);
  });
});

describe('the deaths in the stats', () => {
  test('have all that is known, with how long ago they were', () => {
    const cluster = dying({ signal: 'SIGKILL', oomKills: 2 }, { requests: [slow] }).run(4_500);
    assert.deepEqual(deaths(cluster), [
      {
        agoSeconds: 5,
        worker: 1,
        pid: 1001,
        generation: 1,
        kind: 'crash',
        cause: 'killed by the kernel for memory',
        code: null,
        signal: 'SIGKILL',
        uptimeSeconds: 5,
        lost: 1,
        requests: [slow],
        oomKills: 2,
        stack: null,
      },
    ]);
  });

  test('of a worker that said that it fails are complete once it is gone', () => {
    const cluster = dying({ failure, code: 1, lastWord: [slow] }, { requests: [slow, upload] });
    const [death] = deaths(cluster);
    assert.deepEqual(
      [death?.cause, death?.code, death?.lost, death?.requests, death?.stack],
      ['TypeError: no', 1, 1, [slow], failure.stack],
    );
  });

  test('are of their kind: before it listened, a crash, a hang', () => {
    const plays: readonly Play[] = [
      { crash: { after: 1_000 } },
      { bootFailure: { after: 50, failure } },
      { hang: 1, capture: { stack: '    at x', at: 'x (/a.js:1:2)', requests: [slow] } },
    ];
    const cluster = new SimCluster({
      play: ({ slot, nth }) => (slot === 1 ? (plays[nth - 1] ?? {}) : {}),
    });
    cluster.start().run(20_000);
    assert.deepEqual(
      deaths(cluster).map(({ kind, cause, signal, stack, lost }) => [kind, cause, signal, stack, lost]),
      [
        ['hang', 'silent for 5 s in x (/a.js:1:2)', 'SIGKILL', '    at x', 1],
        ['boot', 'TypeError: no', null, failure.stack, 0],
        ['crash', 'ended by itself with code 1', null, null, 0],
      ],
    );
  });

  test('are the last ten', () => {
    const cluster = new SimCluster({
      policy: { restart: { intensity: 1_000 } },
      play: ({ slot, nth }) => (slot === 1 ? { crash: { after: 100, code: nth % 200 } } : {}),
    });
    cluster.start().run(30_000);
    const codes = deaths(cluster).map(({ code }) => code ?? 0);
    assert.equal(codes.length, 10);
    assert.deepEqual(
      codes,
      [...codes].sort((a, b) => b - a),
    );
  });

  test('are none where a worker ended as it was told to', () => {
    const cluster = new SimCluster().start().run(500);
    cluster.ask({ type: 'restart', by: 'alice', slot: 1 });
    cluster.run(5_000);
    assert.deepEqual(deaths(cluster), []);
  });
});
