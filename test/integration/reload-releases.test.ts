import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { connectControl } from '../../src/control/client.js';
import type { ReloadLine } from '../../src/protocol/control-api.js';
import { startLoad } from '../support/load.js';
import { waitFor } from '../support/wait.js';
import {
  answers,
  mixedClients,
  onlyWorkers,
  recordsOf,
  releasesServed,
  releaseTree,
  reload,
  serveReleases,
  serveReloading,
  switchTo,
} from './releases.js';
import { lostNothing, patience, readyPids, stopped, temporaryDirectory, untilStats } from './service.js';

describe('releases as directories behind a symbolic link', { timeout: 1_800_000 }, () => {
  it('are served as of the last reload, whatever the link says meanwhile', async (t) => {
    const service = await serveReleases(t);
    service.tree.publish('2', 'good.mjs');
    const [first] = await readyPids(service);
    assert.ok(first !== undefined);
    process.kill(first, 'SIGKILL');
    await untilStats(service, 'its replacement', ({ ready, restarts }) => ready === 2 && restarts === 1);
    assert.deepEqual(await releasesServed(service), ['1']);
    assert.equal((await reload(service)).verdict, 'done');
    await onlyWorkers(service);
    assert.deepEqual(await releasesServed(service), ['2']);
    await stopped(service);
  });

  it('go back to the old code, which a worker that crashes afterwards runs too', async (t) => {
    const service = await serveReleases(t);
    service.tree.publish('2', 'good.mjs');
    await reload(service);
    await onlyWorkers(service);
    service.tree.publish('3', 'throws.mjs');
    assert.equal((await reload(service)).verdict, 'rolled back');
    const [first] = await onlyWorkers(service);
    assert.ok(first !== undefined);
    process.kill(first, 'SIGKILL');
    await untilStats(service, 'its replacement', ({ ready, restarts }) => ready === 2 && restarts === 1);
    assert.deepEqual(await releasesServed(service), ['2']);
    const records = recordsOf(service);
    assert.deepEqual(
      records.map(({ generation, verdict }) => [generation, verdict]),
      [
        [3, 'rolled-back'],
        [2, 'done'],
      ],
    );
    // The next attempt has a number of its own.
    service.tree.publish('4', 'good.mjs');
    assert.deepEqual(await reload(service), { verdict: 'done', generation: 4, reason: '' });
    await stopped(service);
  });

  it('may point back, which is a reload as any other', async (t) => {
    const service = await serveReleases(t);
    service.tree.publish('2', 'good.mjs');
    await reload(service);
    switchTo(service.tree.root, '1');
    assert.equal((await reload(service)).verdict, 'done');
    await onlyWorkers(service);
    assert.deepEqual(await releasesServed(service), ['1']);
    await stopped(service);
  });
});

/** Without a soak the first two would start together. */
const oneAtATime = { ROM_AGENT_RELOAD_SOAK: '100ms' };

describe('a release whose second worker', { timeout: 1_800_000 }, () => {
  it('cannot start brings back what was replaced already', async (t) => {
    const service = await serveReleases(t, oneAtATime);
    const before = await readyPids(service);
    const load = startLoad({ t, port: service.port, clients: mixedClients });
    await load.reached(300);
    service.tree.publish('2', 'second-throws.mjs');
    const { verdict, reason } = await reload(service);
    assert.deepEqual(
      [verdict, reason],
      ['rolled back', 'worker 2 of generation 2 could not start: Error: the second cannot start'],
    );
    const [first, second] = await onlyWorkers(service);
    assert.notEqual(first, before[0], 'a new one of the old generation');
    assert.equal(second, before[1], 'it was not touched');
    await load.reached(300);
    assert.deepEqual(await releasesServed(service), ['1']);
    await lostNothing(load);
    await stopped(service);
  });

  it('ends while the third boots brings back what was replaced already', async (t) => {
    const service = await serveReleases(t, { ...oneAtATime, WORKERS: '3' });
    const before = await readyPids(service);
    service.tree.publish('2', 'second-crashes.mjs');
    const { verdict, reason } = await reload(service);
    assert.deepEqual(
      [verdict, reason],
      ['rolled back', 'worker 2 of generation 2 died: ended by itself with code 3'],
    );
    const after = await onlyWorkers(service, 3);
    assert.deepEqual(
      after.filter((pid) => before.includes(pid)),
      before.slice(2),
    );
    assert.deepEqual(await releasesServed(service), ['1']);
    await stopped(service);
  });
});

describe('the configuration', { timeout: 1_800_000 }, () => {
  const toml = (values: { port: number; env: string; linger: string }) =>
    `port = ${values.port}\nnode_env = "${values.env}"\nlinger = "${values.linger}"\n`;

  it('of workers is read anew, and what needs a restart is named', async (t) => {
    const tree = releaseTree(t);
    tree.publish('1', 'good.mjs');
    const cwd = temporaryDirectory(t);
    const file = join(cwd, 'rom-agent.toml');
    writeFileSync(file, toml({ port: 3000, env: 'production', linger: '500ms' }));
    writeFileSync(join(cwd, '.env'), 'COLOUR=red\n');
    const service = await serveReloading(t, { app: tree.app, flags: ['--config', file], cwd });
    const told = async () => (await answers(service)).map(({ NODE_ENV, COLOUR }) => `${NODE_ENV} ${COLOUR}`);
    assert.deepEqual(new Set(await told()), new Set(['production red']));

    writeFileSync(file, `dispatch = "round-robin"\n${toml({ port: 3001, env: 'staging', linger: '50ms' })}`);
    writeFileSync(join(cwd, '.env'), 'COLOUR=blue\n');
    const client = connectControl({ path: join(service.stateDir, 'control.sock') });
    const lines: ReloadLine[] = [];
    const record = await client.reload({ by: 'test', soak: false, rollback: true }, (line) =>
      lines.push(line),
    );
    assert.equal(record.verdict, 'done');
    const [answer] = lines;
    assert.ok(answer?.type === 'answer');
    // The port comes from the environment, where nothing has changed.
    assert.deepEqual(answer.needRestart, ['dispatch']);
    await onlyWorkers(service);
    assert.deepEqual(new Set(await told()), new Set(['staging blue']));
    const { linger, node_env: nodeEnv } = await client.config();
    assert.deepEqual([linger?.value, nodeEnv?.value], [50, 'staging']);
    await stopped(service);
  });

  it('of a release that is rolled back goes back with it', async (t) => {
    const tree = releaseTree(t);
    tree.publish('1', 'good.mjs');
    const cwd = temporaryDirectory(t);
    writeFileSync(join(cwd, '.env'), 'COLOUR=red\n');
    const service = await serveReloading(t, { app: tree.app, cwd });
    writeFileSync(join(cwd, '.env'), 'COLOUR=blue\n');
    tree.publish('2', 'throws.mjs');
    assert.equal((await reload(service)).verdict, 'rolled back');
    const [first] = await onlyWorkers(service);
    assert.ok(first !== undefined);
    process.kill(first, 'SIGKILL');
    const replaced = async () => !(await readyPids(service)).includes(first);
    await waitFor('its replacement', replaced, { timeout: patience });
    await onlyWorkers(service);
    assert.deepEqual(new Set((await answers(service)).map(({ COLOUR }) => COLOUR)), new Set(['red']));
    await stopped(service);
  });
});
