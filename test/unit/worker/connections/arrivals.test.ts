import assert from 'node:assert/strict';
import { channel } from 'node:diagnostics_channel';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import {
  type AddressInfo,
  connect,
  createServer as createTcpServer,
  type DropArgument,
  type Socket,
  type Server as TcpServer,
} from 'node:net';
import { describe, type TestContext, test } from 'node:test';
import type { RawHandle } from '../../../../src/protocol/handles.js';
import { attach, detach, learnAccepting } from '../../../../src/worker/connections/connection-handle.js';
import { waitFor } from '../../../support/wait.js';
import { openBytes } from '../byte-client.js';
import { echo, first, get } from '../transfer/hand-on-desk.js';

/** A connection that no server has yet, with what was called on its handle. */
async function loose(t: TestContext): Promise<{ handle: RawHandle; calls: string[]; client: Socket }> {
  const relay = createServer();
  relay.removeAllListeners('connection');
  relay.listen(0, '127.0.0.1');
  await once(relay, 'listening');
  const accepted = once(relay, 'connection');
  const client = connect((relay.address() as AddressInfo).port, '127.0.0.1').on('error', () => {});
  const handle = detach((await accepted)[0]) ?? assert.fail();
  relay.close();
  t.after(() => client.destroy());
  const calls: string[] = [];
  for (const name of ['setNoDelay', 'setKeepAlive']) {
    const call: (...args: unknown[]) => unknown = Reflect.get(handle, name);
    Reflect.set(handle, name, (...args: unknown[]) => {
      calls.push(`${name}(${args.slice(0, 2).join()})`);
      return call.apply(handle, args);
    });
  }
  return { handle, calls, client };
}

const prepare = (): void => {};

async function listening<Any extends TcpServer>(t: TestContext, server: Any, learn: boolean): Promise<Any> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.close();
    if ('closeAllConnections' in server) (server as unknown as Server).closeAllConnections();
  });
  if (learn) learnAccepting(server);
  return server;
}

describe('a connection from another worker', { timeout: 60_000 }, () => {
  for (const learn of [true, false]) {
    const where = learn ? '' : ', where Node accepts in an unknown way';
    test(`has the TCP options of its server${where}`, async (t) => {
      for (const [options, wanted] of [
        [{}, ['setNoDelay(true)']],
        [{ noDelay: false }, []],
        [{ keepAlive: true, keepAliveInitialDelay: 5_000 }, ['setNoDelay(true)', 'setKeepAlive(true,5)']],
      ] as const) {
        const server = await listening(t, createServer(options), learn);
        const { handle, calls } = await loose(t);
        attach({ server, handle, head: null, prepare });
        assert.deepEqual(calls, wanted);
      }
    });
  }

  test('is dropped where the server has enough, and the app is told', async (t) => {
    const server = await listening(t, createServer(), true);
    server.maxConnections = 1;
    const drops: (DropArgument | undefined)[] = [];
    server.on('drop', (drop) => drops.push(drop));
    attach({ server, handle: (await loose(t)).handle, head: null, prepare });
    const { handle, client } = await loose(t);
    assert.equal(attach({ server, handle, head: null, prepare }), null);
    assert.deepEqual(
      drops.map((drop) => drop?.remotePort),
      [client.localPort],
    );
    await once(client.resume(), 'close');
    assert.equal(server.listenerCount('connection'), 1, 'nothing of ours stays');
  });

  test('is told of on net.server.socket, and is paused if the server wants that', async (t) => {
    const server = await listening(t, createTcpServer({ pauseOnConnect: true }), true);
    const seen: unknown[] = [];
    const note = (message: unknown): void => void seen.push((message as { socket: Socket }).socket);
    channel('net.server.socket').subscribe(note);
    t.after(() => channel('net.server.socket').unsubscribe(note));
    const { handle, client } = await loose(t);
    const socket = attach({ server, handle, head: null, prepare }) ?? assert.fail();
    assert.ok(seen.includes(socket));
    assert.equal(socket.isPaused(), true);
    client.destroy();
    socket.destroy();
  });

  test('reaches a server whose listening socket is closed already', async (t) => {
    const { server, sockets } = await echo(t);
    const { handle, client } = await loose(t);
    server.close();
    attach({ server, handle, head: Buffer.from(get('/late')), prepare });
    const [answer] = await once(client, 'data');
    assert.match(String(answer), /\[\/late\]/);
    assert.equal(first(sockets).remotePort, client.localPort);
  });

  test('on its own is as it was: a client that connects is served by the same server', async (t) => {
    const { server, port } = await echo(t);
    attach({ server, handle: (await loose(t)).handle, head: null, prepare });
    const client = await openBytes(t, port);
    client.socket.write(get('/a'));
    await client.until('[/a]');
    await waitFor(
      'both',
      () => new Promise((resolve) => server.getConnections((_e, count) => resolve(count))),
      {
        until: (count) => count === 2,
      },
    );
  });
});
