import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { startNginx } from '../../support/nginx.js';
import { startRedis } from '../../support/redis.js';
import { waitFor } from '../../support/wait.js';
import { createNetwork, middle, noHosts } from './hosts.js';
import { startLoad } from './load.js';

const toml = (redis: string, more = ''): string =>
  `workers = 1\n[fleet]\nredis_url = "${redis}"\ncanary_host = "b"\n[reload]\nsoak = "1s"\n${more}`;

describe('a fleet of three hosts', { skip: noHosts }, () => {
  test('reloads host by host under load through nginx, and loses no request', async (t) => {
    const network = createNetwork(t);
    const redis = await startRedis({ t, conf: [`bind ${middle}`, 'port 6379', 'protected-mode no'] });
    const hosts = ['a', 'b', 'c'].map((name) => network.host(name, { toml: toml(`redis://${middle}:6379`) }));
    await Promise.all(hosts.map((host) => host.start()));
    const [first] = hosts;
    assert.ok(first !== undefined);
    await waitFor(
      'three hosts',
      async () => {
        const { code, output } = await first.cli('status', '--fleet', '--json');
        if (code !== 0) throw new Error(`${output}\n${first.log()}`);
        return (JSON.parse(output) as { hosts: readonly unknown[] }).hosts.length === 3;
      },
      { timeout: 60_000, interval: 500 },
    );
    const servers = hosts.map(({ address }) => `    server ${address}:3000;`).join('\n');
    await startNginx({
      t,
      http: `  upstream app {\n${servers}\n    keepalive 16;\n  }\n  server {\n    listen ${middle}:8080;\n    location / {\n      proxy_pass http://app;\n      proxy_http_version 1.1;\n      proxy_set_header Connection "";\n    }\n  }`,
    });
    const load = startLoad(t, `http://${middle}:8080/api/info`);
    const { code, output } = await first.cli('reload', '--fleet');
    const { answered, failures } = await load.stop();
    assert.equal(code, 0, output);
    assert.match(output, /hosts, in this order: b, a, c\n/);
    assert.match(output, /3 of 3 hosts: b, a, c/);
    assert.deepEqual(failures, []);
    assert.ok(answered > 0);

    await redis.kill();
    const alone = await first.cli('reload', '--no-soak');
    assert.equal(alone.code, 0, alone.output);
    assert.match(first.log(), /goes on without the turn of the fleet: .*does not answer/);
    const refused = await first.cli('reload', '--fleet');
    assert.notEqual(refused.code, 0);
    assert.match(refused.output, /Redis at redis:\/\/10\.77\.0\.1:6379 does not answer/);
  });
});
