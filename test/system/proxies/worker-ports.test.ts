import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { describeLoad, startLoad } from '../../support/load.js';
import { ask, freePort } from '../../support/net.js';
import { startNginx } from '../../support/nginx.js';
import { repoRoot } from '../../support/process.js';
import { needsPrograms } from '../systemd/requirements.js';
import { clients, replaced, startService } from './service.js';

const needed = needsPrograms('nginx');
const page = readFileSync(join(repoRoot, 'docs/how-to/nginx.md'), 'utf8');
const [example = ''] = /^upstream shop \{\n {2}hash [\s\S]*?^\}\n/m.exec(page) ?? [];

/** The example of the documentation on other ports. Nothing is sent a second time: a loss is a 502. */
async function startShop(t: TestContext, key = '$cookie_session') {
  let [first, second] = [await freePort('127.0.0.1'), await freePort('127.0.0.1')];
  while (second !== first + 1) [first, second] = [second, await freePort('127.0.0.1')];
  const service = await startService(t, { ROM_AGENT_WORKER_PORTS: String(first) });
  const port = await freePort('127.0.0.1');
  const upstream = replaced(example, [
    ['$cookie_session', key],
    ['127.0.0.1:9001', `127.0.0.1:${first}`],
    ['127.0.0.1:9002', `127.0.0.1:${second}`],
  ]);
  const http = `proxy_next_upstream off;
${upstream}
server {
  listen 127.0.0.1:${port};
  proxy_http_version 1.1;
  proxy_set_header Connection '';
  location / { proxy_pass http://shop; }
}`;
  return { service, port, nginx: await startNginx({ t, http }) };
}

test('nginx brings a client to the same worker each time, by a cookie', needed, async (t) => {
  const { port } = await startShop(t);
  const pidFor = async (session: number) => {
    const { json } = await ask({ port, path: '/', headers: { Cookie: `session=${session}` } });
    return (json as { pid: number }).pid;
  };
  const sessions = Array.from({ length: 20 }, (_, nth) => nth);
  const first = await Promise.all(sessions.map(pidFor));
  assert.equal(new Set(first).size, 2);
  for (let round = 0; round < 3; round++) assert.deepEqual(await Promise.all(sessions.map(pidFor)), first);
});

test('reloads under load behind ports of the workers lose no request', needed, async (t) => {
  const { service, port, nginx } = await startShop(t, '$remote_port');
  const load = startLoad({ t, port, clients, maxMs: 600_000 });
  for (let round = 0; round < 3; round++) {
    await load.reached(50, 300_000);
    await service.reload();
  }
  await load.reached(50, 300_000);
  const report = await load.stop();
  const log = await nginx.stop();
  assert.deepEqual(
    [report.failed, report.refused],
    [0, 0],
    `${describeLoad(report)}\n${log.slice(0, 2_000)}`,
  );
  assert.equal(log, '', 'the error log of nginx');
});
