import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { waitFor } from '../support/wait.js';
import {
  begin,
  begun,
  connectToEach,
  fixture,
  nothingLeft,
  patience,
  readyPids,
  serve,
  workbench,
} from './service.js';

/** Long enough for the requests of the tests, ms. */
const limit = 2_000;
const env = { ROM_AGENT_ORPHAN_TIMEOUT: `${limit}ms` };

describe('when the master is killed', { timeout: 1_800_000 }, () => {
  it('the workers finish what is under way, and then go, also where the app has cleared all listeners away', async (t) => {
    const service = await serve(t, { app: workbench, env: { ...env, REMOVES_LISTENERS: '1' } });
    const workers = await connectToEach(t, service);
    const answers = await Promise.all(Array.from({ length: 8 }, () => begun(service, '/slow?ms=1200')));
    service.daemon.kill('SIGKILL');
    for (const { pid, whole } of answers) {
      assert.ok(workers.has(pid));
      assert.equal(await whole, `${pid}\ndone\n`);
    }
    await nothingLeft(service.daemon);
    // Without a shell's help: they are told by the loss of the master.
    assert.match(service.daemon.output(), /the master is gone: finishing what is under way/);
  });

  it('the workers cut at the limit what does not end', async (t) => {
    const service = await serve(t, { app: workbench, env });
    const { whole } = await begun(service, '/hang');
    const before = performance.now();
    service.daemon.kill('SIGKILL');
    await assert.rejects(whole, /aborted/);
    assert.ok(performance.now() - before >= limit - 100, 'not before the limit');
    await nothingLeft(service.daemon);
  });

  it('a stopped worker is reaped', async (t) => {
    const service = await serve(t, { app: workbench, env });
    const [first] = await readyPids(service);
    assert.ok(first !== undefined);
    process.kill(first, 'SIGSTOP');
    service.daemon.kill('SIGKILL');
    await nothingLeft(service.daemon);
  });

  it('a worker that spins is reaped', async (t) => {
    const service = await serve(t, { app: workbench, env });
    const { whole } = await begun(service, '/spin');
    service.daemon.kill('SIGKILL');
    await assert.rejects(whole, /aborted/);
    await nothingLeft(service.daemon);
  });

  it('workers that boot are reaped', async (t) => {
    const { daemon } = await begin(t, { app: fixture('apps/never-listens.mjs'), env });
    // Two workers and the reaper.
    await waitFor('the workers', () => daemon.descendants(), {
      timeout: patience,
      until: (pids) => pids.length >= 3,
    });
    daemon.kill('SIGKILL');
    await nothingLeft(daemon);
  });

  it('the port is free again for the next master', async (t) => {
    const service = await serve(t, { app: workbench, env });
    service.daemon.kill('SIGKILL');
    await nothingLeft(service.daemon);
    await serve(t, { app: workbench, env: { PORT: String(service.port) } });
  });
});
