import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { createServer as createTcpServer } from 'node:net';
import { describe, type TestContext, test } from 'node:test';
import { keepAliveFor, shortestKeepAlive } from '../../../../src/worker/connections/keep-alive.js';
import { readBeforeTimeouts } from '../../../../src/worker/node-internals/sockets.js';
import { openBytes } from '../byte-client.js';
import { listening } from '../tracking.js';

const get = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';

describe('the time for which a server keeps idle connections', () => {
  test('is that of the setting where there is one', () => {
    const server = createServer();
    keepAliveFor(server, 0);
    assert.equal(server.keepAliveTimeout, createServer().keepAliveTimeout);
    keepAliveFor(server, 75_000);
    assert.equal(server.keepAliveTimeout, 75_000);
    keepAliveFor(createTcpServer(), 75_000);
  });

  test('is told of the server that keeps them for the shortest', () => {
    const servers = [75_000, 4_000, 0].map((time) =>
      Object.assign(createServer(), { keepAliveTimeout: time }),
    );
    assert.equal(shortestKeepAlive([createTcpServer(), ...servers]), 4_000);
    assert.equal(shortestKeepAlive([createTcpServer()]), undefined);
  });
});

/** A kept connection whose time is over in the middle of a stall, at whose beginning a request was sent on it. */
async function stalled(t: TestContext) {
  const server = createServer((_request, response) => response.end('well'));
  Object.assign(server, { keepAliveTimeout: 300, keepAliveTimeoutBuffer: 0 });
  const client = await openBytes(t, await listening(t, server));
  client.socket.write(get);
  await client.until('well');
  return client;
}

function block(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

describe('a connection whose time passed during a stall', () => {
  test('is read from before it is closed: the request that waits in the kernel is answered', async (t) => {
    const undo = readBeforeTimeouts();
    t.after(() => undo?.());
    const client = await stalled(t);
    client.socket.write(get);
    block(1_500);
    await client.until(/* the second answer */ Buffer.from('well'));
    const answers = () => client.text.split('well').length - 1;
    while (answers() < 2 && client.end === null) await new Promise((resolve) => setImmediate(resolve));
    assert.equal(answers(), 2, `the connection ended by ${client.end}`);
  });

  test('is closed where nothing came', async (t) => {
    const undo = readBeforeTimeouts();
    t.after(() => undo?.());
    const client = await stalled(t);
    block(1_500);
    assert.equal(await client.ended(), 'fin');
  });

  test('is left to Node where it has no such method', () => {
    assert.equal(readBeforeTimeouts({}), null);
  });
});
