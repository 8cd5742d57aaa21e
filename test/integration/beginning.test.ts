import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ask, freePort } from '../support/net.js';
import { waitFor } from '../support/wait.js';
import { hasCommand, startUnder } from './run.js';
import {
  entries,
  entriesOf,
  fixture,
  patience,
  problems,
  readyPids,
  serve,
  stopped,
  untilStats,
} from './service.js';

describe('the begin of an app', { timeout: 1_800_000 }, () => {
  it('is no empty event loop while its listen() waits for the master', async (t) => {
    const service = await serve(t, { app: fixture('apps/cleans-up-when-empty.mjs') });
    assert.equal((await ask({ port: service.port, path: '/' })).text, 'fine\n');
    await stopped(service);
    assert.ok(!service.daemon.output().includes('cleaning up'), service.daemon.output());
  });

  it('is over when PORT is served, whatever listens or looks for a free port before', async (t) => {
    const metrics = String(await freePort('127.0.0.1'));
    const app = fixture('apps/metrics-first.cjs');
    const service = await serve(t, { app, env: { METRICS_PORT: metrics } });
    assert.equal((await ask({ port: service.port, path: '/' })).text, 'service\n');
    const [serving] = await entriesOf(service.daemon, /^serving with/, 1);
    assert.deepEqual(serving?.urls, [`http://localhost:${service.port}`, `http://localhost:${metrics}`]);
    assert.deepEqual(problems(service.daemon), []);
    await stopped(service);
  });

  it('is said to be elsewhere where an app never listens on PORT', async (t) => {
    const other = String(await freePort('127.0.0.1'));
    const service = await serve(t, { app: fixture('apps/other-port.mjs'), env: { OTHER_PORT: other } });
    const told = problems(service.daemon);
    assert.equal(told.length, 2);
    for (const each of told)
      assert.match(
        each,
        new RegExp(`^the app listens on http://localhost:${other} and not on port ${service.port};`),
      );
    await stopped(service);
  });

  it('shares an address that every worker wants for itself', async (t) => {
    const service = await serve(t, { app: fixture('apps/exclusive.mjs') });
    assert.equal((await ask({ port: service.port, path: '/' })).text, 'fine\n');
    await stopped(service);
    assert.deepEqual(problems(service.daemon), []);
  });

  it('hands the socket over to an app that comes after we have opened it', async (t) => {
    const service = await serve(t, { app: fixture('apps/exported-and-late.cjs'), env: { WORKERS: '1' } });
    await service.daemon.waitForLine(/the app listens$/, patience);
    assert.equal((await ask({ port: service.port, path: '/' })).text, 'by itself\n');
    assert.equal((await entriesOf(service.daemon, /^the app listens itself after all/, 1)).length, 1);
    await stopped(service);
    assert.deepEqual(problems(service.daemon), []);
  });

  for (const app of ['server-exported-and-late.cjs', 'fastify-exported-and-late.mjs']) {
    it(`is not hurt by the listen() that comes late on what was exported: ${app}`, async (t) => {
      const service = await serve(t, { app: fixture(`apps/${app}`), env: { WORKERS: '1' } });
      await service.daemon.waitForLine(/the app listens$/, patience);
      assert.equal((await ask({ port: service.port, path: '/' })).text, 'fine\n');
      await stopped(service);
      assert.deepEqual(problems(service.daemon), []);
    });
  }

  it('happens once, where the app starts itself as the main module and exports its start', async (t) => {
    const service = await serve(t, { app: fixture('apps/starts-itself.cjs') });
    assert.equal(service.daemon.lines.filter((line) => line === 'start').length, 2);
    await stopped(service);
  });
});

describe('an app that is beyond help', { timeout: 1_800_000 }, () => {
  const app = fixture('apps/ends-when-alone.cjs');

  it('finds nobody beside it who handles what it throws, and ends itself', async (t) => {
    const service = await serve(t, { app, env: { ROM_AGENT_ROUTES_PREFIX: '/_ops' } });
    await ask({ port: service.port, path: '/boom' }).catch(() => {});
    const [death] = await entriesOf(service.daemon, /crashed/, 1);
    assert.match(death?.msg ?? '', /ended by itself with code 3/);
    await untilStats(service, 'a replacement', ({ ready }) => ready === 2);
    await stopped(service);
  });

  it('goes on without a reader of its standard output', { skip: !hasCommand('head') }, async (t) => {
    const port = await freePort('127.0.0.1');
    const script = `exec "$@" | head -c 10 >/dev/null`;
    const daemon = startUnder(t, {
      args: ['serve', app],
      env: { PORT: String(port), HOST: '127.0.0.1', WORKERS: '1', ROM_AGENT_LOG_FORMAT: 'json' },
      under: ['sh', '-c', script, 'sh'],
    });
    const pid = () => ask({ port, path: '/log' }).then(({ text }) => Number(text));
    const first = await waitFor('an answer', () => pid().catch(() => 0), {
      timeout: patience,
      until: (found) => found > 0,
    });
    // The pipe takes what comes until head has ended, and each line after that is an error.
    for (let times = 0; times < 50; times++) assert.equal(await pid(), first);
    daemon.killGroup('SIGTERM');
    await daemon.waitForExit(patience);
  });

  it('and closes its server is replaced', async (t) => {
    const service = await serve(t, { app });
    const before = await readyPids(service);
    const closed = Number((await ask({ port: service.port, path: '/close' })).text);
    assert.ok(before.includes(closed));
    const [death] = await entriesOf(service.daemon, /crashed/, 1);
    assert.match(death?.msg ?? '', /the app has closed its server on port \d+ and goes on/);
    await waitFor('another worker', () => readyPids(service), {
      timeout: patience,
      until: (pids) => pids.length === 2 && !pids.includes(closed),
    });
    await stopped(service);
    const ends = entries(service.daemon).filter(({ msg }) => /while it drained|killing/.test(msg));
    assert.deepEqual(ends, [], 'it drained like any other');
  });
});
