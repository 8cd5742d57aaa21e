import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { startRedis } from '../../support/redis.js';
import { waitFor } from '../../support/wait.js';
import { createNetwork, middle, noHosts } from './hosts.js';

const seconds = Number(process.env.FLEET_SECONDS ?? 60);

describe('a job that is due every second, on three hosts', { skip: noHosts }, () => {
  test('runs once for each due time while hosts and Redis are killed, paused and cut off', async (t) => {
    const directory = mkdtempSync(join(tmpdir(), 'rom-agent-due-'));
    const file = join(directory, 'ran');
    const network = createNetwork(t);
    const redis = await startRedis({ t, conf: [`bind ${middle}`, 'port 6379', 'protected-mode no'] });
    // After the hosts that write to it.
    t.after(() => rmSync(directory, { recursive: true, force: true }));
    const toml = `workers = 1
[fleet]
redis_url = "redis://${middle}:6379"
[jobs.tick]
schedule = "* * * * * *"
command = "echo $ROM_JOB_DUE >> ${file}"
overlap = "queue"
on_lost = "rerun"
`;
    const [a, b, c] = [
      network.host('a', { toml }),
      network.host('b', { toml }),
      network.host('c', { toml }),
    ] as const;
    await Promise.all([a.start(), b.start(), c.start()]);
    const ran = (): readonly string[] =>
      existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n') : [];
    await waitFor('the first run', () => ran().length > 1);

    const from = Math.ceil(Date.now() / 1_000) * 1_000 + 1_000;
    const at = (share: number): Promise<void> =>
      sleep(Math.max(from + share * seconds * 1_000 - Date.now(), 0));
    await at(0.1);
    await b.crash();
    await at(0.25);
    await redis.kill();
    await at(0.35);
    await redis.start();
    await at(0.45);
    c.link('down');
    await at(0.6);
    await b.start();
    await at(0.7);
    c.link('up');
    await at(0.75);
    a.signal('SIGSTOP');
    await at(0.95);
    a.signal('SIGCONT');
    await at(1);

    const due = Array.from({ length: seconds }, (_, index) => new Date(from + index * 1_000).toISOString());
    await waitFor('every due time', () => {
      const seen = new Set(ran());
      return due.filter((each) => !seen.has(each)).length === 0;
    }).catch((error: Error) => {
      const seen = new Set(ran());
      const missing = due.filter((each) => !seen.has(each));
      throw new Error(`${error.message}; missing ${missing}\n${a.log()}\n${b.log()}\n${c.log()}`);
    });
    const lost = [a, b, c].flatMap((host) =>
      [...host.log().matchAll(/its run due at (\S+) was lost with host/g)].map(([, each]) => each),
    );
    const lines = ran();
    const twice = due.filter((each) => lines.filter((line) => line === each).length > 1);
    const unexplained = twice.filter((each) => !lost.includes(each));
    const logs = [a, b, c].map((host) => `--- ${host.name}\n${host.log()}`).join('');
    assert.deepEqual(
      unexplained,
      [],
      `a run that was not reported as lost ran again\n${lines.join('\n')}\n${logs}`,
    );
    t.diagnostic(`${due.length} due times, ${lost.length} runs reported as lost, ${twice.length} ran again`);
  });
});
