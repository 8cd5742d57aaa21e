import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { openDoor } from '../../../../src/worker/cell/door.js';
import { createBlockedRequests } from '../../../../src/worker/health/blocked.js';
import { ask } from '../../../support/net.js';
import { listening, servers } from '../tracking.js';

const order = { method: 'GET', route: '/orders/:id', for: 5_000 };

async function blocking(t: Parameters<typeof listening>[0]) {
  const clock = { now: 1_000 };
  const blocked = createBlockedRequests({ servers, now: () => clock.now });
  const server = createServer((_request, response) => response.end('the app'));
  const port = await listening(t, server);
  return { clock, blocked, server, port };
}

test('a kind of request that is blocked is answered with 503 and when to come again; all others reach the app', async (t) => {
  const { blocked, port } = await blocking(t);
  blocked.set([order]);
  const refused = await ask({ port, path: '/orders/17?full=1' });
  assert.equal(refused.status, 503);
  assert.equal(refused.headers['retry-after'], '5');
  assert.deepEqual(refused.json, {
    error: {
      status: 503,
      code: 'unavailable',
      message: 'requests of this kind were in flight when workers died; they are not served for a while',
    },
  });
  for (const [method, path] of [
    ['POST', '/orders/17'],
    ['GET', '/orders'],
    ['GET', '/orders/17/items'],
  ] as const) {
    assert.equal((await ask({ port, method, path })).text, 'the app', `${method} ${path}`);
  }
});

test('a block ends by itself, and with the list', async (t) => {
  const { clock, blocked, server, port } = await blocking(t);
  blocked.set([order]);
  clock.now += order.for;
  assert.equal((await ask({ port, path: '/orders/17' })).text, 'the app');
  blocked.set([order]);
  blocked.set([]);
  assert.equal((await ask({ port, path: '/orders/17' })).text, 'the app');
  assert.ok(!Object.hasOwn(server, 'emit'), 'nothing stands between the server and the app any more');
});

test('a server that listens later is under the same block', async (t) => {
  const { blocked } = await blocking(t);
  blocked.set([order]);
  const later = createServer((_request, response) => response.end('the app'));
  blocked.mount(later);
  const port = await listening(t, later);
  assert.equal((await ask({ port, path: '/orders/5' })).status, 503);
});

test('a kind of request is passed on where there is a cell, and what comes of it is not held against this worker', async (t) => {
  const { blocked, port, server } = await blocking(t);
  const path = join(mkdtempSync(join(tmpdir(), 'cell-')), 'door');
  let named: readonly object[] | null = null;
  const app = createServer((_request, response) => {
    named = servers.current();
    response.writeHead(201).end('the cell');
  });
  const door = await openDoor({ socket: path, requests: 4 }, () => app);
  t.after(() => {
    door.close();
    app.closeAllConnections();
    rmSync(dirname(path), { recursive: true });
  });
  const before = servers.counts();
  blocked.set([order], { path, timeout: 60_000 });
  const answer = await ask({ port, path: '/orders/17' });
  assert.deepEqual([answer.status, answer.text], [201, 'the cell']);
  assert.deepEqual(named, [], 'the worker that has passed it on cannot die of it');
  assert.equal((await ask({ port, path: '/orders' })).text, 'the app');
  blocked.set([order], { path: null, timeout: 60_000 });
  const absent = await ask({ port, path: '/orders/17' });
  assert.deepEqual([absent.status, absent.headers['retry-after']], [503, '1']);
  const after = servers.counts();
  assert.equal(after.errors, before.errors);
  // The server of the cell is in this process as well, and counts its own.
  assert.equal(after.answers, before.answers + 4);
  const timed = (counts: readonly number[]): number => counts.reduce((sum, count) => sum + count, 0);
  assert.equal(timed(after.latency), timed(before.latency) + 2, 'those of the two apps');
  blocked.set([order]);
  assert.equal((await ask({ port, path: '/orders/17' })).headers['retry-after'], '5');
  assert.equal(servers.counts().errors, before.errors + 1);
  blocked.set([]);
  assert.ok(!Object.hasOwn(server, 'emit'));
});
