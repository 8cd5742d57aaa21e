import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { describe, type TestContext, test } from 'node:test';
import { openProxy } from '../../../src/rehearse/proxy.js';

/** A database that says everything twice. */
async function database(t: TestContext): Promise<string> {
  const open = new Set<Socket>();
  const server = createServer((socket) => {
    open.add(socket.on('error', () => {}));
    socket.on('data', (chunk) => socket.write(`${chunk}${chunk}`));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.close();
    for (const socket of open) socket.destroy();
  });
  return `redis://user:secret@127.0.0.1:${(server.address() as AddressInfo).port}/0`;
}

async function client(t: TestContext, url: string): Promise<Socket> {
  const { hostname, port } = new URL(url);
  const socket = connect({ host: hostname, port: Number(port) }).on('error', () => {});
  t.after(() => void socket.destroy());
  await once(socket, 'connect');
  return socket;
}

describe('the proxy in front of a database', () => {
  test('passes on, is silent, and passes on again', async (t) => {
    const url = await database(t);
    const proxy = await openProxy('REDIS_URL', url);
    t.after(proxy.close);
    assert.deepEqual({ ...parts(proxy.url), port: '' }, { ...parts(url), port: '' });
    const before = await client(t, proxy.url);
    before.write('a');
    assert.equal(String((await once(before, 'data'))[0]), 'aa');
    proxy.silence();
    let heard = '';
    before.on('data', (chunk) => {
      heard += String(chunk);
    });
    const meanwhile = await client(t, proxy.url);
    before.write('b');
    meanwhile.write('c');
    const gone = new Promise((resolve) => before.once('close', resolve));
    proxy.resume();
    await gone;
    assert.equal(heard, '');
    const after = await client(t, proxy.url);
    after.write('d');
    assert.equal(String((await once(after, 'data'))[0]), 'dd');
    assert.equal(proxy.connections(), 3);
  });

  for (const value of [
    undefined,
    '',
    'localhost',
    'file:///data',
    'rediss://db:6379',
    'unix:///run/redis.sock',
  ])
    test(`refuses ${JSON.stringify(value)}, and does not show it`, async () => {
      await assert.rejects(openProxy('REDIS_URL', value), {
        message: /^--cut REDIS_URL: .*: expected a URL with a host and a port/,
        exitCode: 64,
      });
    });
});

function parts(url: string): Record<string, string> {
  const { protocol, username, password, hostname, pathname } = new URL(url);
  return { protocol, username, password, hostname, pathname };
}
