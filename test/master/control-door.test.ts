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

const whenOpen = ({ opened }: ReturnType<typeof door>) =>
  new Promise<void>((resolve) => opened.whenOpen(resolve));

describe('the control door', () => {
  test('calls back at once while nobody opens it', (t) => {
    let called = false;
    door(t).opened.whenOpen(() => {
      called = true;
    });
    assert.equal(called, true);
  });

  test('calls back once it can be knocked at, however often it is opened', async (t) => {
    const it = door(t);
    it.opened.open();
    it.opened.open();
    await whenOpen(it);
    assert.deepEqual(await connectControl({ path: it.path }).history(), []);
    assert.deepEqual(it.warnings, []);
  });

  test('that cannot be opened holds nobody up, and says what does not work without it', async (t) => {
    const it = door(t, { blocked: true });
    it.opened.open();
    await whenOpen(it);
    assert.match(it.warnings.join(), /^no control socket: .*control\.sock.*cannot reach this daemon$/);
    await it.opened.close();
  });
});
