import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, type TestContext, test } from 'node:test';
import { send, startLoad, type Target } from '../../../src/rehearse/load.js';
import { until } from '../../../src/rehearse/scene.js';

const root = { method: 'GET', path: '/' };

async function serve(t: TestContext, listener: RequestListener): Promise<{ server: Server; target: Target }> {
  const server = createServer(listener).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.closeAllConnections() ?? server.close());
  return { server, target: { host: '127.0.0.1', port: (server.address() as AddressInfo).port } };
}

describe('the load of a rehearsal', () => {
  test('counts answers, and those with an error apart', async (t) => {
    let asked = 0;
    const { target } = await serve(t, (_, response) => {
      asked += 1;
      response.writeHead(asked % 2 === 0 ? 500 : 200).end('x');
    });
    const load = startLoad({ target, samples: [root], keepAlive: 2, perConnection: 1, timeout: 60_000 });
    assert.ok(await until(() => load.counts().answered >= 20));
    const { answered, failed, lost, refused, examples } = await load.stop();
    assert.equal(answered, asked);
    assert.equal(failed, Math.floor(asked / 2));
    assert.deepEqual([lost, refused, examples[0]], [0, 0, 'GET /: status 500']);
  });

  test('loses a request that is cut in the middle of its answer', async (t) => {
    const { target } = await serve(t, (_, response) => {
      response.writeHead(200, { 'Content-Length': 100 }).write('x', () => response.destroy());
    });
    const outcome = await send(root, { target, agent: false, timeout: 60_000 });
    assert.equal(outcome.kind, 'lost');
  });

  test('loses a request on a new connection that ends without an answer', async (t) => {
    const { target } = await serve(t, (request) => request.socket.destroy());
    assert.equal((await send(root, { target, agent: false, timeout: 60_000 })).kind, 'lost');
  });

  test('sends a request again whose connection was closed before it', async (t) => {
    const closed = new WeakSet<object>();
    const { target } = await serve(t, ({ socket }, response) => {
      if (closed.has(socket)) socket.destroy();
      else response.end('x');
      closed.add(socket);
    });
    const load = startLoad({ target, samples: [root], keepAlive: 1, perConnection: 0, timeout: 60_000 });
    assert.ok(await until(() => load.counts().resent >= 1 && load.counts().answered >= 2));
    const { lost } = await load.stop();
    assert.equal(lost, 0);
  });

  test('waits no longer than it is to', async (t) => {
    const { target } = await serve(t, () => {});
    assert.deepEqual(await send(root, { target, agent: false, timeout: 20 }), {
      kind: 'lost',
      why: 'no answer within 20 ms',
    });
  });

  test('is refused where nobody listens', async (t) => {
    const { server, target } = await serve(t, () => {});
    server.close();
    await once(server, 'close');
    assert.equal((await send(root, { target, agent: false, timeout: 60_000 })).kind, 'refused');
  });
});
