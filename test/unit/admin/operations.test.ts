import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createOperations } from '../../../src/admin/operations.js';
import { RefusedByDaemon } from '../../../src/control/client-errors.js';
import type { DeployLine } from '../../../src/protocol/deploy.js';
import { deploy, job, operations } from '../../system/dashboard/scenes.js';

function watch() {
  const asked: string[] = [];
  const changes: unknown[] = [];
  const told: unknown[] = [];
  const { deploys, fleet } = operations();
  const has = { jobs: [job()], deploys, fleet, refuses: new Set(['fleet']), dead: false };
  const answer = <T>(what: 'jobs' | 'deploys' | 'fleet', value: T) => {
    asked.push(what);
    if (has.dead) return Promise.reject(new Error('connect ENOENT'));
    if (has.refuses.has(what)) return Promise.reject(new RefusedByDaemon(409, 'not configured'));
    return Promise.resolve(value);
  };
  const watched = createOperations({
    client: {
      jobs: () => answer('jobs', has.jobs),
      releases: () => answer('deploys', has.deploys ?? assert.fail()),
      fleet: () => answer('fleet', has.fleet ?? assert.fail()),
    },
    onChange: (all) => changes.push(all),
    onDeploy: (line) => told.push(line),
  });
  return { asked, changes, told, has, watched };
}

describe('jobs, deploys and hosts in the admin server', () => {
  test('are told where they change, and not asked for again where the configuration has none', async () => {
    const { asked, changes, has, watched } = watch();
    await watched.ask();
    await watched.ask();
    assert.equal(changes.length, 1);
    assert.deepEqual([watched.list().fleet, watched.list().jobs.length], [null, 1]);
    assert.equal(asked.filter((what) => what === 'fleet').length, 1);
    assert.equal(asked.filter((what) => what === 'jobs').length, 2);
    has.refuses.clear();
    watched.renew();
    await watched.ask();
    assert.equal(watched.list().fleet?.name, 'shop');
    assert.equal(changes.length, 2);
  });

  test('stay what they were while the backplane does not run, and are asked for again where it was not there yet', async () => {
    const { has, watched } = watch();
    for (let look = 0; look < 20; look++) await watched.ask();
    has.refuses.clear();
    for (let look = 0; look < 20; look++) await watched.ask();
    assert.equal(watched.list().fleet?.name, 'shop');
    has.refuses.add('fleet');
    await watched.ask();
    assert.equal(watched.list().fleet?.name, 'shop');
    watched.renew();
    await watched.ask();
    assert.equal(watched.list().fleet, null, 'another daemon, or configuration, has none');
  });

  test('stay what they were while the daemon does not answer', async () => {
    const { has, changes, watched } = watch();
    await watched.ask();
    has.dead = true;
    await watched.ask();
    assert.equal(watched.list().jobs.length, 1);
    assert.equal(changes.length, 1);
  });

  test('pass on what a deploy tells, and keep the last lines of the last one', async () => {
    const { told, watched } = watch();
    const say: ((line: DeployLine) => void)[] = [];
    const begun = watched.begin((onLine) => {
      say.push(onLine);
      return new Promise(() => {});
    });
    say[0]?.({ type: 'answer', accepted: true, id: 'r1', message: 'deploy r1' });
    assert.deepEqual(await begun, { id: 'r1', message: 'deploy r1' });
    for (let nth = 0; nth < 300; nth++) say[0]?.({ type: 'output', name: 'build', text: `line ${nth}` });
    say[0]?.({ type: 'record', record: deploy('r1') });
    assert.equal(told.length, 302);
    assert.equal(watched.list().lines.length, 200);
    assert.equal(watched.list().lines.at(-1)?.line.type, 'record');
    const second = watched.begin(async (onLine) => {
      onLine({ type: 'answer', accepted: true, id: 'r2', message: 'deploy r2' });
    });
    await second;
    assert.deepEqual(
      watched.list().lines.map(({ id }) => id),
      ['r2'],
    );
  });

  test('say why a deploy was refused', async () => {
    const refusal = new RefusedByDaemon(409, 'a deploy is under way');
    await assert.rejects(
      watch().watched.begin(() => Promise.reject(refusal)),
      refusal,
    );
  });
});
