import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { ask } from '../support/net.js';
import { entriesOf, fixture, patience, type Service, serve, stopped, untilStats } from './service.js';

const app = fixture('integration/sick.mjs');

/** Has a worker die of `GET /exit/N`, and waits until the service is whole again. */
async function die(service: Service, order: number): Promise<void> {
  const { restarts } = await untilStats(service, 'a full set', ({ ready, wanted }) => ready === wanted);
  await ask({ port: service.port, path: `/exit/${order}` }).catch(() => {});
  await untilStats(service, 'a restart', (now) => now.restarts > restarts && now.ready === now.wanted);
}

/** Has the workers see other requests than those that kill, for some of their heartbeats. */
async function beUsual(service: Service): Promise<void> {
  const end = performance.now() + 4_000;
  while (performance.now() < end) {
    await Promise.all(Array.from({ length: 4 }, () => ask({ port: service.port, path: '/usual' })));
    await setTimeout(20);
  }
}

async function poisoned(t: TestContext, env: Readonly<Record<string, string>>): Promise<Service> {
  const service = await serve(t, { app, env: { ROM_AGENT_POISON_DEATHS: '2', ...env } });
  await beUsual(service);
  await die(service, 17);
  await die(service, 4711);
  return service;
}

describe('a request that kills', { timeout: 1_800_000 }, () => {
  it('is named once it was in flight at so many deaths, whatever number is in its path', async (t) => {
    const service = await poisoned(t, {});
    const [entry = assert.fail()] = await entriesOf(service.daemon, /GET \/exit\/:id/, 1);
    assert.equal(entry.level, 'error');
    assert.match(entry.msg, /in flight when 2 workers died within 10 min$/);
    const { poison, deaths } = await untilStats(service, 'a suspicion', ({ poison }) => poison.length > 0);
    assert.deepEqual(
      poison.map(({ method, route, deaths, blockedForSeconds }) => [
        method,
        route,
        deaths,
        blockedForSeconds,
      ]),
      [['GET', '/exit/:id', 2, 0]],
    );
    assert.deepEqual(
      deaths.map(({ kind, code, lost, requests }) => [kind, code, lost, requests.map(({ path }) => path)]),
      [
        ['crash', 3, 1, ['/exit/:id']],
        ['crash', 3, 1, ['/exit/:id']],
      ],
    );
    // Neither the log nor the routes that anybody may ask tell more.
    assert.doesNotMatch(service.daemon.output(), /4711/);
    const { json } = await ask({ port: service.port, path: `${service.routes}/api/cluster/stats` });
    assert.deepEqual(
      ['deaths', 'poison'].filter((key) => key in (json as object)),
      [],
    );
    await stopped(service);
  });

  it('is answered with 503 for a while where that is asked for, by workers of before and after', async (t) => {
    const service = await poisoned(t, { ROM_AGENT_POISON_BLOCK: '60s' });
    const before = await untilStats(
      service,
      'a block',
      ({ poison }) => (poison[0]?.blockedForSeconds ?? 0) > 0,
    );
    for (let i = 0; i < 8; i++) {
      const { status, headers } = await ask({ port: service.port, path: `/exit/${i}`, timeout: patience });
      assert.equal(status, 503);
      assert.ok(Number(headers['retry-after']) > 0);
    }
    assert.equal((await ask({ port: service.port, path: '/' })).status, 200);
    const [{ pid } = assert.fail()] = before.workers;
    process.kill(pid ?? assert.fail(), 'SIGKILL');
    await untilStats(
      service,
      'another worker',
      ({ restarts, ready }) => restarts > before.restarts && ready === 2,
    );
    for (let i = 0; i < 8; i++) {
      assert.equal((await ask({ port: service.port, path: '/exit/9', timeout: patience })).status, 503);
    }
    await stopped(service);
  });
});
