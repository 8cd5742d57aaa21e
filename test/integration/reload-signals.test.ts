import assert from 'node:assert/strict';
import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { startLoad } from '../support/load.js';
import { waitFor } from '../support/wait.js';
import {
  mixedClients,
  onlyWorkers,
  recordsOf,
  releasesServed,
  reload,
  serveReleases,
  verdict,
} from './releases.js';
import {
  type Entry,
  ended,
  entriesOf,
  fixture,
  lostNothing,
  patience,
  patientLinger,
  problems,
  readyPids,
  type Service,
  stats,
  stopped,
  untilStats,
} from './service.js';

describe('while a reload is under way', { timeout: 1_800_000 }, () => {
  it('another one is refused plainly, and the first goes on', async (t) => {
    const service = await serveReleases(t);
    service.tree.publish('2', 'boots-slowly.mjs');
    const over = verdict(service);
    await begunReload(service);
    service.daemon.kill('SIGHUP');
    const [entry] = await entriesOf(service.daemon, /^refused: /, 1);
    assert.deepEqual(
      [entry?.level, entry?.msg, entry?.by],
      ['warn', 'refused: reload: a reload to generation 2 is under way (canary)', 'SIGHUP'],
    );
    service.tree.letGo();
    assert.deepEqual(await over, { verdict: 'done', generation: 2, reason: '' });
    assert.deepEqual(await releasesServed(service), ['2']);
    await stopped(service);
  });

  it('SIGTERM ends the service with 0, and no request is lost', async (t) => {
    const service = await serveReleases(t, patientLinger);
    const load = startLoad({ t, port: service.port, clients: mixedClients });
    await load.reached(300);
    service.tree.publish('2', 'boots-slowly.mjs');
    await begunReload(service);
    service.daemon.kill('SIGTERM');
    await ended(service.daemon, 0);
    await load.until(({ refused }) => refused > 0);
    await lostNothing(load);
    const [record] = recordsOf(service);
    assert.deepEqual([record?.verdict, record?.reason], ['stopped', 'SIGTERM']);
  });

  it('SIGTERM in the middle of the soak loses no request either', async (t) => {
    const service = await serveReleases(t, { ...patientLinger, ROM_AGENT_RELOAD_SOAK: '30s' });
    const load = startLoad({ t, port: service.port, clients: mixedClients });
    await load.reached(300);
    service.tree.publish('2', 'good.mjs');
    service.daemon.kill('SIGHUP');
    await entriesOf(service.daemon, /^worker 1 is ready$/, 1);
    await load.reached(300);
    service.daemon.kill('SIGTERM');
    await ended(service.daemon, 0);
    await load.until(({ refused }) => refused > 0);
    await lostNothing(load);
  });

  it('a worker of the old generation that is killed is replaced, and the reload goes on', async (t) => {
    const service = await serveReleases(t);
    const [, second] = await readyPids(service);
    assert.ok(second !== undefined);
    service.tree.publish('2', 'boots-slowly.mjs');
    const over = verdict(service);
    await begunReload(service);
    process.kill(second, 'SIGKILL');
    await entriesOf(service.daemon, /^worker 2 crashed/, 1);
    service.tree.letGo();
    assert.equal((await over).verdict, 'done');
    await onlyWorkers(service);
    assert.deepEqual(await releasesServed(service), ['2']);
    await stopped(service);
  });

  it('a first worker of the new one that is killed ends it, and nobody else is touched', async (t) => {
    const service = await serveReleases(t);
    const before = await readyPids(service);
    service.tree.publish('2', 'boots-slowly.mjs');
    const over = verdict(service);
    await begunReload(service);
    const { workers } = await stats(service);
    const canary = workers.find(({ generation }) => generation === 2)?.pid;
    assert.ok(typeof canary === 'number');
    process.kill(canary, 'SIGKILL');
    const { verdict: outcome, reason } = await over;
    assert.equal(outcome, 'rolled back');
    assert.match(reason, /^worker 1 of generation 2 could not start: ended by SIGKILL$/);
    assert.deepEqual(await onlyWorkers(service), before);
    await stopped(service);
  });

  it('a change of the number of workers waits for its end', async (t) => {
    const service = await serveReleases(t);
    service.tree.publish('2', 'boots-slowly.mjs');
    const over = verdict(service);
    await begunReload(service);
    service.daemon.kill('SIGTTIN');
    // By then it has heard the signal.
    assert.equal((await stats(service)).wanted, 2);
    service.tree.letGo();
    assert.equal((await over).verdict, 'done');
    await entriesOf(service.daemon, /^scaled from 2 to 3 workers$/, 1);
    await onlyWorkers(service, 3);
    assert.deepEqual(await releasesServed(service), ['2']);
    await stopped(service);
  });
});

describe('SIGUSR2', { timeout: 1_800_000 }, () => {
  it('replaces all workers under load and loses nothing', async (t) => {
    const service = await serveReleases(t, { ROM_AGENT_RELOAD_SOAK: '30s' });
    const before = await readyPids(service);
    const load = startLoad({ t, port: service.port, clients: mixedClients });
    await load.reached(300);
    service.tree.publish('2', 'good.mjs');
    assert.equal((await reload(service, 'SIGUSR2')).verdict, 'done');
    const after = await onlyWorkers(service);
    assert.deepEqual(
      after.filter((pid) => before.includes(pid)),
      [],
    );
    await load.reached(300);
    await lostNothing(load);
    assert.deepEqual(problems(service.daemon), []);
    await stopped(service);
  });

  it('does not go back from a release that cannot start: it is tried again, beside the old one', async (t) => {
    const service = await serveReleases(t, { ROM_AGENT_RESTART_BOOT_DELAY: '200ms' });
    service.tree.publish('2', 'throws.mjs');
    const over = verdict(service);
    service.daemon.kill('SIGUSR2');
    await entriesOf(service.daemon, /^worker 1 died before it listened: Error: no database configured$/, 2);
    assert.deepEqual(await releasesServed(service), ['1']);
    // Mended in its place.
    copyFileSync(fixture('releases/good.mjs'), join(service.tree.root, 'releases', '2', 'app.mjs'));
    assert.equal((await over).verdict, 'done');
    await onlyWorkers(service);
    assert.deepEqual(await releasesServed(service), ['2']);
    await stopped(service);
  });
});

describe('SIGTTIN and SIGTTOU', { timeout: 1_800_000 }, () => {
  it('add and take away workers under load, and lose nothing', async (t) => {
    const service = await serveReleases(t);
    const before = await readyPids(service);
    const load = startLoad({ t, port: service.port, clients: mixedClients });
    await load.reached(300);
    service.daemon.kill('SIGTTIN');
    await untilStats(service, 'three workers', ({ ready, wanted }) => ready === 3 && wanted === 3);
    service.daemon.kill('SIGTTIN');
    await untilStats(service, 'four workers', ({ ready, wanted }) => ready === 4 && wanted === 4);
    await load.reached(300);
    for (const wanted of [3, 2, 1]) {
      service.daemon.kill('SIGTTOU');
      await untilStats(service, `${wanted} workers`, (told) => told.wanted === wanted);
    }
    assert.deepEqual(await onlyWorkers(service, 1), before.slice(0, 1));
    await load.reached(300);
    service.daemon.kill('SIGTTOU');
    const [entry] = await entriesOf(service.daemon, /^refused: scale/, 1);
    assert.equal(entry?.msg, 'refused: scale: 0 workers; expected 1 to 1024');
    await lostNothing(load);
    await stopped(service);
  });
});

/** Asks for a reload, and waits until its first worker is being started. */
async function begunReload(service: Service): Promise<Entry | undefined> {
  service.daemon.kill('SIGHUP');
  const [entry] = await entriesOf(service.daemon, /^reload to generation \d+$/, 1);
  const pids = async () =>
    (await stats(service)).workers.some(({ generation, pid }) => generation === 2 && pid !== null);
  await waitFor('its first worker', pids, { timeout: patience });
  return entry;
}
