import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clusterStats, publicStats } from '../../../src/core/stats.js';
import { SimCluster } from '../../simulation/sim-cluster.js';
import { simHeartbeat } from '../../simulation/sim-policy.js';

const master = { pid: 42, version: '0.1.0', node: 'v20.19.0', rssBytes: 1_000 };

function statsOf({ state, now }: SimCluster) {
  return clusterStats(state, { now, kind: 'server', mode: 'cluster', master, records: [] });
}

test('clusterStats shows every worker with its last heartbeat, and the sums', () => {
  const cluster = new SimCluster({ play: () => ({ hang: 1 }) }).start().run(1_050);
  cluster.post({
    type: 'heartbeat',
    key: 1,
    heartbeat: simHeartbeat({ requests: 10, inFlight: 1, connections: 4, rssBytes: 7 }),
  });
  cluster.post({
    type: 'heartbeat',
    key: 2,
    heartbeat: simHeartbeat({ requests: 5, inFlight: 2, eventLoopDelayMs: 3.5 }),
  });
  cluster.run(949);
  const { workers, ...rest } = statsOf(cluster);
  assert.deepEqual(rest, {
    status: 'serving',
    kind: 'server',
    mode: 'cluster',
    generation: 1,
    wanted: 2,
    ready: 2,
    restarts: 0,
    requests: 15,
    requestsPerSecond: 0,
    inFlight: 3,
    master: { ...master, uptimeSeconds: 1 },
    lastReload: null,
    reloads: [],
    spares: { wanted: 0, ready: 0 },
    deaths: [],
    stalls: [],
    leaks: [],
    poison: [],
  });
  assert.deepEqual(workers[0], {
    id: 1,
    pid: 1001,
    phase: 'ready',
    health: 'healthy',
    generation: 1,
    uptimeSeconds: 1,
    restarts: 0,
    heartbeatAgeMs: 949,
    requests: 10,
    requestsPerSecond: 0,
    inFlight: 1,
    connections: 4,
    rssBytes: 7,
    heapUsedBytes: 10 * 2 ** 20,
    eventLoopDelayMs: 1,
    eventLoopUtilization: 0.1,
  });
  assert.equal(workers[1]?.eventLoopDelayMs, 3.5);
});

test('clusterStats shows a worker that has not said anything yet with zeros', () => {
  const cluster = new SimCluster({ policy: { workers: 1 }, play: () => ({ boot: null }) }).start();
  const { status, ready, workers } = statsOf(cluster);
  assert.deepEqual([status, ready], ['starting', 0]);
  assert.deepEqual(workers[0], {
    id: 1,
    pid: null,
    phase: 'starting',
    health: 'healthy',
    generation: 1,
    uptimeSeconds: 0,
    restarts: 0,
    heartbeatAgeMs: null,
    requests: 0,
    requestsPerSecond: 0,
    inFlight: 0,
    connections: 0,
    rssBytes: 0,
    heapUsedBytes: 0,
    eventLoopDelayMs: 0,
    eventLoopUtilization: 0,
  });
});

test('clusterStats keeps the requests of workers that are gone and counts restarts by slot, in their order', () => {
  const cluster = new SimCluster({
    play: ({ key }) => ({ requestsPerSecond: 10, ...(key === 1 ? { crash: { after: 5_500 } } : {}) }),
  });
  cluster.start().run(5_650);
  const { requests, restarts, workers } = statsOf(cluster);
  assert.equal(requests, 100);
  assert.equal(restarts, 1);
  assert.deepEqual(
    workers.map(({ id, pid, restarts }) => [id, pid, restarts]),
    [
      [1, 1003, 1],
      [2, 1002, 0],
    ],
  );
});

test('clusterStats has the rate of the last one to two seconds at every look, and none of who is silent', () => {
  const cluster = new SimCluster({
    play: ({ slot }) => ({
      requestsPerSecond: slot === 1 ? 100 : 50,
      ...(slot === 2 ? { hang: 3_800 } : {}),
    }),
  });
  const rate = () => statsOf(cluster).requestsPerSecond;
  cluster.start().run(2_200);
  assert.equal(rate(), 150, 'two seconds after the start, not at the next multiple of five');
  cluster.run(3_000);
  assert.equal(rate(), 150);
  cluster.run(2_200);
  assert.equal(rate(), 100);
});

test('clusterStats tells how long ago the last sign of life was', () => {
  const cluster = new SimCluster({ play: ({ slot }) => (slot === 2 ? { hang: 1 } : {}) });
  cluster.start().run(3_200);
  const [first, second] = statsOf(cluster).workers;
  assert.ok((first?.heartbeatAgeMs ?? 9_999) <= 1_000);
  assert.ok((second?.heartbeatAgeMs ?? 0) > 2_000);
});

test('clusterStats has how each worker does, and the spares without a number', () => {
  const cluster = new SimCluster({
    policy: { spares: 1 },
    play: ({ slot, nth }) => (slot === 2 && nth === 1 ? { hang: 1, immortal: true } : {}),
  });
  cluster.start().run(4_900);
  const shown = () =>
    statsOf(cluster).workers.map(({ id, phase, health, restarts }) => [id, phase, health, restarts]);
  assert.deepEqual(shown(), [
    [null, 'spare', 'healthy', 0],
    [1, 'ready', 'healthy', 0],
    [2, 'ready', 'degraded', 0],
  ]);
  assert.deepEqual(statsOf(cluster).spares, { wanted: 1, ready: 1 });
  cluster.run(300);
  assert.deepEqual(shown(), [
    [null, 'starting', 'healthy', 0],
    [1, 'ready', 'healthy', 0],
    [2, 'dying', 'unresponsive', 1],
    [2, 'ready', 'healthy', 1],
  ]);
  assert.deepEqual(statsOf(cluster).spares, { wanted: 1, ready: 0 });
});

test('clusterStats names the phase of the service', () => {
  const cluster = new SimCluster({ play: () => ({ drain: 5_000 }) });
  assert.equal(statsOf(cluster).status, 'starting');
  cluster.start().run(50);
  assert.equal(statsOf(cluster).status, 'starting');
  cluster.run(500).stop();
  assert.equal(statsOf(cluster).status, 'stopping');
  assert.deepEqual(
    statsOf(cluster).workers.map(({ phase }) => phase),
    ['draining', 'draining'],
  );
  cluster.runToEnd();
  assert.equal(statsOf(cluster).status, 'stopping');
});

test('clusterStats counts a worker and the one that replaces it as one that is ready', () => {
  const cluster = new SimCluster().start().run(500);
  cluster.reload();
  cluster.run(500);
  const { ready, wanted, workers } = statsOf(cluster);
  assert.deepEqual([ready, wanted, workers.length], [2, 2, 3]);
});

test('clusterStats has the record of the reload that is under way, and later of the last one', () => {
  const cluster = new SimCluster().start().run(500);
  assert.equal(statsOf(cluster).lastReload, null);
  cluster.reload();
  const { lastReload } = statsOf(cluster);
  assert.deepEqual([lastReload?.generation, lastReload?.verdict, lastReload?.tookMs], [2, null, null]);
  cluster.run(5_000);
  assert.equal(statsOf(cluster).lastReload?.verdict, 'done');
});

test('what is answered over HTTP holds nothing of the app, its requests and its operators', () => {
  const secret = 'SECRET';
  const play = ({ slot, nth }: { slot: number | null; nth: number }) =>
    slot === 1 && nth <= 2
      ? {
          requests: [{ method: 'GET', path: `/${secret}`, ageMs: 1 }],
          crash: { after: 1_000, failure: { message: secret, exitCode: 70, stack: secret } },
        }
      : {};
  const cluster = new SimCluster({ play, policy: { poison: { deaths: 2, window: 60_000, block: 0 } } });
  cluster.start().run(10_000);
  const kept = {
    ...{ serial: 1, generation: 2, from: 1, atMs: 5, tookMs: 1, accepted: 2, moved: 3, lost: 4 },
    ...{ release: secret, by: secret, reason: secret, verdict: 'rolled-back' as const },
  };
  const record = {
    ...kept,
    steps: [{ atMs: 1, step: 'died' as const, worker: 1, generation: 2, detail: secret }],
  };
  const own = clusterStats(cluster.state, {
    now: cluster.now,
    kind: 'server',
    mode: 'cluster',
    master,
    records: [record],
  });
  const whole = { ...own, lastReload: record };
  assert.equal(own.deaths.length, 2);
  assert.match(JSON.stringify(whole), /SECRET/);
  const told = publicStats(whole);
  assert.doesNotMatch(JSON.stringify(told), /SECRET/);
  const { release, by, reason, ...reload } = kept;
  assert.deepEqual([told.lastReload, told.reloads], [reload, [reload]]);
  assert.equal('deaths' in told || 'poison' in told, false);
  assert.deepEqual(told.workers, own.workers);
});
