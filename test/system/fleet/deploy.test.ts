import assert from 'node:assert/strict';
import { mkdtempSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { ReleasesAnswer } from '../../../src/protocol/deploy.js';
import type { RolloutLine } from '../../../src/protocol/fleet.js';
import { commitAll, fill } from '../../integration/deploying.js';
import { startNginx } from '../../support/nginx.js';
import { startRedis } from '../../support/redis.js';
import { waitFor } from '../../support/wait.js';
import { createNetwork, type Host, middle, noHosts } from './hosts.js';
import { startLoad } from './load.js';

const settings = (source: string, directory: string): string => `workers = 2
app = "${directory}/current/app.mjs"
hang_timeout = "5m"
[fleet]
redis_url = "redis://${middle}:6379"
canary_host = "b"
[reload]
soak = "4s"
[deploy]
source = "${source}"
ref = "main"
directory = "${directory}"
min_free = 0
test = ["node", "-e", "if (fs.existsSync('fails')) { console.log('a test fails'); process.exit(1) }"]
`;

describe('deploy --fleet on three hosts behind nginx, under load', {
  skip: noHosts,
  timeout: 1_800_000,
}, () => {
  test('brings a good release to each, stops a bad one at the first, and no request fails', async (t) => {
    const root = mkdtempSync(join(tmpdir(), 'rom-agent-fleet-deploy-'));
    const source = join(root, 'source');
    fill(source, 'good.mjs');
    const first = await commitAll(source);
    const network = createNetwork(t);
    await startRedis({ t, conf: [`bind ${middle}`, 'port 6379', 'protected-mode no'] });
    const hosts = ['a', 'b', 'c'].map((name) =>
      network.host(name, { toml: settings(source, join(root, name)) }),
    );
    // After the hosts that read it.
    t.after(() => rmSync(root, { recursive: true, force: true, maxRetries: 20 }));
    const [a, b] = hosts as [Host, Host, Host];
    for (const host of hosts) {
      const { code, output } = await host.cli('deploy', '--init');
      assert.equal(code, 0, output);
    }
    await Promise.all(hosts.map((host) => host.start()));
    await waitFor('three hosts', async () => (await hostsHeard(a)) === 3, { interval: 500 });
    const servers = hosts.map(({ address }) => `    server ${address}:3000;`).join('\n');
    await startNginx({
      t,
      http: `  upstream app {\n${servers}\n    keepalive 16;\n  }\n  server {\n    listen ${middle}:8080;\n    location / {\n      proxy_pass http://app;\n      proxy_http_version 1.1;\n      proxy_set_header Connection "";\n    }\n  }`,
    });
    const load = startLoad(t, `http://${middle}:8080/`);

    fill(source, 'good.mjs');
    const second = await commitAll(source);
    const rolled = rollout(a);
    const before = readlinkSync(join(root, 'b/current'));
    await waitFor('the reload of b', () => readlinkSync(join(root, 'b/current')) !== before);
    // A branch that moves meanwhile: the other hosts get what b has proven.
    await commitAll(source);
    const good = await rolled;
    assert.equal(good.code, 0, good.output);
    assert.deepEqual(good.begun, ['b', 'a', 'c']);
    for (const host of hosts) assert.deepEqual(await commits(host), [second, first]);

    for (const bad of ['fails a test', 'crashes'] as const) {
      const before = await Promise.all(hosts.map(stateOf));
      fill(source, bad === 'crashes' ? 'crashes-later.mjs' : 'good.mjs');
      if (bad === 'fails a test') fill(join(source, 'fails'), 'good.mjs');
      await commitAll(source);
      const { code, begun, output, last } = await rollout(a);
      assert.equal(code, 70, output);
      assert.deepEqual(begun, ['b'], `${bad}: no host after the first begins`);
      assert.deepEqual(last?.untouched, ['a', 'c']);
      assert.match(output, bad === 'crashes' ? /rolled-back, release/ : /failed, release .*a test fails/);
      const after = await Promise.all(hosts.map(stateOf));
      assert.deepEqual(
        after.map(({ current, commit }) => ({ current, commit })),
        before.map(({ current, commit }) => ({ current, commit })),
      );
      assert.deepEqual([after[0], after[2]], [before[0], before[2]], 'the others do nothing at all');
    }
    const { answered, failures } = await load.stop();
    assert.deepEqual(failures, []);
    assert.ok(answered > 0);
    t.diagnostic(`${answered} requests, ${failures.length} failed`);
    assert.equal(await hostsHeard(b), 3);
  });
});

async function hostsHeard(host: Host): Promise<number> {
  const { code, output } = await host.cli('status', '--fleet', '--json');
  if (code !== 0) throw new Error(`${output}\n${host.log()}`);
  return (JSON.parse(output) as { hosts: readonly unknown[] }).hosts.length;
}

async function rollout(host: Host) {
  const { code, output } = await host.cli('deploy', '--fleet', '--json');
  const lines = output
    .split('\n')
    .flatMap((line) => (line.startsWith('{') ? [JSON.parse(line) as RolloutLine] : []));
  const begun = lines.flatMap((line) => (line.type === 'begins' ? [line.host] : []));
  return {
    code,
    output: `${output}\n${host.log()}`,
    begun,
    last: lines.find((line) => line.type === 'over'),
  };
}

async function releasesOf(host: Host): Promise<ReleasesAnswer> {
  return JSON.parse((await host.cli('releases', '--json')).output) as ReleasesAnswer;
}

/** Of what was served, the last first. */
async function commits(host: Host): Promise<readonly (string | null)[]> {
  return (await releasesOf(host)).deploys
    .filter(({ verdict }) => verdict === 'done')
    .map(({ commit }) => commit);
}

async function stateOf(host: Host) {
  const { current, deploys } = await releasesOf(host);
  const { output } = await host.cli('status', '--json');
  const { generation } = JSON.parse(output) as { generation: number };
  const commit = deploys.find(({ id, verdict }) => id === current && verdict === 'done')?.commit;
  return { current, commit, generation, deploys: deploys.length };
}
