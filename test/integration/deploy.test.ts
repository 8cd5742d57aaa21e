import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { startLoad } from '../support/load.js';
import { configure, currentOf, deploy, fill, processAt, serveDeploying } from './deploying.js';
import { mixedClients, releasesServed } from './releases.js';
import { lostNothing, stopped } from './service.js';

describe('a deploy', { timeout: 1_800_000 }, () => {
  it('under load loses no request, whether it serves, its test fails or its canary crashes', async (t) => {
    const service = await serveDeploying(t);
    const load = startLoad({
      t,
      port: service.port,
      path: '/',
      clients: mixedClients,
      requestTimeout: 120_000,
    });
    const good = await deploy(service);
    assert.equal(good.record.verdict, 'done', JSON.stringify(good.record));
    assert.deepEqual([currentOf(service), await releasesServed(service)], [good.record.id, [good.record.id]]);

    configure(service, { deploy: 'test = ["node", "-e", "process.exit(3)"]' });
    const untested = await deploy(service);
    assert.equal(untested.record.reason, 'test failed: exit status 3');

    configure(service);
    fill(service.source, 'throws.mjs');
    const crashing = await deploy(service);
    assert.equal(crashing.record.verdict, 'rolled-back', JSON.stringify(crashing.record));
    assert.deepEqual([currentOf(service), await releasesServed(service)], [good.record.id, [good.record.id]]);
    await lostNothing(load);
    await stopped(service);
  });

  it('whose process is killed during the reload is gone on with, and who waits hears of it', async (t) => {
    const service = await serveDeploying(t, { soak: '1s' });
    const asked = deploy(service);
    process.kill(await processAt(service, 'reload'), 'SIGKILL');
    const { record } = await asked;
    assert.equal(record.verdict, 'done', JSON.stringify(record));
    assert.equal(currentOf(service), record.id);
    assert.deepEqual(readdirSync(join(service.directory, 'releases')).sort(), [record.id, 'first'].sort());
    await stopped(service);
  });
});
