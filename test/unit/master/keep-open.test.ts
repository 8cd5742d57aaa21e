import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { fstatSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { keepOpen } from '../../../src/master/listen-sockets.js';
import { descriptorOf } from '../../support/net.js';

describe('keepOpen', () => {
  test('makes the handle of such a descriptor once, and its close() closes nothing', () => {
    const made: (number | undefined)[] = [];
    let closed = 0;
    const maker = {
      _createServerHandle: (_address: unknown, _port: unknown, _type: unknown, fd?: number) => {
        made.push(fd);
        return fd === 9 ? -9 : { close: () => void closed++ };
      },
    };
    keepOpen([3, 9], maker);
    const open = (fd?: number) => maker._createServerHandle(null, -1, -1, fd);
    const first = open(3);
    assert.ok(typeof first === 'object');
    first.close();
    assert.equal(open(3), first);
    assert.equal(closed, 0);
    assert.equal(open(9), -9);
    assert.equal(open(9), -9, 'an error is not kept');
    const other = open(4);
    assert.ok(typeof other === 'object');
    other.close();
    open(undefined);
    assert.equal(closed, 1);
    assert.deepEqual(made, [3, 9, 9, 4, undefined]);
  });

  test('lets go of every socket but those that were passed in, once each', () => {
    const closed: string[] = [];
    const maker = {
      _createServerHandle: (address: string) => ({ close: () => void closed.push(address) }),
    };
    const { letGo } = keepOpen([3], maker as never);
    const open = maker._createServerHandle as unknown as (...query: unknown[]) => { close(): void };
    open('passed', -1, -1, 3);
    const handle = open('127.0.0.1', 3000, 4);
    open('::', 3001, 6).close();
    letGo();
    letGo();
    assert.deepEqual(closed, ['::', '127.0.0.1']);
    handle.close();
    assert.deepEqual(
      closed,
      ['::', '127.0.0.1'],
      'what node:cluster closes by its own count is closed already',
    );
  });

  test('gives what was taken over from another master to whom asks by its name, and drops the rest', () => {
    const asked: unknown[][] = [];
    const maker = {
      _createServerHandle: (...query: unknown[]) => {
        asked.push(query);
        return { fd: 20, close: () => {} };
      },
    };
    const server = openSync('/dev/null', 'r');
    const listeners = [
      { name: '127.0.0.1:3000', fd: 4 },
      { name: ':9090', fd: server },
    ];
    const kept = keepOpen([], maker as never, undefined, listeners);
    const open = maker._createServerHandle as unknown as (...query: unknown[]) => object;
    open('127.0.0.1', 3000, 4, undefined, 0);
    open('127.0.0.1', 3001, 4, undefined, 0);
    assert.deepEqual(asked, [
      [null, 0, null, 4, 0],
      ['127.0.0.1', 3001, 4, undefined, 0],
    ]);
    assert.deepEqual(kept.passable(), [
      { name: '127.0.0.1:3000', fd: 20 },
      { name: '127.0.0.1:3001', fd: 20 },
    ]);
    kept.dropUnclaimed();
    assert.throws(() => fstatSync(server), /EBADF/);
  });

  test('names a unix socket, which no other process can take over', () => {
    const maker = { _createServerHandle: () => ({ fd: 20, close: () => {} }) };
    const kept = keepOpen([], maker as never, { bound: () => {}, closed: () => {} });
    (maker._createServerHandle as unknown as (...query: unknown[]) => object)('/run/app.sock', -1, -1);
    assert.deepEqual(kept.passable(), { reason: 'it listens on the unix socket /run/app.sock' });
  });

  test('tells the worker at once that a port is in use, and keeps nothing of it', () => {
    const errors = [-98, 0];
    let closed = 0;
    const maker = {
      _createServerHandle: () => ({ close: () => void closed++, getsockname: () => errors.shift() ?? 0 }),
    };
    keepOpen([], maker as never);
    const open = maker._createServerHandle as unknown as (...query: unknown[]) => unknown;
    assert.equal(open('127.0.0.1', 3000, 4), -98);
    assert.equal(closed, 1);
    assert.equal(typeof open('127.0.0.1', 3000, 4), 'object');
  });

  test('lets the workers of node:cluster find the socket again after the last of them was killed', async (t) => {
    const holder = createServer((socket) => socket.destroy()).listen(0, '127.0.0.1');
    t.after(() => holder.close());
    await once(holder, 'listening');
    const { port } = holder.address() as AddressInfo;
    const fd = descriptorOf(holder);
    const script = join(tmpdir(), `rom-agent-keep-open-${process.pid}.mjs`);
    t.after(() => rmSync(script));
    writeFileSync(script, parent(new URL('../../../src/master/listen-sockets.js', import.meta.url).href));
    const stdio = ['ignore', 'pipe', 'inherit', fd] as const;
    const output = execFileSync(process.execPath, [script], { stdio: [...stdio], encoding: 'utf8' });
    assert.equal(output, `${port}\n${port}\n${port}\n`);
  });
});

/** One worker after the other on descriptor 3, each killed when it listens. */
function parent(module: string): string {
  return `import cluster from 'node:cluster';
import { createServer } from 'node:net';
import { keepOpen } from '${module}';
if (cluster.isPrimary) {
  keepOpen([3]);
  cluster.schedulingPolicy = cluster.SCHED_NONE;
  let left = 3;
  const next = () => {
    const worker = cluster.fork();
    worker.once('message', (port) => {
      process.stdout.write(port + '\\n');
      worker.process.kill('SIGKILL');
    });
    worker.once('exit', () => (--left > 0 ? next() : process.exit(0)));
  };
  next();
} else {
  const server = createServer().on('error', (error) => process.send(error.code));
  server.listen({ fd: 3 }, () => process.send(server.address().port));
}
`;
}

test('the file of a unix socket is known from its bind to its close', () => {
  const told: string[] = [];
  const maker = { _createServerHandle: () => ({ close: () => void told.push('handle') }) };
  const files = {
    bound: (path: string) => void told.push(`bound ${path}`),
    closed: (path: string) => void told.push(`closed ${path}`),
  };
  keepOpen([], maker, files);
  const open = maker._createServerHandle as unknown as (...query: unknown[]) => { close(): void };
  open('/run/app.sock', -1, -1).close();
  open('127.0.0.1', 3000, 4).close();
  open('\0abstract', -1, -1).close();
  assert.deepEqual(told, ['bound /run/app.sock', 'closed /run/app.sock', 'handle', 'handle', 'handle']);
});
