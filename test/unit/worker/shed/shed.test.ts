import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { connect as connectHttp2, createServer as createH2cServer } from 'node:http2';
import { connect, createServer as createTcpServer } from 'node:net';
import { describe, type TestContext, test } from 'node:test';
import { waitingFor, waitingIn } from '../../../../src/worker/shed/accept-queue.js';
import { createShed, type ShedSeam } from '../../../../src/worker/shed/shed.js';
import { ask } from '../../../support/net.js';
import { openBytes } from '../byte-client.js';
import { listening, servers } from '../tracking.js';

const health: ShedSeam['settings']['health'] = {
  check: '/up',
  probe: null,
  checkInterval: 1_000,
  checkTimeout: 1_000,
  capture: 'off',
  stallReport: 0,
};

/** A shed whose worker has so many in flight, or is behind, as the test says. */
function shedding(seam: Partial<ShedSeam['settings']['shed']> = {}) {
  const world = { inFlight: 0 };
  const shed = createShed({
    settings: {
      shed: { eventLoopDelay: 0, inFlight: 1, retryAfter: 1_500, ...seam },
      routesPrefix: '/_ops',
      health,
      workersAtStart: 1,
    },
    servers: { inFlight: () => world.inFlight, listening: servers.listening },
  });
  return { shed, world };
}

async function app(t: TestContext) {
  const { shed, world } = shedding();
  const server = createServer((_request, response) => response.end('the app'));
  server.on('upgrade', (_request, socket) => socket.end('HTTP/1.1 101 Switching Protocols\r\n\r\n'));
  shed.mount(server);
  return { shed, world, port: await listening(t, server) };
}

describe('a worker that has too much to do', () => {
  test('answers with 503 and when to come again, without the app, and keeps the connection', async (t) => {
    const { shed, world, port } = await app(t);
    assert.equal((await ask({ port, path: '/orders' })).text, 'the app');
    world.inFlight = 2;
    const { status, headers, json } = await ask({
      port,
      method: 'POST',
      path: '/orders',
      body: 'x'.repeat(9_000),
    });
    assert.deepEqual([status, headers['retry-after'], headers['cache-control']], [503, '2', 'no-store']);
    assert.deepEqual(json, {
      error: { status: 503, code: 'unavailable', message: 'this service is overloaded; try again later' },
    });
    assert.deepEqual(shed.report(), { requests: 1, why: 'full' });
    const client = await openBytes(t, port);
    client.socket.write('GET /a HTTP/1.1\r\nHost: a\r\n\r\n');
    await client.until('try again later');
    world.inFlight = 1;
    client.socket.write('GET /b HTTP/1.1\r\nHost: a\r\n\r\n');
    await client.until('the app');
  });

  test('lets health checks and the operational routes through', async (t) => {
    const { shed, world, port } = await app(t);
    world.inFlight = 2;
    for (const path of ['/healthz', '/readyz?full=1', '/up', '/_ops', '/_ops/api/info'])
      assert.equal((await ask({ port, path })).text, 'the app', path);
    for (const path of ['/healthz/more', '/_opsx', '/'])
      assert.equal((await ask({ port, path })).status, 503, path);
    assert.equal(shed.report().requests, 3);
  });

  test('refuses upgrades as well', async (t) => {
    const { world, port } = await app(t);
    const upgrade = 'GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n';
    const served = await openBytes(t, port);
    served.socket.write(upgrade);
    await served.until('101 Switching');
    world.inFlight = 1;
    const refused = await openBytes(t, port);
    refused.socket.write(upgrade);
    const text = (await refused.until('try again later')).toString();
    assert.match(text, /^HTTP\/1\.1 503 Service Unavailable\r\nRetry-After: 2\r\n/);
    await refused.ended();
  });

  test('refuses streams of HTTP/2', async (t) => {
    const { shed, world } = shedding();
    const server = createH2cServer((_request, response) => response.end('the app'));
    shed.mount(server);
    const session = connectHttp2(`http://127.0.0.1:${await listening(t, server)}`);
    t.after(() => session.destroy());
    const statusOf = async () => (await once(session.request({ ':path': '/' }), 'response'))[0][':status'];
    assert.equal(await statusOf(), 200);
    world.inFlight = 2;
    assert.equal(await statusOf(), 503);
  });
});

test('a worker whose turns are long sheds what came late, and serves again when they are not', async (t) => {
  const clock = { now: 0, endTurn: () => {} };
  const shed = createShed({
    settings: {
      shed: { eventLoopDelay: 20, inFlight: 0, retryAfter: 1_000 },
      routesPrefix: null,
      health,
      workersAtStart: 1,
    },
    servers: { inFlight: () => 1, listening: servers.listening },
    now: () => clock.now,
    waited: () => 0,
    everyTurn: (act) => {
      clock.endTurn = act;
    },
  });
  const server = createServer((_request, response) => {
    clock.now += 15;
    response.end('the app');
  });
  shed.mount(server);
  const port = await listening(t, server);
  const statuses: number[] = [];
  for (let nth = 0; nth < 4; nth++) statuses.push((await ask({ port, path: '/' })).status);
  assert.deepEqual(statuses, [200, 200, 200, 503]);
  assert.deepEqual(shed.report(), { requests: 1, why: 'late' });
  clock.endTurn();
  clock.now += 2_000;
  clock.endTurn();
  assert.equal((await ask({ port, path: '/' })).status, 200);
});

describe('the queue of a listening socket', () => {
  test('is read from the row of the socket', () => {
    const row =
      '   1: 0100007F:0BB8 00000000:0000 0A 00000000:0000001F 00:00000000 00000000     0        0 4711 1 0000000000000000 100 0 0 10 0';
    assert.equal(waitingIn(row, new Set([4711])), 31);
    assert.equal(waitingIn(row, new Set([4712])), null);
    assert.equal(waitingIn(row.replace(' 0A ', ' 01 '), new Set([4711])), null);
  });

  test('is told of a real one', {
    skip: process.platform === 'linux' ? false : 'Linux has /proc/net/tcp',
  }, async (t) => {
    const server = createTcpServer();
    const port = await listening(t, server);
    const clients = [1, 2, 3].map(() => connect({ host: '127.0.0.1', port }));
    t.after(() => clients.forEach((client) => void client.destroy()));
    // They are connected at the next tick, and accepted in the next turn.
    await new Promise<void>((resolve) => process.nextTick(resolve));
    assert.equal(waitingFor([server]), 3);
  });
});
