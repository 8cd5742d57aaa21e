import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { planService } from '../../../src/setup/plan.js';
import { ask, freePort } from '../../support/net.js';
import { mainPath, repoRoot } from '../../support/process.js';
import { waitFor } from '../../support/wait.js';
import { facts, request } from '../../unit/setup/facts.js';
import { type Job, parseDictionary } from './job.js';
import { bootstrap } from './standin.js';

const skip = !existsSync(mainPath) && process.env.CI !== 'true' && `${mainPath} is not built: npm run build`;

test('a service that install plans for launchd starts from its own configuration and serves', {
  skip,
}, async (t) => {
  const root = mkdtempSync(join(tmpdir(), 'rom-agent-install-'));
  const port = await freePort();
  const app = join(root, 'server.js');
  const source =
    'require("node:http").createServer((_, answer) => answer.end(process.env.TOLD)).listen(process.env.PORT)';
  writeFileSync(app, source);
  const plan = planService(
    request({ settings: { app, port, host: '127.0.0.1', workers: 1 }, environment: { TOLD: 'a & b' } }),
    facts({ platform: 'darwin', node: process.execPath, libdir: repoRoot }),
  );
  // The stand-in runs on any machine: what belongs into /etc and /var is below one folder.
  const moved = (text: string) => text.replaceAll(/\/(?:etc|var|Library)\//g, (path) => `${root}${path}`);
  for (const { path, content } of plan.files) {
    mkdirSync(dirname(moved(path)), { recursive: true });
    writeFileSync(moved(path), path.endsWith('.toml') ? content : moved(content));
  }
  for (const folder of ['/var/db/rom-agent.shop', '/var/log/rom-agent.shop'])
    mkdirSync(moved(folder), { recursive: true });
  const plist = plan.files.find(({ path }) => path.endsWith('.plist'));
  const job = parseDictionary(moved(plist?.content ?? '')) as unknown as Job;
  assert.equal(job.Label, 'org.rom-agent.shop');
  const standin = bootstrap(job);
  t.after(() => {
    standin.destroy();
    rmSync(root, { recursive: true, force: true });
  });
  const text = () =>
    ask({ port, path: '/' }).then(
      (answer) => answer.text,
      () => '',
    );
  assert.equal(await waitFor('an answer', text), 'a & b');
  // It opens beside the workers' boot, and READY waits for both.
  await waitFor('the control socket', () => existsSync(moved('/var/db/rom-agent.shop/run/control.sock')));
  assert.deepEqual(await standin.bootout(), { code: 0, signal: null });
});
