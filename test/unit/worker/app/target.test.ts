import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { Listen } from '../../../../src/protocol/settings.js';
import { isTarget, serversBeside, targetFirst, targetName } from '../../../../src/worker/app/target.js';

async function open(t: TestContext, where: { port?: number; path?: string }): Promise<Server> {
  const server = createServer().listen({
    ...where,
    ...(where.path === undefined ? { host: '127.0.0.1' } : {}),
  });
  await once(server, 'listening');
  t.after(() => server.close());
  return server;
}

test('a port is the target on whatever address, a path as it is, and port 0 is any', async (t) => {
  const server = await open(t, { port: 0 });
  const { port } = server.address() as { port: number };
  const path = join(tmpdir(), `rom-agent-target-${process.pid}.sock`);
  const unix = await open(t, { path });
  const on = (listen: Listen) => [isTarget(server, listen), isTarget(unix, listen)];
  assert.deepEqual(on({ kind: 'tcp', port, host: '10.0.0.1' }), [true, false]);
  assert.deepEqual(on({ kind: 'tcp', port: port + 1, host: null }), [false, false]);
  assert.deepEqual(on({ kind: 'tcp', port: 0, host: null }), [true, false]);
  assert.deepEqual(on({ kind: 'path', path, mode: null }), [false, true]);
  assert.deepEqual(on({ kind: 'fds', sockets: [], port }), [false, false]);
});

test('servers beside the target are those that are not on it, where one is', async (t) => {
  const [inner, main] = [await open(t, { port: 0 }), await open(t, { port: 0 })];
  const beside = (port: number) => [...serversBeside([inner, main], { kind: 'tcp', port, host: null })];
  assert.deepEqual(beside((main.address() as { port: number }).port), [inner]);
  assert.deepEqual(beside(1), [], 'nobody is the service: all of them are');
  assert.deepEqual(beside(0), []);
});

test('the server on the target comes first', async (t) => {
  const [metrics, main] = [await open(t, { port: 0 }), await open(t, { port: 0 })];
  const { port } = main.address() as { port: number };
  const listen: Listen = { kind: 'tcp', port, host: null };
  const entries = [{ server: metrics }, { server: main }];
  assert.deepEqual(
    targetFirst(entries, listen).map(({ server }) => server === main),
    [true, false],
  );
  assert.equal(targetName(listen), `port ${port}`);
});

test('a server that does not listen is on no target', () => {
  assert.equal(isTarget(createServer(), { kind: 'tcp', port: 0, host: null }), false);
});
