import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { startRedis } from '../../support/redis.js';
import { waitFor } from '../../support/wait.js';
import { createNetwork, type Host, middle, noHosts } from './hosts.js';

describe('a job with overlap = "replace" that never ends by itself, on two hosts', { skip: noHosts }, () => {
  test('is ended by the next due time, on whichever host it runs', { timeout: 900_000 }, async (t) => {
    const notes = mkdtempSync(join(tmpdir(), 'rom-agent-replace-'));
    const file = join(notes, 'ran');
    const network = createNetwork(t);
    await startRedis({ t, conf: [`bind ${middle}`, 'port 6379', 'protected-mode no'] });
    // After the hosts that write to it. A run that its killed host has left ends with the file.
    t.after(() => rmSync(notes, { recursive: true, force: true, maxRetries: 20 }));
    const toml = `workers = 1
[fleet]
redis_url = "redis://${middle}:6379"
[jobs.slow]
schedule = "*/3 * * * * *"
overlap = "replace"
command = "echo begins $NAME >> ${file}; trap 'echo ends $NAME >> ${file}; exit 0' TERM; while [ -e ${file} ]; do sleep 0.1; done"
`;
    const hosts = ['a', 'b'].map((name) => network.host(name, { toml, env: { NAME: name } }));
    await Promise.all(hosts.map((host) => host.start()));
    const ran = (): readonly string[] =>
      existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n') : [];
    const begun = (name: string): number => ran().filter((line) => line === `begins ${name}`).length;

    await waitFor('three runs', ran, { until: (lines) => lines.length >= 5 });
    assert.ok(
      ran().every((line, index) => line.startsWith(index % 2 === 0 ? 'begins' : 'ends')),
      `two runs at once: ${ran().join()}`,
    );
    const first = hosts.find(({ name }) => begun(name) > 1) as Host;
    const other = hosts.find((host) => host !== first) as Host;
    assert.match((await first.cli('jobs', 'log', 'slow')).output, /replaced .* a run was due at \d{4}-/);

    const before = begun(other.name);
    await first.crash();
    await waitFor('two runs on the other host', () => begun(other.name) >= before + 2);
    assert.match((await other.cli('jobs', 'log', 'slow')).output, /replaced .* a run was due at/);
  });
});
