import assert from 'node:assert/strict';
import { text } from 'node:stream/consumers';
import { after, describe, type TestContext, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import type { AdminState } from '../../../src/admin/api.js';
import type { ReloadRecord } from '../../../src/protocol/reload-record.js';
import type { ClusterStats } from '../../../src/protocol/stats.js';
import { anyCost } from '../../support/route-cost.js';
import { waitFor } from '../../support/wait.js';
import { axeFinds, closeBrowser, noBrowser, open, overflow, patience, says } from './browser.js';
import { death, lane, logLine, quietSamples, sampleOf, stateOf, stats, worker } from './scenes.js';
import { StubAdmin } from './stub-admin.js';

// The page in a real browser, with a server that tells what the test wants.
const skip = noBrowser;
after(closeBrowser);

async function admin(t: TestContext, state: AdminState): Promise<StubAdmin> {
  const stub = new StubAdmin(state);
  await stub.start();
  t.after(() => stub.stop());
  return stub;
}

const rolledBack: ReloadRecord = {
  serial: 7,
  generation: 4,
  from: 3,
  release: '/srv/shop/releases/42',
  by: 'root',
  atMs: Date.now() - 120_000,
  tookMs: 8_300,
  steps: [
    { atMs: 0, step: 'begun', worker: null, generation: 4, detail: '/srv/shop/releases/42' },
    { atMs: 4_100, step: 'died', worker: 1, generation: 4, detail: 'TypeError: render is not a function' },
    { atMs: 8_300, step: 'verdict', worker: null, generation: 3, detail: 'rolled back' },
  ],
  accepted: 1_200,
  moved: 4,
  lost: 1,
  verdict: 'rolled-back',
  reason: 'the canary died: TypeError: render is not a function',
};

/** All kinds of trouble at once. */
function trouble(): AdminState {
  const now = Date.now();
  const { steps: _, ...summary } = rolledBack;
  const of = stats(
    [
      worker(1),
      worker(2, { health: 'degraded', heartbeatAgeMs: 4_200, eventLoopUtilization: 1 }),
      worker(3),
      worker(4, { phase: 'starting', heartbeatAgeMs: null, uptimeSeconds: 1, heapUsedBytes: 0, rssBytes: 0 }),
    ],
    {
      deaths: [death(), death({ pid: 4_600, agoSeconds: 300 })],
      ...{ lastReload: rolledBack, reloads: [summary] },
      costs: {
        overSeconds: 2_400,
        restShare: 0.08,
        routes: [{ ...anyCost, where: 'render (/srv/shop/report.js:9:3)' }],
      },
    },
  );
  return stateOf(of, {
    lanes: [
      lane(1, 4_701, now - 3_912_000),
      lane(2, 4_655, now - 900_000, {
        endMs: now - 42_000,
        ending: { kind: 'crash', cause: 'TypeError', code: 1, signal: null, lost: 2 },
      }),
      lane(2, 4_702, now - 41_000),
      lane(4, 4_704, now - 1_000, { phases: [{ phase: 'starting', fromMs: now - 1_000, reason: null }] }),
    ],
    logs: Array.from({ length: 40 }, (_, index) =>
      logLine(now - 40_000 + index * 1_000, index % 5 === 0 ? 'worker is ready' : 'request', {
        worker: (index % 4) + 1,
        level: index % 7 === 0 ? 'warn' : 'info',
        fields: { path: '/orders/:id', tookMs: index },
      }),
    ),
    evidence: [
      {
        name: '2026-11-24T09-14-02.871Z-worker-1-pid-4701.cpuprofile',
        kind: 'profile',
        worker: 1,
        bytes: 480_000,
        atMs: now,
      },
    ],
  });
}

function calm(): AdminState {
  return stateOf(stats([worker(1), worker(2)]));
}

const stack = {
  accepted: true,
  worker: 2,
  pid: 4_702,
  state: 'running',
  stack: '    at spin (/srv/shop/server.js:12:5)\n    at handle (/srv/shop/server.js:30:9)',
  at: 'spin (/srv/shop/server.js:12:5)',
  requests: [{ method: 'GET', path: '/report', ageMs: 4_100 }],
  detail: null,
};

describe('the dashboard', { skip }, () => {
  test('says in its first sentence what is wrong, asks a hung worker for its stack, and shows that', async (t) => {
    const stub = await admin(t, trouble());
    stub.answers.set('/api/workers/2/stack', stack);
    const { page, complaints } = await open(t, stub.url);
    await stub.watched();
    stub.send('stats', stub.state.stats as ClusterStats);
    await says(
      page,
      'h1',
      /^Worker 2 has been hung for \d+ s in spin at server\.js:12; it will be killed in \d s\.$/,
    );
    await says(page, '#problems', /Worker 2 crashed .* in checkout at server\.js:40/);
    await says(page, '#problems', /GET \/report takes 180 ms of CPU per request .* blocks the event loop/);
    await says(page, '#routes', /GET \/report\s+312\s+180 ms \(170 to 190\)\s+61 %[\s\S]*in render/);
    await page.getByRole('button', { name: 'Show the stack of worker 2' }).click();
    await says(
      page,
      'dialog',
      /runs JavaScript in spin \(\/srv\/shop\/server\.js:12:5\)[\s\S]*GET \/report\s+4\.1 s/,
    );
    await page.keyboard.press('Escape');
    assert.equal(await page.locator('dialog').count(), 0);
    assert.deepEqual(complaints, []);
  });

  for (const colorScheme of ['light', 'dark'] as const) {
    test(`leaves axe nothing to find, ${colorScheme}`, async (t) => {
      const stub = await admin(t, trouble());
      stub.answers.set('/api/workers/2/stack', stack);
      const { page } = await open(t, stub.url, { colorScheme });
      await says(page, '#link', /Live/);
      for (const id of ['moments-box', 'numbers-box']) await page.locator(`#${id} summary`).click();
      await page.locator('#death-list summary').first().click();
      assert.deepEqual(await axeFinds(page), []);
      await page.getByRole('button', { name: 'Stack of worker 2', exact: true }).click();
      await says(page, 'dialog', /runs JavaScript/);
      assert.deepEqual(await axeFinds(page), []);
      await page.keyboard.press('Escape');
      await page.getByRole('button', { name: 'Reload', exact: true }).click();
      assert.deepEqual(await axeFinds(page), []);
    });
  }

  test('leaves axe nothing to find where nothing is known, and on a phone', async (t) => {
    const stub = await admin(t, stateOf(null));
    const { page } = await open(t, stub.url, { viewport: { width: 360, height: 740 } });
    await says(page, '#link', /Live/);
    assert.deepEqual(await axeFinds(page), []);
  });

  test('fits on a phone: nothing is wider than 360 px', async (t) => {
    const stub = await admin(t, trouble());
    stub.answers.set('/api/workers/2/stack', stack);
    const { page } = await open(t, stub.url, { viewport: { width: 360, height: 740 }, hasTouch: true });
    await says(page, '#link', /Live/);
    assert.equal(await overflow(page), 0);
    await page.getByRole('button', { name: 'Stack of worker 2', exact: true }).click();
    await says(page, 'dialog', /runs JavaScript/);
    assert.equal(await overflow(page), 0);
    assert.ok(((await page.locator('dialog').boundingBox())?.width ?? 999) <= 360);
  });

  test('is used by keyboard, and the focus comes back from a dialog', async (t) => {
    const stub = await admin(t, calm());
    const { page } = await open(t, stub.url);
    await says(page, '#link', /Live/);
    const focused = () => page.evaluate<string>('document.activeElement.textContent');
    await page.keyboard.press('Tab');
    assert.equal(await focused(), 'Skip to the content');
    for (let tabs = 0; (await focused()) !== 'Reload'; tabs++) {
      assert.ok(tabs < 20, 'the Reload button is not among the first that Tab reaches');
      await page.keyboard.press('Tab');
    }
    await page.keyboard.press('Enter');
    await says(page, 'dialog h2', /Reload the service\?/);
    await page.keyboard.press('Escape');
    await waitFor('the focus', focused, { timeout: patience, until: (name) => name === 'Reload' });
    assert.deepEqual(stub.posted, []);
  });

  test('shows the steps of a reload as they come', async (t) => {
    const stub = await admin(t, calm());
    stub.answers.set('/api/reload', {
      accepted: true,
      message: 'reloading',
      serial: 8,
      generation: 4,
      needRestart: ['mode'],
    });
    const { page } = await open(t, stub.url);
    await says(page, '#link', /Live/);
    await page.getByRole('button', { name: 'Reload', exact: true }).click();
    await page.getByLabel('Watch the first new worker').uncheck();
    await page.locator('dialog').getByRole('button', { name: 'Reload' }).click();
    await says(page, '#toasts', /Only a restart of the service changes: mode/);
    assert.deepEqual(stub.posted, [{ path: '/api/reload', body: { soak: false, rollback: true } }]);
    const now = Date.now();
    const under: ReloadRecord = {
      ...rolledBack,
      serial: 8,
      atMs: now,
      verdict: null,
      tookMs: null,
      reason: null,
      steps: [],
    };
    stub.send('stats', { ...(stub.state.stats as ClusterStats), lastReload: under });
    for (const [index, step] of (['begun', 'forked', 'ready'] as const).entries()) {
      stub.send('event', {
        atMs: now + index,
        event: {
          type: 'step',
          generation: 4,
          step: { atMs: index, step, worker: 1, generation: 4, detail: '' },
        },
      });
    }
    await says(page, '#steps', /worker 1 of generation 4 ready/);
    await says(page, '#problems', /A reload to generation 4 has been under way/);
    await page.getByRole('button', { name: 'Abort', exact: true }).click();
    await page.getByRole('button', { name: 'Abort the reload' }).click();
    await waitFor('the command', () => stub.posted.find(({ path }) => path === '/api/abort'), {
      timeout: patience,
    });
    stub.send('event', {
      atMs: now + 9,
      event: { type: 'record', record: { ...under, verdict: 'rolled-back', tookMs: 9 } },
    });
    stub.send('stats', {
      ...(stub.state.stats as ClusterStats),
      lastReload: { ...rolledBack, serial: 8, atMs: now },
    });
    await says(page, 'h1', /The reload to generation 4 was rolled back/);
  });

  test('says why a button cannot be pressed, and why a command was refused', async (t) => {
    const stub = await admin(t, calm());
    stub.answers.set('/api/scale', { accepted: false, reason: 'there are <b>only</b> 2 CPUs' });
    const { page } = await open(t, stub.url);
    await says(page, '#link', /Live/);
    const abort = page.getByRole('button', { name: 'Abort', exact: true });
    assert.deepEqual(
      [await abort.getAttribute('aria-disabled'), await abort.getAttribute('title')],
      ['true', 'No reload is under way.'],
    );
    await abort.focus();
    await page.keyboard.press('Enter');
    await says(page, '#toasts', /No reload is under way\./);
    await page.getByRole('button', { name: 'Scale', exact: true }).click();
    await page.locator('dialog input').fill('9');
    await page.locator('dialog').getByRole('button', { name: 'Scale' }).click();
    await waitFor('the refusal', () => page.locator('#toasts').innerText(), {
      timeout: patience,
      until: (told) => told.includes('Not scaled: there are <b>only</b> 2 CPUs'),
    });
    assert.deepEqual(stub.posted.at(-1), { path: '/api/scale', body: { to: 9 } });
  });

  test('draws a profile as a flame graph and names where the time went', async (t) => {
    const stub = await admin(t, calm());
    const frame = (functionName: string, url: string) => ({
      functionName,
      url,
      lineNumber: 11,
      columnNumber: 2,
      scriptId: '1',
    });
    stub.files.set(
      'a.cpuprofile',
      JSON.stringify({
        startTime: 0,
        endTime: 9_000,
        nodes: [
          { id: 1, callFrame: frame('(root)', ''), children: [2, 4] },
          { id: 2, callFrame: frame('handle', 'file:///srv/shop/server.js'), children: [3] },
          { id: 3, callFrame: frame('slowSum', 'file:///srv/shop/report.js') },
          { id: 4, callFrame: frame('(idle)', '') },
        ],
        samples: [2, 3, 4],
        timeDeltas: [1_000, 3_000, 5_000],
      }),
    );
    stub.answers.set('/api/workers/1/profile', {
      accepted: true,
      path: '/x/a.cpuprofile',
      name: 'a.cpuprofile',
      bytes: 9,
    });
    const { page, complaints } = await open(t, stub.url);
    await says(page, '#link', /Live/);
    await page.locator('#worker-rows').getByRole('button', { name: 'Profile of worker 1' }).click();
    await page.getByLabel('Seconds').fill('3');
    await page.locator('dialog').getByRole('button', { name: 'Profile' }).click();
    await says(page, 'dialog .key-line', /^75 % of the busy time was spent in slowSum at report\.js:12\.$/);
    assert.deepEqual(stub.posted.at(-1), { path: '/api/workers/1/profile', body: { seconds: 3 } });
    assert.deepEqual(await page.locator('.flame > div').allInnerTexts(), [
      'all',
      'handle server.js:12',
      'slowSum report.js:12',
    ]);
    await page.locator('.flame > div').nth(2).click();
    await says(page, 'dialog', /slowSum \/srv\/shop\/report\.js:12: 75 % in all, 75 % itself/);
    assert.deepEqual(await axeFinds(page), []);
    assert.deepEqual(complaints, []);
  });

  test('reads a heap snapshot and names the variable that keeps the memory', async (t) => {
    const thread = new Worker(
      `const visits = []; function remember(n) { visits.push({ n, text: 'visit ' + n + Math.random() + ' '.repeat(100) }); }
       for (let n = 0; n < 20000; n++) remember(n);
       require('node:worker_threads').parentPort.on('message', remember).postMessage('ready');`,
      { eval: true },
    );
    t.after(() => thread.terminate());
    await new Promise((resolve) => thread.once('message', resolve));
    const stub = await admin(t, calm());
    stub.files.set('a.heapsnapshot', await text(await thread.getHeapSnapshot()));
    stub.answers.set('/api/workers/1/heap-snapshot', {
      accepted: true,
      path: '/x',
      name: 'a.heapsnapshot',
      bytes: 4_000_000,
    });
    const { page, complaints } = await open(t, stub.url);
    await says(page, '#link', /Live/);
    await page.locator('#worker-rows').getByRole('button', { name: 'Heap of worker 1' }).click();
    await page.getByRole('button', { name: 'Take a snapshot' }).click();
    await says(page, 'dialog .key-line', /^visits \(Array\) keeps .* of the heap/);
    await says(page, 'dialog .cards', /holds 20,000 × Object/);
    assert.deepEqual(complaints, []);
  });

  test('filters the log by text, worker and level, and follows its end', async (t) => {
    const stub = await admin(t, trouble());
    const { page } = await open(t, stub.url);
    await says(page, '#log-count', /^40 of the last 40 lines$/);
    await page.locator('#log-text').fill('is READY');
    await says(page, '#log-count', /^8 of/);
    await page.locator('#log-text').fill('');
    await page.locator('#log-level').selectOption('warn');
    await says(page, '#log-count', /^6 of/);
    await page.locator('#log-worker').selectOption('2');
    await stub.watched();
    stub.send('log', logLine(Date.now(), 'out of paper', { level: 'error', worker: 2 }));
    stub.send('log', logLine(Date.now(), 'not shown', { level: 'error', worker: 3 }));
    await says(page, '#log-lines', /out of paper/);
    assert.doesNotMatch(await page.locator('#log-lines').innerText(), /not shown/);
    await page.locator('#log-text').fill('nothing has this');
    await says(page, '#log-lines', /No line matches the filter\./);
  });

  test('shows what comes from the app and its requests as text, never as HTML', async (t) => {
    const evil = '<img src=x onerror="document.title=1">';
    const of = stats([worker(1), worker(2)], {
      deaths: [
        death({
          cause: evil,
          stack: `Error: ${evil}\n    at ${evil} (/srv/${evil}.js:1:1)`,
          requests: [{ method: evil, path: evil, ageMs: 1 }],
        }),
      ],
      lastReload: {
        ...rolledBack,
        release: evil,
        by: evil,
        reason: evil,
        steps: [{ atMs: 0, step: 'begun', worker: 1, generation: 4, detail: evil }],
      },
      reloads: [{ ...rolledBack, release: evil, by: evil, reason: evil }],
      poison: [{ method: evil, route: evil, deaths: 3, agoSeconds: 1, blockedForSeconds: 1 }],
    });
    const stub = await admin(
      t,
      stateOf(of, {
        name: evil,
        logSource: evil,
        logs: [logLine(Date.now(), evil, { fields: { [evil]: evil } })],
        evidence: [{ name: `${evil}.cpuprofile`, kind: 'profile', worker: 1, bytes: 1, atMs: 1 }],
      }),
    );
    const { page, complaints } = await open(t, stub.url);
    await says(page, '#link', /Live/);
    for (const place of [
      '#name',
      '#problems',
      '#death-list',
      '#reload-list',
      '#steps',
      '#log-lines',
      '#evidence-list',
    ]) {
      assert.ok((await page.locator(place).innerText()).includes(evil), place);
    }
    assert.equal(await page.locator('img').count(), 0);
    assert.match(await page.title(), /· rom-agent$/);
    assert.deepEqual(complaints, []);
  });

  test('says that the daemon is lost, and that it is back', async (t) => {
    const stub = await admin(t, calm());
    const { page } = await open(t, stub.url);
    await stub.watched();
    stub.send('daemon', {
      state: 'lost',
      reason: 'connect ENOENT /run/shop/control.sock',
      sinceMs: Date.now(),
    });
    await says(page, 'h1', /^The daemon has not answered for \d+ s/);
    await says(page, '#hero-detail', /connect ENOENT/);
    await says(page, '#link', /Daemon lost/);
    const reload = page.getByRole('button', { name: 'Reload', exact: true });
    assert.equal(await reload.getAttribute('title'), 'The daemon does not answer.');
    stub.send('daemon', { state: 'up', reason: null, sinceMs: Date.now() });
    await says(page, 'h1', /^All is well/);
    await says(page, '#toasts', /The daemon is back\./);
  });

  test('comes back by itself when the admin process restarts, and says so', async (t) => {
    const stub = await admin(t, calm());
    const { page, complaints } = await open(t, stub.url);
    await says(page, '#link', /Live/);
    await stub.stop();
    await says(page, 'h1', /^This page has lost the admin process/);
    await says(page, '#link', /trying again/);
    stub.state = stateOf(stats([worker(1), worker(2), worker(3)]), { lastEventId: 'other-0' });
    await stub.start();
    await says(page, 'h1', /^All is well: 3 of 3 workers/);
    await says(page, '#link', /Live/);
    assert.deepEqual(complaints, []);
  });

  test('moves nothing where the reader wants no motion', async (t) => {
    const stub = await admin(t, calm());
    const { page } = await open(t, stub.url, { reducedMotion: 'reduce' });
    await says(page, '#link', /Live/);
    await page.getByRole('button', { name: 'Abort', exact: true }).focus();
    await page.keyboard.press('Enter');
    await says(page, '#toasts', /No reload/);
    const style = (of: string) => page.evaluate<string>(of);
    assert.equal(await style('getComputedStyle(document.documentElement).scrollBehavior'), 'auto');
    assert.equal(await style('getComputedStyle(document.querySelector("#toasts p")).animationName'), 'none');
  });

  test('stays bounded with 64 workers, an hour of samples, 500 deaths and a flood of log lines', async (t) => {
    const now = Date.now();
    const workers = Array.from({ length: 64 }, (_, index) => worker(index + 1));
    const of = stats(workers);
    const dead = Array.from({ length: 500 }, (_, index) =>
      lane((index % 64) + 1, 10_000 + index, now - 3_500_000 + index * 6_000, {
        endMs: now - 3_500_000 + index * 6_000 + 5_000,
        ending: { kind: 'crash', cause: 'TypeError: no', code: 1, signal: null, lost: 1 },
      }),
    );
    const samples = quietSamples(now, stats([worker(1)]), 3_600).map((sample) => ({
      ...sample,
      workers: [],
    }));
    const stub = await admin(t, stateOf(of, { samples, lanes: [...dead, ...stateOf(of).lanes] }));
    const { page, complaints } = await open(t, stub.url);
    await says(page, '#link', /Live/);
    await page.getByRole('button', { name: '1 h' }).click();
    for (let round = 0; round < 60; round++) {
      const atMs = now + round * 1_000;
      const deaths = Array.from({ length: 10 }, (_, index) => death({ pid: 20_000 + round * 10 + index }));
      stub.send('stats', { ...of, deaths });
      stub.send('sample', sampleOf(atMs, of));
      for (let line = 0; line < 100; line++) stub.send('log', logLine(atMs, `line ${round * 100 + line}`));
    }
    await says(page, '#log-lines', /line 5999/);
    await says(page, '#more-deaths', /Show all 100/);
    const nodes = await page.evaluate<number>('document.querySelectorAll("*").length');
    assert.ok(nodes < 8_000, `${nodes} elements`);
    assert.equal(await page.locator('#worker-rows tr').count(), 64);
    const took = await page.evaluate<string>(`new Promise((done) => {
      const before = performance.now();
      document.querySelector('#ranges button').click();
      done((performance.now() - before).toFixed(0));
    })`);
    const heap = await page.evaluate<number>('performance.memory.usedJSHeapSize');
    t.diagnostic(
      `all is drawn anew in ${took} ms; ${nodes} elements, heap ${(heap / 1024 ** 2).toFixed(1)} MiB`,
    );
    assert.deepEqual(complaints, []);
  });

  test('is there at once: what its first paint takes, beside a page of one word', async (t) => {
    const stub = await admin(t, calm());
    const paint = `new Promise((done) => {
      const told = () => {
        const [entry] = performance.getEntriesByName('first-contentful-paint');
        if (entry) done(entry.startTime); else setTimeout(told, 20);
      };
      told();
    })`;
    const figures: string[] = [];
    for (let round = 0; round < 5; round++) {
      const word = await open(t, `${stub.url}word`);
      const whole = await open(t, stub.url);
      const shift = `new Promise((done) => {
        let sum = 0;
        const moved = [];
        new PerformanceObserver((list) => {
          for (const entry of list.getEntries()) {
            sum += entry.value;
            for (const { node } of entry.sources) moved.push(node?.id || node?.className || node?.nodeName);
          }
        })
          .observe({ type: 'layout-shift', buffered: true });
        setTimeout(() => done(sum.toFixed(3) + ' ' + moved.join(' ')), 300);
      })`;
      await says(whole.page, 'h1', /All is well/);
      const sentence = Math.round(await whole.page.evaluate<number>('performance.now()'));
      const [one, all] = [await word.page.evaluate<number>(paint), await whole.page.evaluate<number>(paint)];
      figures.push(
        `${Math.round(all)} (${Math.round(one)}), the sentence by ${sentence}, layout shift ${await whole.page.evaluate<string>(shift)}`,
      );
      await word.page.close();
      await whole.page.close();
    }
    t.diagnostic(`first paint, ms (that of one word): ${figures.join('; ')}`);
  });
});
