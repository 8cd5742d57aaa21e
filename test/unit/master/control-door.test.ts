import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { connectControl } from '../../../src/control/client.js';
import type { LazyLog } from '../../../src/logging/lazy-log.js';
import { controlDoor } from '../../../src/master/control-door.js';
import { waitFor } from '../../support/wait.js';

function door(t: TestContext, { blocked = false } = {}) {
  const dir = mkdtempSync(join(tmpdir(), 'rom-agent-door-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const path = join(dir, 'control.sock');
  if (blocked) writeFileSync(path, 'somebody else’s');
  const warnings: string[] = [];
  const log = { warn: (message: string) => void warnings.push(message) } as unknown as LazyLog;
  const commands = { history: () => [] } as never;
  const opened = controlDoor({ path, inherited: null, commands, version: '1.2.3', log });
  t.after(() => opened.close());
  return { opened, dir, path, warnings };
}

const tick = () => new Promise((resolve) => setImmediate(resolve));

describe('the control door', () => {
  test('can be knocked at once it is open, however often it is opened', async (t) => {
    const it = door(t);
    await Promise.all([it.opened.open(), it.opened.open()]);
    assert.deepEqual(await connectControl({ path: it.path }).history(), []);
    assert.deepEqual(it.warnings, []);
  });

  test('opens with the first worker that is ready, not with the forks', async (t) => {
    const it = door(t);
    it.opened.prepare();
    it.opened.heard({ type: 'forked', key: 1, pid: 4711 });
    await waitFor('a socket under another name', () => readdirSync(it.dir).length > 0);
    await tick();
    assert.equal(existsSync(it.path), false);
    it.opened.heard({ type: 'ready', key: 1, urls: [] });
    assert.equal(existsSync(it.path), true, 'within the call: what is logged next may be read at once');
  });

  test('replaces the socket of a master that was killed before it opens', async (t) => {
    const it = door(t);
    const run = [
      '-e',
      'require("net").createServer().listen(process.argv[1], () => process.kill(process.pid, 9))',
    ];
    spawnSync(process.execPath, [...run, it.path]);
    assert.equal(existsSync(it.path), true);
    it.opened.prepare();
    await waitFor('the stale socket to go', () => !existsSync(it.path));
    await it.opened.open();
    assert.deepEqual(await connectControl({ path: it.path }).history(), []);
    assert.deepEqual(it.warnings, []);
  });

  test('that is closed before it was opened leaves nothing', async (t) => {
    const it = door(t);
    it.opened.prepare();
    await waitFor('a socket under another name', () => readdirSync(it.dir).length > 0);
    await it.opened.close();
    await it.opened.open();
    assert.deepEqual(readdirSync(it.dir), []);
    assert.deepEqual(it.warnings, []);
  });

  test('opens once a worker has died, so that a start that fails can be inspected', async (t) => {
    const it = door(t);
    it.opened.heard({ type: 'exited', key: 1, code: 1, signal: null });
    await waitFor('the control socket', () => existsSync(it.path));
  });

  test('that cannot be opened holds nobody up, and says what does not work without it', async (t) => {
    const it = door(t, { blocked: true });
    await it.opened.open();
    assert.match(it.warnings.join(), /^no control socket: .*control\.sock.*cannot reach this daemon$/);
    await it.opened.close();
  });

  test('that nobody opened can be closed', async (t) => {
    await door(t).opened.close();
  });
});
