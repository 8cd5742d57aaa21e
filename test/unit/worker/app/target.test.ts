import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import type { Listen } from '../../../../src/protocol/settings.js';
import {
  addressOf,
  isPassed,
  isTarget,
  passedTo,
  redirectToPassed,
  serversBeside,
  targetFirst,
  targetName,
} from '../../../../src/worker/app/target.js';
import type { ListenOptions } from '../../../../src/worker/connections/servers.js';

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

const tcp = (fd: number, port: number) => ({ fd, name: 'http', port, path: null });
const unix = (fd: number, path: string) => ({ fd, name: 'http', port: null, path });

function passed(...sockets: Extract<Listen, { kind: 'fds' }>['sockets'][number][]): Listen {
  return { kind: 'fds', sockets, port: 3000 };
}

/** The descriptor that a listen() with these options is sent to. */
function descriptor(options: ListenOptions, listen: Listen): number | undefined {
  const server = createHttpServer();
  redirectToPassed({ server, options: Object.freeze(options) }, listen);
  return passedTo(server)?.fd;
}

describe('redirect, where sockets were passed in', () => {
  const listen = passed(unix(3, '/run/app.sock'), tcp(4, 80), tcp(5, 8080), unix(6, '@abstract'));

  test('sends a port to the socket that is bound to it', () => {
    assert.equal(descriptor({ port: 8080 }, listen), 5);
    assert.equal(descriptor({ port: '80', host: '127.0.0.1' }, listen), 4);
  });

  test('sends the configured port to the first TCP socket where none is bound to it', () => {
    assert.equal(descriptor({ port: 3000 }, listen), 4);
  });

  test('takes one of which nothing is known for TCP, and a path never', () => {
    const dark = { fd: 4, name: 'x', port: null, path: null };
    assert.equal(descriptor({ port: 3000 }, passed(unix(3, '/run/app.sock'), dark)), 4);
    assert.equal(descriptor({ port: 3000 }, passed(unix(3, '/run/app.sock'))), undefined);
  });

  test('sends a path to the socket that is bound to it', () => {
    assert.equal(descriptor({ path: '/run/app.sock' }, listen), 3);
    assert.equal(descriptor({ path: '/run/./app.sock' }, listen), 3);
    assert.equal(descriptor({ path: '\0abstract' }, listen), 6);
  });

  test('leaves every other listen() as it is', () => {
    const others = [{ port: 9090 }, { port: 0 }, { port: null }, {}, { path: '/run/other.sock' }, { fd: 9 }];
    for (const options of others) assert.equal(descriptor(options, listen), undefined);
  });

  test('knows the servers on passed sockets, and the path that Node does not know', () => {
    const server = createHttpServer();
    redirectToPassed({ server, options: { path: '/run/app.sock' } }, listen);
    assert.ok(isPassed(server));
    assert.equal(addressOf(server), '/run/app.sock');
    assert.ok(!isPassed(createHttpServer()));
  });
});
