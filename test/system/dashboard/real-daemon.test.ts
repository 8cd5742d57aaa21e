import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, type TestContext, test } from 'node:test';
import type { Page } from 'playwright-core';
import {
  begin,
  readyPids,
  type Service,
  serving,
  stats,
  temporaryDirectory,
} from '../../integration/service.js';
import { plainEnvironment, startDaemon } from '../../support/process.js';
import { noRedis, startRedis } from '../../support/redis.js';
import { waitFor } from '../../support/wait.js';
import { closeBrowser, noBrowser, type Opened, open, patience, says } from './browser.js';

// The buttons of the page and the daemon that they are for, with nothing between them that plays a part.
const skip = noBrowser;
after(closeBrowser);

/** `rom-agent dashboard` beside a daemon, in the browser. */
async function looked(t: TestContext, control: string): Promise<Opened> {
  const env = { ...plainEnvironment(), ROM_AGENT_CONTROL_SOCKET: control };
  const served = startDaemon({ t, args: ['dashboard', '--no-open'], env });
  const line = await served.waitForLine(/^http:\/\/127\.0\.0\.1:\d+\/\?token=/, patience);
  const opened = await open(t, line.trim());
  await says(opened.page, '#link', /Live/);
  return opened;
}

async function press(page: Page, button: string, confirm = button): Promise<void> {
  await page.getByRole('button', { name: button, exact: true }).first().click();
  await page.locator('dialog').getByRole('button', { name: confirm, exact: true }).click();
}

async function started(
  t: TestContext,
  env: Record<string, string> = {},
): Promise<Service & { control: string }> {
  const control = env.ROM_AGENT_CONTROL_SOCKET ?? join(temporaryDirectory(t), 'control.sock');
  const service = await begin(t, {
    env: { ...plainEnvironment(), ...env, ROM_AGENT_CONTROL_SOCKET: control },
  });
  await serving(service.daemon);
  return { ...service, control };
}

describe('the dashboard of a real daemon', { skip }, () => {
  test('scales, restarts a worker, and aborts a reload', async (t) => {
    // A canary that is watched until somebody aborts.
    const service = await started(t, { ROM_AGENT_RELOAD_SOAK: '1h' });
    const { page, complaints } = await looked(t, service.control);
    await page.getByRole('button', { name: 'Scale', exact: true }).click();
    await page.locator('dialog input').fill('3');
    await page.locator('dialog').getByRole('button', { name: 'Scale' }).click();
    await says(page, 'h1', /3 of 3 workers are ready/);
    const before = await readyPids(service);
    await press(page, 'Restart of worker 1', 'Restart');
    const after = await waitFor('another process of worker 1', () => readyPids(service), {
      timeout: patience,
      until: (pids) => pids.length === 3 && pids.some((pid) => !before.includes(pid)),
    });
    assert.equal(after.filter((pid) => before.includes(pid)).length, 2);
    await says(page, '#worker-rows', new RegExp(after.map((pid) => `pid ${pid}[\\s\\S]*`).join('')));
    await press(page, 'Reload');
    await says(page, '#problems', /A reload to generation 2 has been under way/);
    await press(page, 'Abort', 'Abort the reload');
    await says(page, '#reload-list', /Generation 2: (?:aborted|rolled back)/);
    assert.equal((await stats(service)).generation, 1);
    assert.deepEqual(complaints, []);
  });

  test('is in touch again by itself once the daemon is back, and its events go on', async (t) => {
    const service = await started(t);
    const { page, complaints } = await looked(t, service.control);
    service.daemon.kill('SIGTERM');
    await service.daemon.waitForExit(patience);
    await says(page, '#link', /Daemon lost/);
    const again = await started(t, { PORT: String(service.port), ROM_AGENT_CONTROL_SOCKET: service.control });
    await says(page, '#link', /Live/);
    const pids = await readyPids({ ...again, control: service.control });
    await says(page, '#worker-rows', new RegExp(`pid ${pids[0]}`));
    await press(page, 'Reload');
    await says(page, '#reload-list', /Generation 2: done/);
    assert.deepEqual(complaints, []);
  });

  test('deploys, follows the steps, and rolls back', async (t) => {
    const home = temporaryDirectory(t);
    const [source, directory] = [join(home, 'source'), join(home, 'deploy')];
    mkdirSync(source);
    writeFileSync(
      join(source, 'app.mjs'),
      "import { createServer } from 'node:http';\ncreateServer((_, answer) => answer.end('shop')).listen(process.env.PORT);\n",
    );
    const file = join(home, 'rom-agent.toml');
    writeFileSync(
      file,
      `app = ${JSON.stringify(join(directory, 'current/app.mjs'))}
[deploy]
source = ${JSON.stringify(source)}
directory = ${JSON.stringify(directory)}
build = ["node", "-e", "console.log('built by the step')"]
min_free = 0
min_free_inodes = 0
`,
    );
    const env = { ...plainEnvironment(), ROM_AGENT_CONFIG: file };
    const init = startDaemon({ t, args: ['deploy', '--init'], env });
    assert.equal((await init.waitForExit(patience)).code, 0, init.output());
    const service = await started(t, env);
    const { page, complaints } = await looked(t, service.control);
    const [, first = ''] = /^(\S+) serves$/.exec(await says(page, '#deploys-note', / serves$/)) ?? [];
    writeFileSync(join(source, 'second.txt'), 'another release');
    await press(page, 'Deploy');
    await says(page, '#deploy-steps', /built by the step/);
    await says(page, '#deploys-note', new RegExp(`^(?!${first}).* serves$`));
    await says(page, '#deploy-list > li:first-child', /: done/);
    await press(page, `Roll back to ${first}`, 'Roll back');
    await says(page, '#deploys-note', new RegExp(`^${first} serves$`));
    assert.deepEqual(complaints, []);
  });

  test('runs a job, and shows what it wrote', async (t) => {
    const file = join(temporaryDirectory(t), 'rom-agent.toml');
    writeFileSync(
      file,
      `[jobs.greet]
schedule = "0 0 1 1 *"
command = ["node", "-e", "console.log('hello from the job')"]
`,
    );
    const service = await started(t, { ROM_AGENT_CONFIG: file });
    const { page, complaints } = await looked(t, service.control);
    await says(page, '#job-list', /has not run yet[\s\S]*0 0 1 1 \*/);
    await press(page, 'Run now: greet', 'Run now');
    await says(page, 'dialog pre', /hello from the job/);
    await says(page, 'dialog .runs', /done in/);
    await page.keyboard.press('Escape');
    await says(page, '#job-list', /done in/);
    assert.deepEqual(complaints, []);
  });

  test('shows the hosts of a fleet, one that is away, and that Redis is', { skip: noRedis }, async (t) => {
    const redis = await startRedis({ t });
    const start = (host: string): ReturnType<typeof started> =>
      started(t, {
        ROM_AGENT_FLEET_REDIS_URL: redis.url,
        ROM_AGENT_FLEET_NAME: 'shop',
        ROM_AGENT_FLEET_HOST: host,
        ROM_AGENT_STATE_DIR: join(temporaryDirectory(t), host),
      });
    const first = await start('web-1');
    // At once: its backplane is only beginning.
    const { page, complaints } = await looked(t, first.control);
    await says(page, '#hosts-note', /^shop: 1 host$/);
    const second = await start('web-2');
    await says(page, '#hosts-note', /^shop: 2 hosts$/);
    await says(page, '#host-list > li:nth-child(1)', /web-1 \(this host\)[\s\S]*2 of 2 workers ready/);
    await says(page, '#host-list > li:nth-child(2)', /web-2[\s\S]*2 of 2 workers ready/);
    await press(page, 'Reload');
    await says(page, '#host-list > li:nth-child(1)', /generation 2/);
    second.daemon.kill('SIGKILL');
    await says(page, '#hosts-note', /^shop: 2 hosts, 1 away$/);
    await says(page, '#host-list > li:nth-child(2)', /web-2[\s\S]*away: last heard \d+ s ago/);
    await redis.kill();
    await says(
      page,
      '#hosts-note',
      /^shop: Redis at .* has not answered for \d+ s; only this host is known$/,
    );
    await redis.start();
    await says(page, '#hosts-note', /^shop: 2 hosts, 1 away$/);
    assert.deepEqual(complaints, []);
  });
});
