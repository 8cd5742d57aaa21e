import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { clearStaleSocket, listenTarget } from '../../../src/master/listen-sockets.js';
import type { Config } from '../../../src/settings/config.js';

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'rom-agent-listen-'));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

async function listening(t: TestContext, path: string): Promise<Server> {
  const server = createServer((socket) => socket.destroy()).listen(path);
  t.after(() => server.close());
  await once(server, 'listening');
  return server;
}

/** A socket that nobody listens on any more, as kill -9 leaves it behind. */
async function staleSocket(t: TestContext, path: string): Promise<void> {
  const server = await listening(t, `${path}.before`);
  renameSync(`${path}.before`, path);
  server.close();
  await once(server, 'close');
}

describe('clearStaleSocket', () => {
  test('leaves a free path free', async (t) => {
    await clearStaleSocket(join(folder(t), 'none.sock'));
  });

  test('removes a socket that nobody answers on', async (t) => {
    const path = join(folder(t), 'stale.sock');
    await staleSocket(t, path);
    assert.ok(existsSync(path));
    await clearStaleSocket(path);
    assert.ok(!existsSync(path));
    await listening(t, path);
  });

  test('leaves a socket alone that somebody answers on, and refuses with 69', async (t) => {
    const path = join(folder(t), 'live.sock');
    await listening(t, path);
    await assert.rejects(clearStaleSocket(path), {
      name: 'RomAgentError',
      exitCode: 69,
      message: `socket ${path} is in use by another process`,
    });
    assert.ok(existsSync(path));
  });

  test('leaves a file alone that is no socket, and refuses with 73', async (t) => {
    const path = join(folder(t), 'notes.txt');
    writeFileSync(path, 'precious');
    await assert.rejects(clearStaleSocket(path), {
      exitCode: 73,
      message: `host: ${path} exists and is not a socket; expected a free path`,
    });
    assert.ok(existsSync(path));
  });

  test('does not follow a link, not even to a stale socket', async (t) => {
    const path = join(folder(t), 'link.sock');
    await staleSocket(t, `${path}.target`);
    symlinkSync(`${path}.target`, path);
    await assert.rejects(clearStaleSocket(path), { exitCode: 73 });
    assert.ok(existsSync(`${path}.target`));
  });
});

describe('listenTarget', () => {
  const config = (part: Partial<Config>) => ({ port: 3000, host: null, socketMode: null, ...part }) as Config;

  test('is the port, on all addresses or on one', () => {
    assert.deepEqual(listenTarget(config({}), []), { kind: 'tcp', port: 3000, host: null });
    assert.deepEqual(listenTarget(config({ host: '::1' }), []), { kind: 'tcp', port: 3000, host: '::1' });
  });

  test('is a unix socket where the host is an absolute path', () => {
    const chosen = config({ host: '/run/app.sock', socketMode: 0o660 });
    assert.deepEqual(listenTarget(chosen, []), { kind: 'path', path: '/run/app.sock', mode: 0o660 });
  });

  test('is the sockets that were passed in, before all else', () => {
    const sockets = [
      { fd: 3, name: 'http', port: 80, path: null },
      { fd: 4, name: 'unknown', port: null, path: '/run/app.sock' },
    ];
    assert.deepEqual(listenTarget(config({ host: '/run/app.sock' }), sockets), {
      kind: 'fds',
      sockets,
      port: 3000,
    });
  });

  test('is none for an app that is no server, to which no socket may be passed in', () => {
    assert.deepEqual(listenTarget(config({ kind: 'process' }), []), { kind: 'none' });
    const sockets = [{ fd: 3, name: 'http', port: 80, path: null }];
    assert.throws(
      () => listenTarget(config({ kind: 'process' }), sockets),
      /kind: "process" is for an app that is no server/,
    );
  });
});
