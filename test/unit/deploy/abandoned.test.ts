import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { layoutOf, lockHolder, readHistory, readJournal } from '../../../src/deploy/layout.js';
import { type DeployMessage, type DeployOrder, deployVariable } from '../../../src/protocol/deploy.js';
import { makePlace } from './place.js';

test('a deploy whose master is gone changes nothing more, and keeps its lock to its end', async (t) => {
  const waits = [process.execPath, '-e', "console.log('waits'); setInterval(() => {}, 1e6)"];
  const { directory, settings } = makePlace(t, {
    steps: [{ name: 'build', command: waits, timeoutMs: 60_000 }],
  });
  const layout = layoutOf(directory);
  const order: DeployOrder = {
    ...{ kind: 'deploy', id: 'new', options: { by: 'alice', origin: 'command' } },
    ...{ settings, controlSocket: null },
  };
  const main = fileURLToPath(new URL('../../../src/deploy/main.js', import.meta.url));
  const child = spawn(process.execPath, [main], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    env: { PATH: process.env.PATH, [deployVariable]: JSON.stringify(order) },
  });
  t.after(() => child.kill('SIGKILL'));
  await new Promise<void>((resolve) => {
    child.on('message', (message: DeployMessage) => {
      if (message.type === 'line' && message.line.type === 'output') resolve();
    });
  });
  assert.equal(lockHolder(layout.lock), child.pid);
  child.disconnect();
  const [code] = await once(child, 'exit');
  assert.equal(code, 1);
  assert.equal(readJournal(layout)?.stage, 'step', 'the next start finds what was under way');
  assert.deepEqual(readHistory(layout), [], 'it has not failed');
  assert.equal(lockHolder(layout.lock), null);
});
