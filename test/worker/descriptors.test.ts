import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { connect, type Socket } from 'node:net';
import { test } from 'node:test';
import { descriptorLimit, guardDescriptors, openDescriptors } from '../../src/worker/descriptors.js';
import { ask } from '../support/net.js';
import { waitFor } from '../support/wait.js';
import { openBytes } from './byte-client.js';
import { listening, servers } from './tracking.js';

const connections = () => servers.counts().connections;

async function guarded(
  t: Parameters<typeof listening>[0],
  { limit, others }: { limit: number; others: number },
) {
  const warnings: unknown[] = [];
  const clock = { now: 0 };
  const guard = guardDescriptors({
    servers,
    limit: () => limit,
    open: () => others + connections(),
    now: () => clock.now,
    warn: (message, fields) => warnings.push([message, fields]),
  });
  const server = createServer((_request, response) => response.end('served'));
  server.on('connection', () => guard.accepted(connections()));
  const port = await listening(t, server);
  guard.measure();
  return { port, warnings, clock };
}

function silent(t: { after(hook: () => void): void }, port: number): Socket {
  const socket = connect(port, '127.0.0.1').on('error', () => {});
  t.after(() => socket.destroy());
  return socket;
}

test('where descriptors run short the oldest connections without a request make room, with one warning', async (t) => {
  const { port, warnings } = await guarded(t, { limit: 64, others: 16 });
  const kept = await openBytes(t, port);
  kept.socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  await kept.until('served');
  const clients: Socket[] = [];
  for (let count = 0; count < 60; count++) {
    clients.push(silent(t, port));
    await waitFor('the connection', connections, { until: (open) => open >= Math.min(count + 2, 30) });
    assert.ok(connections() <= 33, `${connections()} of 32`);
  }
  assert.equal((await ask({ port, path: '/' })).text, 'served');
  await waitFor('the first to be closed', () => clients[0]?.destroyed || clients[0]?.readableEnded);
  assert.ok(!clients.at(-1)?.destroyed);
  kept.socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  await kept.until('served');
  assert.equal(warnings.length, 1, 'once a minute');
  assert.match(JSON.stringify(warnings), /file descriptors run short.*"limit":64/);
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
