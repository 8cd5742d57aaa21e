import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { describe, it, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { startLoad } from '../support/load.js';
import { freePort } from '../support/net.js';
import { startUnder } from './run.js';
import { entries, lostNothing, patient, readyPids, type Service, serving, stopped } from './service.js';

const crowd = fileURLToPath(new URL('silent-clients.js', import.meta.url));
const limit = 256;

/** Two workers that may have so many descriptors each. */
async function limited(t: TestContext): Promise<Service> {
  const port = await freePort('127.0.0.1');
  const daemon = startUnder(t, {
    args: ['serve'],
    env: { ...patient, HOST: '127.0.0.1', WORKERS: '2', PORT: String(port) },
    under: ['prlimit', `--nofile=${limit}`],
  });
  await serving(daemon);
  const service = { daemon, port, routes: '' };
  for (const pid of await readyPids(service)) {
    assert.match(readFileSync(`/proc/${pid}/limits`, 'utf8'), /^Max open files +256 +256 /m);
  }
  return service;
}

const skip = process.platform === 'linux' ? false : 'limits are read from /proc';

describe('file descriptors that run short', { timeout: 1_800_000, skip }, () => {
  it('cost no request: the crowd that says nothing makes room', async (t) => {
    const service = await limited(t);
    const pids = await readyPids(service);
    const load = startLoad({
      t,
      port: service.port,
      path: '/api/info',
      clients: [
        { kind: 'keep-alive', count: 6, pauseMs: 5 },
        { kind: 'per-connection', count: 6, pauseMs: 5 },
      ],
    });
    await load.reached(200);
    const silent = spawn(process.execPath, [crowd, String(service.port), String(4 * limit)], {
      stdio: ['ignore', 'inherit', 'inherit'],
    });
    t.after(() => silent.kill('SIGKILL'));
    // Whether the worker first closes the oldest or stops accepting depends on how fast the crowd comes.
    assert.match(await service.daemon.waitForLine(/low on file descriptors/), /"limit":256/);
    await load.reached(1_000);
    await lostNothing(load);
    assert.deepEqual(await readyPids(service), pids, 'nobody was replaced');
    const failed = entries(service.daemon).filter(({ level }) => level === 'error');
    assert.deepEqual(failed, []);
    await stopped(service);
  });
});
