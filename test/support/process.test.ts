import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type Daemon, signalPid, startDaemon } from './process.js';
import { waitFor } from './wait.js';

test('a daemon is started, read line by line and its exit is reported', async (t) => {
  const daemon = start(
    t,
    `process.on('SIGTERM', () => process.exit(7)); setInterval(() => {}, 1000); console.log('one'); console.error('two')`,
  );
  assert.equal(await daemon.waitForLine(/^two$/), 'two');
  assert.equal(daemon.status, null);
  assert.ok(daemon.kill());
  assert.deepEqual(await daemon.waitForExit(), { code: 7, signal: null });
  await waitFor('both streams', () => daemon.stdout.concat(daemon.stderr).join(), {
    until: (s) => s === 'one,two',
  });
});

test('a daemon that ends without the awaited line is not waited for', async (t) => {
  const daemon = start(t, `console.log('bye')`);
  await assert.rejects(daemon.waitForLine(/never/, 5000), /ended \{"code":0,"signal":null\} without/);
});

test('of the environment only PATH, HOME, LANG and TMPDIR get through, with places of its own', async (t) => {
  const script = `console.log(Object.keys(process.env).filter((n) => !/^(PATH|HOME|LANG|TMPDIR|__CF.*)$/.test(n)).sort().join())`;
  const daemon = startDaemon({ t, args: [], script: file(t, script), env: { PORT: '1' } });
  assert.equal(await daemon.waitForLine(/./), 'PORT,ROM_AGENT_CONTROL_SOCKET,ROM_AGENT_STATE_DIR');
});

test('descendants and the group are listed, orphans stay in the group, and all are gone after the test', async (t) => {
  const forever = 'setInterval(() => {}, 1000)';
  const script = `require('child_process').spawn(process.execPath, ['-e', '${forever}']); console.log('up'); ${forever}`;
  let daemon: Daemon | null = null;
  await t.test('with a child', async (inner) => {
    daemon = start(inner, script);
    await daemon.waitForLine(/up/);
    const [child = 0] = await daemon.descendants();
    assert.ok(child > 0);
    daemon.kill('SIGKILL');
    assert.deepEqual(await daemon.waitForExit(), { code: null, signal: 'SIGKILL' });
    assert.deepEqual(await daemon.group(), [child]);
    assert.ok(signalPid(child, 0));
  });
  await waitFor('the group to be empty', () => daemon?.group(), { until: (pids) => pids?.length === 0 });
});

function start(t: TestContext, script: string): Daemon {
  return startDaemon({ t, args: [], script: file(t, script) });
}

function file(t: TestContext, text: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'rom-agent-test-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'fixture.cjs');
  writeFileSync(path, text);
  return path;
}
