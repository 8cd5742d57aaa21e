import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { connect, type Socket } from 'node:net';
import { test } from 'node:test';
import { connectionOf } from '../../../../src/worker/connections/connections.js';
import {
  descriptorLimit,
  guardDescriptors,
  openDescriptors,
} from '../../../../src/worker/connections/descriptors.js';
import { ask } from '../../../support/net.js';
import { waitFor } from '../../../support/wait.js';
import { type ByteClient, openBytes } from '../byte-client.js';
import { listening, servers } from '../tracking.js';

const connections = () => servers.counts().connections;

interface Setup {
  readonly limit: number;
  /** NaN: they cannot be counted. */
  readonly others: number;
  /** Whether the listener can be paused. */
  readonly canPause?: boolean;
}

async function guarded(t: Parameters<typeof listening>[0], { limit, others, canPause = false }: Setup) {
  await waitFor('the end of what came before', () => connections() === 0);
  const warnings: unknown[] = [];
  const clock = { now: 0 };
  const state = { accepted: 0, paused: 0, resumed: 0 };
  const app = { descriptors: others };
  const timers: (() => void)[] = [];
  const guard = guardDescriptors({
    servers,
    accepting: {
      pause: () => {
        state.paused++;
        return canPause;
      },
      resume: () => {
        state.resumed++;
      },
    },
    limit: () => limit,
    open: () => {
      if (Number.isNaN(others)) throw new Error('EMFILE: too many open files');
      return app.descriptors + connections();
    },
    now: () => clock.now,
    after: (_delay, act) => timers.push(act),
    warn: (message, fields) => warnings.push([message, fields]),
  });
  const server = createServer((_request, response) => response.end('served'));
  const port = await listening(t, server);
  // After it has its number.
  server.on('connection', (socket) => {
    state.accepted++;
    guard.accepted(connections(), connectionOf(socket).number);
  });
  const accepted = (count: number) =>
    waitFor('the connections', () => state.accepted, { until: (all) => all >= count });
  guard.measure();
  const pass = (ms: number) => {
    clock.now += ms;
    for (const act of timers.splice(0)) act();
  };
  /** A second, in which the worker looks as often as it has to. */
  const grow = () => {
    for (let look = 0; look < 20; look++) {
      guard.measure();
      pass(50);
    }
  };
  return { port, warnings, clock, state, app, guard, pass, grow, accepted };
}

function silent(t: { after(hook: () => void): void }, port: number): Socket {
  const socket = connect(port, '127.0.0.1').on('error', () => {});
  t.after(() => socket.destroy());
  return socket;
}

const request = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';

test('where descriptors run short the oldest connections without a request make room, with one warning', async (t) => {
  const { port, warnings, grow, state, accepted } = await guarded(t, { limit: 64, others: 16 });
  const kept = await openBytes(t, port);
  kept.socket.write(request);
  await kept.until('served');
  const clients: Socket[] = [];
  for (let count = 0; count < 60; count++) {
    clients.push(silent(t, port));
    await accepted(count + 2);
    assert.ok(connections() <= 33, `${connections()} of 32`);
    grow();
  }
  assert.equal((await ask({ port, path: '/' })).text, 'served');
  await waitFor('the first to be closed', () => clients[0]?.destroyed || clients[0]?.readableEnded);
  assert.ok(!clients.at(-1)?.destroyed);
  kept.socket.write(request);
  await kept.until('served');
  assert.equal(state.paused, 0);
  assert.equal(warnings.length, 1, 'once a minute');
  assert.match(JSON.stringify(warnings), /low on file descriptors \(\d+ of 64\).*"limit":64/);
});

test('in a burst nobody is closed before his time: who comes waits until there is room', async (t) => {
  const { port, warnings, state, pass, accepted } = await guarded(t, {
    limit: 64,
    others: 16,
    canPause: true,
  });
  const clients = Array.from({ length: 40 }, () => silent(t, port));
  await accepted(40);
  assert.deepEqual(state, { accepted: 40, paused: 1, resumed: 0 });
  for (let look = 0; look < 18; look++) pass(100);
  assert.equal(connections(), 40, 'a busy worker has not looked often enough');
  clients[0]?.write(request);
  await waitFor('the answer', () => clients[0] && clients[0].bytesRead > 0);
  pass(25);
  await waitFor('the first to be closed', connections, { until: (open) => open === 35 });
  assert.equal(state.resumed, 0);
  pass(25);
  assert.deepEqual(state, { accepted: 40, paused: 1, resumed: 1 });
  assert.ok(!clients[0]?.destroyed, 'it has asked');
  assert.match(JSON.stringify(warnings), /not accepting until some are free/);
});

test('where the app has used up the descriptors nobody is accepted until it has given some back', async (t) => {
  const { warnings, state, app, guard, pass } = await guarded(t, { limit: 64, others: 16, canPause: true });
  app.descriptors = 60;
  guard.measure();
  assert.deepEqual(state, { accepted: 0, paused: 1, resumed: 0 });
  assert.match(JSON.stringify(warnings), /low on file descriptors \(60 of 64\): not accepting/);
  pass(25);
  assert.equal(state.resumed, 0);
  app.descriptors = 16;
  guard.measure();
  pass(25);
  assert.deepEqual(state, { accepted: 0, paused: 1, resumed: 1 });
});

test('a count that finds too little room closes nobody who has had no time to ask for something', async (t) => {
  const { port, app, guard, accepted } = await guarded(t, { limit: 64, others: 16 });
  for (let count = 0; count < 8; count++) silent(t, port);
  await accepted(8);
  app.descriptors = 60;
  guard.measure();
  assert.equal(connections(), 8);
  assert.ok(servers.all.every(({ accepted }) => [...accepted].every(({ destroyed }) => !destroyed)));
});

test('while new connections are young, those that wait for a next request are left alone', async (t) => {
  const { port, state, pass, grow, accepted } = await guarded(t, { limit: 64, others: 16, canPause: true });
  const kept = await openBytes(t, port);
  kept.socket.write(request);
  await kept.until('served');
  grow();
  for (let count = 0; count < 32; count++) silent(t, port);
  await accepted(33);
  assert.equal(state.paused, 1);
  pass(100);
  kept.socket.write(request);
  await kept.until('served');
  assert.equal(state.resumed, 0);
  assert.equal(kept.end, null);
});

test('where the listener cannot be paused the oldest make room at once', async (t) => {
  const { port, state } = await guarded(t, { limit: 64, others: 16 });
  for (let count = 0; count < 60; count++) silent(t, port);
  await waitFor('room', () => state.paused > 0 && connections() <= 32);
});

test('where all ask now and then, the oldest that waits for a next request makes room', async (t) => {
  const { port, state, pass } = await guarded(t, { limit: 64, others: 16, canPause: true });
  const all: ByteClient[] = [];
  for (let count = 0; count < 32; count++) {
    const client = await openBytes(t, port);
    client.socket.write(request);
    await client.until('served');
    all.push(client);
  }
  const late = await openBytes(t, port);
  late.socket.write(request);
  await late.until('served');
  assert.equal(state.paused, 1);
  pass(5_000);
  assert.equal(state.resumed, 1);
  await waitFor('the first to be closed', () => all[0]?.socket.readableEnded || all[0]?.socket.destroyed);
});

test('where the limit is not known, or far away, nobody is closed', async (t) => {
  const { port, warnings } = await guarded(t, { limit: 4_096, others: 16 });
  for (let count = 0; count < 40; count++) silent(t, port);
  await waitFor('all of them', connections, { until: (open) => open === 40 });
  assert.deepEqual(warnings, []);
});

test('the limit is the soft one of /proc/self/limits, and null where there is no such file', () => {
  const line = 'Max open files            1024                 524288               files     \n';
  assert.equal(
    descriptorLimit(() => `Max processes 1 2 processes\n${line}`),
    1024,
  );
  assert.equal(
    descriptorLimit(() => assert.fail('no such file')),
    null,
  );
  if (process.platform === 'linux') assert.ok(openDescriptors() < (descriptorLimit() ?? 0));
});

test('a worker that cannot count its descriptors any more has none left', async (t) => {
  const { port, state, accepted } = await guarded(t, { limit: 64, others: Number.NaN, canPause: true });
  silent(t, port);
  await accepted(1);
  assert.equal(state.paused, 1);
});
