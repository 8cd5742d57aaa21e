// The daemon under the real PM2.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { ask, freePort } from '../../support/net.js';
import { descendants, processes } from '../../support/proc.js';
import { mainPath } from '../../support/process.js';
import { waitFor } from '../../support/wait.js';
import { installPm2, needsPm2 } from './install.js';
import { startPm2 } from './pm2.js';

const installed = await installPm2();

/** Answers at once, or `/slow` after a second and a half. */
const app = `const { createServer } = require('node:http');
createServer((request, response) => {
  setTimeout(() => response.end(String(process.pid)), request.url === '/slow' ? 1500 : 0);
}).listen(process.env.PORT);
`;

async function place(t: TestContext) {
  assert.ok('folder' in installed, 'reason' in installed ? installed.reason : '');
  const folder = mkdtempSync(join(tmpdir(), 'rom-agent-below-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  writeFileSync(join(folder, 'app.cjs'), app);
  const port = await freePort();
  const pm2 = startPm2(installed.folder, t);
  const ecosystem = (more: object) => {
    const path = join(folder, 'ecosystem.json');
    const own = { ROM_AGENT_CONTROL_SOCKET: join(folder, 'control.sock'), ROM_AGENT_STATE_DIR: folder };
    const usual = { name: 'rom-agent', script: mainPath, args: ['serve', join(folder, 'app.cjs')] };
    const env = { PORT: String(port), WORKERS: '2', ...own };
    writeFileSync(path, JSON.stringify({ apps: [{ ...usual, env, ...more }] }));
    return path;
  };
  return { pm2, port, ecosystem };
}

test(
  'PM2 waits until the workers serve, and a stop answers what was asked',
  needsPm2(installed),
  async (t) => {
    const { pm2, port, ecosystem } = await place(t);
    const more = { wait_ready: true, listen_timeout: 60_000, kill_timeout: 35_000 };
    await pm2.run('start', ecosystem(more));
    // With wait_ready PM2 comes back when the daemon has said that it is ready, which is when both workers listen.
    assert.equal((await ask({ port, path: '/' })).status, 200);
    const [listed] = await pm2.list();
    assert.ok(listed !== undefined);
    assert.deepEqual(
      [listed.pm2_env.status, listed.pm2_env.exec_mode, listed.pm2_env.restart_time],
      ['online', 'fork_mode', 0],
    );
    const family = (await processes()).filter(({ parent }) => parent === listed.pid);
    // Its reaper is a shell.
    const workers = family.filter(({ name }) => !/sh$/.test(name)).map(({ name }) => name);
    assert.equal(workers.length, 2, `one master with two workers, and no cluster around it: ${workers}`);

    for (const [verb, restarts] of [
      ['reload', 1],
      ['restart', 2],
    ] as const) {
      await pm2.run(verb, 'rom-agent');
      const [next] = await pm2.list();
      assert.deepEqual([next?.pm2_env.status, next?.pm2_env.restart_time], ['online', restarts], verb);
      assert.equal((await ask({ port, path: '/' })).status, 200, verb);
    }

    const slow = ask({ port, path: '/slow' });
    const [before] = await pm2.list();
    await waitFor('the request to be in flight', async () => (await ask({ port, path: '/' })).status === 200);
    await pm2.run('stop', 'rom-agent');
    assert.equal((await slow).status, 200, 'PM2 signals the workers too, and they drain all the same');
    await waitFor('the daemon to be gone', async () => (await descendants(before?.pid ?? 0)).length === 0);
    assert.match(pm2.log(), /"msg":"stopping: SIGINT"/);
    assert.match(pm2.log(), /"exitCode":0,"msg":"stopped"/);
    assert.doesNotMatch(pm2.log(), /kill-timeout/);
  },
);

test('the log says that PM2 would kill it in the middle of a drain', needsPm2(installed), async (t) => {
  const { pm2, ecosystem } = await place(t);
  await pm2.run('start', ecosystem({ wait_ready: true, listen_timeout: 60_000 }));
  assert.match(pm2.log(), /PM2 kills this process 1600ms after a stop.*--kill-timeout 35000/);
});

test('in cluster mode of PM2 the daemon refuses, and says what to do', needsPm2(installed), async (t) => {
  const { pm2, ecosystem } = await place(t);
  await pm2.run(
    'start',
    ecosystem({ exec_mode: 'cluster', instances: 2, max_restarts: 1, min_uptime: 60_000 }),
  );
  await waitFor(
    'PM2 to give up',
    async () => (await pm2.list()).every(({ pm2_env }) => pm2_env.status === 'errored'),
    {
      timeout: 120_000,
    },
  );
  assert.match(pm2.log(), /worker of a cluster.*PM2 has to start it in fork mode/);
});
