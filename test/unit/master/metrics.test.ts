import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createCounters, createMetrics, patience } from '../../../src/master/metrics.js';
import type { MasterMessage, WorkerKey } from '../../../src/protocol/messages.js';
import type { QueuesAnswer } from '../../../src/protocol/queues.js';
import { SimCluster, type SimOptions } from '../../simulation/sim-cluster.js';
import { anyAnswer, anyPair } from '../../support/mirror.js';
import { workerMetrics } from '../metrics/samples.js';

/** A master on paper with two workers that are ready. */
function scraped({ asksWorkers = true, queues = null as QueuesAnswer | null } = {}) {
  const cluster = new SimCluster({ play: () => ({ hang: 0, immortal: true }) }).start().run(500);
  const sent: { readonly key: WorkerKey; readonly id: number }[] = [];
  const timers: { readonly delay: number; readonly act: () => void }[] = [];
  let now = 10_000;
  const metrics = createMetrics({
    state: () => cluster.state,
    send: (key, message: MasterMessage) => {
      if (message.type === 'metrics') sent.push({ key, id: message.id });
    },
    asksWorkers,
    about: { version: '0.1.0', kind: 'server', mode: 'cluster' },
    isWatched: false,
    jobs: () => null,
    queues: async (limit) => (limit === patience ? queues : null),
    readListenQueue: async () => ({ waiting: 3, overflows: 0, drops: 0 }),
    now: () => now,
    clock: () => 1_795_000_000_000,
    after: (delay, act) => {
      timers.push({ delay, act });
      return () => {};
    },
  });
  const answer = (key: WorkerKey, requests: number, id = sent.at(-1)?.id ?? 0): void =>
    metrics.received(key, { type: 'metrics', id, metrics: workerMetrics(requests) });
  const pass = (ms: number): void => {
    now += ms;
  };
  return { cluster, metrics, sent, timers, answer, pass };
}

function requestsIn(snapshot: {
  readonly routes: readonly { readonly answers: Readonly<Record<string, number>> }[];
}): number {
  return snapshot.routes.reduce((sum, { answers }) => sum + (answers['GET 2xx'] ?? 0), 0);
}

test('a scrape asks the workers and adds up what they say', async () => {
  const { metrics, sent, answer } = scraped();
  const snapshot = metrics.snapshot();
  assert.deepEqual(
    sent.map(({ key }) => key),
    [1, 2],
  );
  answer(1, 4);
  answer(2, 6);
  const { workers, listenQueue, wanted, ready, ...rest } = await snapshot;
  assert.equal(requestsIn(rest), 10);
  assert.deepEqual([wanted, ready, listenQueue.waiting], [2, 2, 3]);
  assert.deepEqual(
    workers.map(({ worker, ageSeconds }) => [worker, ageSeconds]),
    [
      [1, 0],
      [2, 0],
    ],
  );
});

test('the queues of the app are told where it has some', async () => {
  const queues: QueuesAnswer = {
    engine: { kind: 'embedded', connected: true },
    queues: [{ name: 'pdf', waiting: 3, delayed: 0, active: 1, completed: 9, failed: 0 }],
  };
  assert.deepEqual((await scraped({ asksWorkers: false, queues }).metrics.snapshot()).queues, queues);
  assert.ok(!('queues' in (await scraped({ asksWorkers: false }).metrics.snapshot())));
});

test('a worker that hangs does not hold a scrape up, and its last answer is told with its age', async () => {
  const { metrics, timers, answer, pass } = scraped();
  const first = metrics.snapshot();
  answer(1, 4);
  answer(2, 6);
  await first;
  pass(15_000);
  const second = metrics.snapshot();
  answer(1, 5);
  pass(patience);
  assert.equal(timers.at(-1)?.delay, patience);
  timers.at(-1)?.act();
  const snapshot = await second;
  assert.equal(requestsIn(snapshot), 11);
  assert.deepEqual(
    snapshot.workers.map(({ ageSeconds }) => ageSeconds),
    [0, 16],
  );
});

test('a worker that ends while it is asked does not hold a scrape up', async () => {
  const { metrics, answer } = scraped();
  const snapshot = metrics.snapshot();
  answer(1, 4);
  metrics.gone(2);
  assert.equal(requestsIn(await snapshot), 4);
});

test('who asks at once gets one answer, and who asks soon after may get the same', async () => {
  const { metrics, sent, answer, pass } = scraped();
  const first = metrics.snapshot();
  const second = metrics.snapshot();
  assert.equal(sent.length, 2);
  answer(1, 1);
  answer(2, 1);
  assert.equal(await first, await second);
  pass(500);
  assert.equal(await metrics.snapshot(1_000), await first);
  assert.equal(sent.length, 2);
  void metrics.snapshot();
  assert.equal(sent.length, 4);
});

test('where the workers do not count, they are not asked', async () => {
  const { metrics, sent } = scraped({ asksWorkers: false });
  const { workers } = await metrics.snapshot();
  assert.equal(sent.length, 0);
  assert.equal(workers[0]?.gauges, null);
});

/** What is counted while a cluster on paper goes through it. */
function counted(go: (cluster: SimCluster) => void, options: SimOptions = {}) {
  const counters = createCounters();
  const cluster = new SimCluster({ play: () => ({ hang: 0, immortal: true }), ...options });
  const { post } = cluster;
  cluster.post = (event) => {
    const before = cluster.state;
    const result = post.call(cluster, event);
    counters.changed(before, cluster.state, event);
    return result;
  };
  cluster.start().run(500);
  go(cluster);
  return counters.value();
}

test('a crash is a restart and an exit, by its kind', () => {
  const { restarts, endings } = counted((cluster) => {
    cluster.post({ type: 'exited', key: 1, code: 1, signal: null, oomKills: 1 });
  });
  assert.equal(restarts.crash, 1);
  assert.equal(endings.crash, 1);
});

test('a mirrored request is counted by what came of it, while the canary is asked', () => {
  const answered = { outcome: 'answered', ...anyAnswer, waitedMs: 0 } as const;
  const canaries = [
    answered,
    { ...answered, status: 500 },
    { ...answered, status: 404 },
    { ...answered, outcome: 'refused' } as const,
  ];
  const { mirrored } = counted(
    (cluster) => {
      // Nobody is asked outside of that stage.
      cluster.post({ type: 'mirrored', key: 1, pair: { ...anyPair, canary: answered } });
      cluster.reload();
      cluster.run(500);
      const { reload } = cluster.state;
      assert.ok(reload?.stage.name === 'mirror');
      for (const canary of canaries)
        cluster.post({ type: 'mirrored', key: reload.stage.key, pair: { ...anyPair, canary } });
    },
    { policy: { reload: { mirror: 'safe' } } },
  );
  assert.deepEqual(mirrored, { failed: 1, denied: 1, changed: 0, refused: 1, late: 0, same: 1 });
});
