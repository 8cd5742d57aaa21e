import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { createServer, type Server } from 'node:net';
import { type TestContext, test } from 'node:test';
import type { WorkerSettings } from '../../../../src/protocol/settings.js';
import { watchEmptyLoop, watchMoments } from '../../../../src/worker/app/moments.js';
import { addressOf } from '../../../../src/worker/app/target.js';

type Where = Pick<WorkerSettings, 'siblings' | 'onTrial' | 'portWait'>;
const alone: Where = { siblings: null, onTrial: false, portWait: 60_000 };

async function open(t: TestContext, port = 0): Promise<Server> {
  const server = createServer().listen(port, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.listening && server.close());
  return server;
}

function portOf(server: Server): number {
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

/** An app with these servers, of which one may be on the configured port. */
async function watched(t: TestContext, { where = alone, active = ['Timeout'] as string[] } = {}) {
  const configured = await open(t);
  const port = portOf(configured);
  configured.close();
  await once(configured, 'close');
  const listening: Server[] = [];
  const emptied = watchEmptyLoop({ emit: () => true } as never, () => []);
  const moments = watchMoments({
    servers: { listening: () => listening.filter((server) => server.listening), pending: () => 0 },
    settings: { listen: { kind: 'tcp', port, host: null }, ...where },
    emptied,
    active: () => active,
    interval: 5,
  });
  // The looks keep no process.
  const alive = setInterval(() => {}, 1_000);
  t.after(() => clearInterval(alive));
  return { port, listening, moments };
}

test('an app that listens elsewhere first is served once the configured port is', async (t) => {
  const { port, listening, moments } = await watched(t);
  listening.push(await open(t));
  const moment = moments.next({ exportLimit: null });
  moments.wake();
  assert.equal(
    await Promise.race([moment, new Promise((resolve) => setTimeout(resolve, 60, 'none'))]),
    'none',
  );
  listening.push(await open(t, port));
  moments.wake();
  assert.equal(await moment, 'served');
});

test('a server that closes as soon as it listens was a probe', async (t) => {
  const { port, listening, moments } = await watched(t);
  const moment = moments.next({ exportLimit: null });
  const probe = await open(t, port);
  listening.push(probe);
  moments.wake();
  probe.close();
  await once(probe, 'close');
  assert.equal(
    await Promise.race([moment, new Promise((resolve) => setTimeout(resolve, 60, 'none'))]),
    'none',
  );
  listening.push(await open(t, port));
  moments.wake();
  assert.equal(await moment, 'served');
});

test('an app that listens elsewhere and does nothing else has settled there', async (t) => {
  const { listening, moments } = await watched(t, { active: [] });
  listening.push(await open(t));
  assert.equal(await moments.next({ exportLimit: null }), 'settled');
});

test('an app that listens elsewhere and has work under way has until the limit', async (t) => {
  const { listening, moments } = await watched(t, { where: { ...alone, portWait: 30 } });
  listening.push(await open(t));
  assert.equal(await moments.next({ exportLimit: null }), 'late');
});

test('where its siblings do, an app that listens elsewhere is served at once', async (t) => {
  const other = await open(t);
  const siblings = { urls: [addressOf(other)], onTarget: false };
  const { listening, moments } = await watched(t, { where: { ...alone, siblings } });
  listening.push(other);
  assert.equal(await moments.next({ exportLimit: null }), 'served');
});

test('a canary has no limit here where the ones before it serve the configured port', async (t) => {
  const siblings = { urls: ['http://localhost:1'], onTarget: true };
  const { listening, moments } = await watched(t, { where: { siblings, onTrial: true, portWait: 10 } });
  listening.push(await open(t));
  const moment = moments.next({ exportLimit: null });
  assert.equal(
    await Promise.race([moment, new Promise((resolve) => setTimeout(resolve, 80, 'none'))]),
    'none',
  );
});

test('what is exported is waited for until its own limit', async (t) => {
  const { moments } = await watched(t);
  assert.equal(await moments.next({ exportLimit: 20 }), 'late');
});

test('an empty event loop is for what is exported, or else the end', async () => {
  for (const [exportLimit, expected] of [
    [1_000, 'empty'],
    [null, 'ended'],
  ] as const) {
    const worker = { emit: () => true } as unknown as NodeJS.Process;
    const moments = watchMoments({
      servers: { listening: () => [], pending: () => 0 },
      settings: { listen: { kind: 'tcp', port: 1, host: null }, ...alone },
      emptied: watchEmptyLoop(worker, () => []),
    });
    const moment = moments.next({ exportLimit });
    worker.emit('beforeExit', 0);
    assert.equal(await moment, expected);
  }
});

/** A fake process: `active` is what keeps its event loop. */
function fakeProcess() {
  const heard: string[] = [];
  const active: string[] = [];
  const worker = new EventEmitter().on('beforeExit', () => heard.push('app')) as unknown as NodeJS.Process;
  const loop = watchEmptyLoop(worker, () => active);
  const empty = () => void worker.emit('beforeExit', 0);
  return { heard, active, worker, loop, empty };
}

test('the app hears of an empty event loop as in plain Node', () => {
  const { heard, empty } = fakeProcess();
  empty();
  assert.deepEqual(heard, ['app']);
});

test('what is still to come keeps it from the app', () => {
  const { heard, loop, empty } = fakeProcess();
  loop.onEmpty(() => true);
  empty();
  assert.deepEqual(heard, []);
});

test('the end is told after the app has heard, and not where the app goes on', () => {
  const { heard, active, loop, empty } = fakeProcess();
  loop.onEnd(() => heard.push('end'));
  active.push('Timeout');
  empty();
  assert.deepEqual(heard, ['app']);
  active.pop();
  empty();
  assert.deepEqual(heard, ['app', 'app', 'end']);
});

test('afterwards the process is as it was', () => {
  const { worker, loop } = fakeProcess();
  loop.release();
  assert.ok(!Object.hasOwn(worker, 'emit'));
});

test('whoever has put something before it keeps that, and only the app hears', () => {
  const { heard, worker, loop, empty } = fakeProcess();
  const { emit } = worker;
  worker.emit = ((...args: Parameters<typeof emit>) => emit.apply(worker, args)) as typeof emit;
  loop.onEmpty(() => true);
  loop.release();
  empty();
  assert.deepEqual(heard, ['app']);
  assert.ok(Object.hasOwn(worker, 'emit'));
});
