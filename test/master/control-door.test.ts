import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { connectControl } from '../../src/control/client.js';
import { controlDoor } from '../../src/master/control-door.js';
import type { LazyLog } from '../../src/telemetry/lazy-log.js';

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
  return { opened, path, warnings };
}

describe('the control door', () => {
  test('can be knocked at once it is open, however often it is opened', async (t) => {
    const it = door(t);
    await Promise.all([it.opened.open(), it.opened.open()]);
    assert.deepEqual(await connectControl({ path: it.path }).history(), []);
    assert.deepEqual(it.warnings, []);
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
