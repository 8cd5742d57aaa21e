import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { createSocketFiles } from '../../../src/master/listen-sockets.js';
import { waitFor } from '../../support/wait.js';

const skip = process.platform === 'linux' ? false : 'link(2) on a socket is known to work on Linux alone';

async function socket(t: TestContext): Promise<{ directory: string; path: string; server: Server }> {
  const directory = mkdtempSync(join(tmpdir(), 'rom-agent-files-'));
  const path = join(directory, 'app.sock');
  const server = createServer((client) => client.end()).listen(path);
  await once(server, 'listening');
  t.after(() => {
    server.close();
    rmSync(directory, { recursive: true });
  });
  return { directory, path, server };
}

test('a socket whose file is removed is reached by its path again', { skip }, async (t) => {
  const { path } = await socket(t);
  const restored: string[] = [];
  const files = createSocketFiles((which) => restored.push(which));
  t.after(() => files.closed(path));
  files.bound(path);
  for (const times of [1, 2]) {
    rmSync(path);
    await waitFor('the file', () => existsSync(path), { timeout: 10_000, until: (is) => is });
    assert.deepEqual(restored, Array(times).fill(path));
    await once(connect(path).resume(), 'close');
  }
});

test('it is also looked for when a worker listens', { skip }, async (t) => {
  const { path } = await socket(t);
  const files = createSocketFiles(() => {});
  t.after(() => files.closed(path));
  files.bound(path);
  rmSync(path);
  files.check(path);
  assert.ok(existsSync(path));
  files.check('/nothing/that/is/known');
});

test('nothing is left beside it afterwards, nor by a daemon that was killed', { skip }, async (t) => {
  const { directory, path } = await socket(t);
  // No process has this number: pid_max is 4194304 at most.
  writeFileSync(join(directory, '.app.sock.rom-agent-4194305'), '');
  const files = createSocketFiles(() => {});
  files.bound(path);
  assert.deepEqual(readdirSync(directory).sort(), [`.app.sock.rom-agent-${process.pid}`, 'app.sock']);
  files.closed(path);
  assert.deepEqual(readdirSync(directory), ['app.sock']);
  rmSync(path);
  files.check(path);
  assert.ok(!existsSync(path));
});

test('an abstract socket has no file', () => {
  createSocketFiles(() => assert.fail('nothing is to be made')).bound('\0rom-agent');
});
