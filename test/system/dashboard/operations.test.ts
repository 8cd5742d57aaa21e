import assert from 'node:assert/strict';
import { after, describe, type TestContext, test } from 'node:test';
import type { Operations } from '../../../src/admin/api.js';
import { axeFinds, closeBrowser, noBrowser, open, overflow, picture, says } from './browser.js';
import { jobRun, operations, stateOf, stats, worker } from './scenes.js';
import { StubAdmin } from './stub-admin.js';

// Jobs, deploys and hosts, in a real browser with a server that tells what the test wants.
const skip = noBrowser;
after(closeBrowser);

async function admin(t: TestContext, all: Operations = operations()): Promise<StubAdmin> {
  const stub = new StubAdmin(stateOf(stats([worker(1), worker(2)]), { operations: all }));
  await stub.start();
  t.after(() => stub.stop());
  return stub;
}

describe('the dashboard of jobs, deploys and hosts', { skip }, () => {
  test('hides what the configuration has none of', async (t) => {
    const stub = await admin(t, { jobs: [], deploys: null, fleet: null, lines: [] });
    const { page } = await open(t, stub.url);
    await says(page, '#link', /Live/);
    for (const id of ['jobs', 'deploys', 'hosts']) {
      assert.equal(await page.locator(`#${id}`).isVisible(), false, id);
      assert.equal(await page.locator(`nav a[href="#${id}"]`).isVisible(), false, id);
    }
    await stub.watched();
    stub.send('operations', operations());
    await says(page, '#job-list', /sync-stock/);
    assert.equal(await page.locator('nav a[href="#jobs"]').isVisible(), true);
  });

  for (const [what, options] of [
    ['light', { colorScheme: 'light' }],
    ['dark', { colorScheme: 'dark' }],
    ['on a phone', { viewport: { width: 360, height: 740 } }],
  ] as const) {
    test(`leaves axe nothing to find, ${what}, and nothing is wider than the window`, async (t) => {
      const stub = await admin(t);
      stub.gets.set('/api/jobs/report/log', { runs: [jobRun()], run: jobRun(), output: 'hello' });
      const { page, complaints } = await open(t, stub.url, options);
      await says(page, '#link', /Live/);
      await says(page, '#host-list', /web-3/);
      assert.deepEqual(await axeFinds(page), []);
      assert.equal(await overflow(page), 0);
      await page.getByRole('button', { name: 'History of report' }).click();
      await says(page, 'dialog pre', /hello/);
      assert.deepEqual(await axeFinds(page), []);
      assert.equal(await overflow(page), 0);
      assert.deepEqual(complaints, []);
    });
  }

  test('says of each job how it is, when it is due, and what it wrote; and runs one', async (t) => {
    const stub = await admin(t);
    const under = jobRun({ id: 'run-10', endedMs: null, verdict: null, by: 'dashboard' });
    stub.answers.set('/api/jobs/sync-stock/run', { accepted: true, run: under });
    stub.gets.set('/api/jobs/sync-stock/log', { runs: [under, jobRun()], run: under, output: 'half of it' });
    const { page } = await open(t, stub.url);
    await says(page, '#jobs-note', /^3 jobs, 1 running, the last run of 1 failed$/);
    await says(
      page,
      '#job-list > li:nth-child(1)',
      /running for 1\d s[\s\S]*next .* in 1 h 59 min[\s\S]*America\/Sao_Paulo/,
    );
    await says(page, '#job-list > li:nth-child(2)', /failed \(status 3\): the supplier answered 503/);
    await says(page, '#job-list > li:nth-child(3)', /has not run yet[\s\S]*switched off/);
    await page.getByRole('button', { name: 'Run now: sync-stock' }).click();
    await page.locator('dialog').getByRole('button', { name: 'Run now' }).click();
    await says(page, 'dialog pre', /half of it/);
    await says(page, 'dialog .runs', /running for/);
    assert.deepEqual(stub.posted, [{ path: '/api/jobs/sync-stock/run', body: {} }]);
    // It is looked at again until it is over.
    const over = jobRun({ id: 'run-10', by: 'dashboard' });
    stub.gets.set('/api/jobs/sync-stock/log', { runs: [over, jobRun()], run: over, output: 'all of it' });
    await says(page, 'dialog pre', /all of it/);
    await says(page, 'dialog .runs', /done in 4\.2 s/);
    await page.keyboard.press('Escape');
    assert.equal(await page.locator('dialog').count(), 0);
  });

  test('shows which release serves, rolls back to another, and follows a deploy step by step', async (t) => {
    const stub = await admin(t);
    const all = operations();
    const { page } = await open(t, stub.url);
    await says(page, '#deploys-note', /^20261127-090000 serves$/);
    await says(page, '#deploy-list', /20261127-113000: rolled back[\s\S]*the canary died/);
    const current = page.getByRole('button', { name: 'Roll back to 20261127-090000' });
    assert.equal(await current.getAttribute('title'), '20261127-090000 serves.');
    stub.answers.set('/api/rollback', { accepted: false, reason: 'a reload is under way' });
    await page.getByRole('button', { name: 'Roll back to 20261126-170000' }).click();
    await page.locator('dialog').getByRole('button', { name: 'Roll back' }).click();
    await says(page, '#toasts', /Not rolled back: a reload is under way/);
    assert.deepEqual(stub.posted, [{ path: '/api/rollback', body: { release: '20261126-170000' } }]);
    await page.getByRole('button', { name: 'Deploy', exact: true }).click();
    await page.locator('dialog').getByRole('button', { name: 'Deploy' }).click();
    await stub.watched();
    const id = '20261127-223000';
    const deploys = all.deploys;
    assert.ok(deploys);
    const underWay = { id, by: 'dashboard', origin: 'command', atMs: Date.now(), stage: 'step' } as const;
    stub.send('operations', { ...all, deploys: { ...deploys, underWay } });
    stub.send('deploy', { id, line: { type: 'answer', accepted: true, id, message: `deploy ${id}` } });
    stub.send('deploy', {
      id,
      line: { type: 'stage', atMs: 900, stage: 'step', name: 'install', detail: 'npm ci' },
    });
    stub.send('deploy', {
      id,
      line: { type: 'output', name: 'install', text: 'added 12 packages <in 3 s>' },
    });
    await says(page, '#deploys-note', /20261127-223000: runs its steps, begun by dashboard/);
    await says(page, '#deploy-steps', /step install: npm ci[\s\S]*install: added 12 packages <in 3 s>/);
    await page.evaluate("document.getElementById('deploys').scrollIntoView({ behavior: 'instant' })");
    await page.evaluate("document.getElementById('toasts').replaceChildren()");
    await picture(page, 'operations');
    const button = page.getByRole('button', { name: 'Deploy', exact: true });
    assert.equal(await button.getAttribute('title'), `A deploy is under way: ${id}.`);
  });

  test('says of each host of the fleet how it is, and that Redis is away', async (t) => {
    const stub = await admin(t);
    const { page } = await open(t, stub.url);
    await says(page, '#hosts-note', /^shop: 3 hosts, 1 away; web-2 reloads$/);
    await says(page, '#host-list > li:nth-child(1)', /web-1 \(this host\)[\s\S]*4 of 4 workers ready/);
    await says(page, '#host-list > li:nth-child(3)', /web-3[\s\S]*away: last heard 42 s ago/);
    await stub.watched();
    const all = operations();
    assert.ok(all.fleet);
    const redis = { ...all.fleet.redis, connected: false, lostForSeconds: 7 };
    stub.send('operations', { ...all, fleet: { ...all.fleet, redis, hosts: all.fleet.hosts.slice(0, 1) } });
    await says(page, '#hosts-note', /Redis at redis:\/\/10\.0\.0\.5:6379 has not answered for 7 s/);
  });
});
