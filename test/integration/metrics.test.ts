import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { connectControl } from '../../src/control/client.js';
import { aggregateApps } from '../../src/metrics/app-aggregate.js';
import type { MetricsSnapshot } from '../../src/protocol/metrics.js';
import { ask } from '../support/net.js';
import { signalPid } from '../support/process.js';
import { waitFor } from '../support/wait.js';
import { reload, serveReloading } from './releases.js';
import { fixture, patience, type Service, stopped, untilStats } from './service.js';

const app = fixture('integration/with-prom-client.mjs');

function scrape({ control = '' }: Service): Promise<MetricsSnapshot> {
  return connectControl({ path: control }).metrics();
}

/** How many requests to `/orders/:id` were answered with 2xx. */
function ordersIn({ routes }: MetricsSnapshot): number {
  return routes.find(({ route }) => route === '/orders/:id')?.answers['GET 2xx'] ?? 0;
}

/** The same by the app's own counter. */
function ownOrdersIn({ app }: MetricsSnapshot): number {
  const { families } = aggregateApps(app.map(({ worker, ...registry }) => ({ from: `${worker}`, registry })));
  return families.find(({ name }) => name === 'shop_orders_total')?.samples[0]?.value ?? 0;
}

async function order({ port }: Service, times: number): Promise<void> {
  for (let nth = 0; nth < times; nth++) {
    assert.equal((await ask({ port, path: `/orders/${nth}` })).status, 200);
  }
}

describe('the metrics', { timeout: 1_800_000 }, () => {
  it('never go back: not by a reload, not by a crash, not by a worker that is killed', async (t) => {
    const service = await serveReloading(t, { app, env: { ROM_AGENT_METRICS_APP: 'on' } });
    await order(service, 30);
    const first = await scrape(service);
    assert.deepEqual([ordersIn(first), ownOrdersIn(first)], [30, 30]);

    await order(service, 12);
    assert.equal((await reload(service)).verdict, 'done');
    await untilStats(service, 'the old workers are gone', ({ workers }) => workers.length === 2);
    const second = await scrape(service);
    assert.deepEqual([ordersIn(second), second.counters.reloads.done, second.generation], [42, 1, 2]);
    // Its own metrics are as of the last scrape: the app is not asked when a worker ends.
    assert.equal(ownOrdersIn(second), 30);

    await order(service, 5);
    assert.equal((await ask({ port: service.port, path: '/throw' })).status, 200);
    await untilStats(service, 'another worker', ({ restarts, ready }) => restarts === 1 && ready === 2);
    const third = await scrape(service);
    assert.deepEqual([ordersIn(third), third.counters.restarts.crash], [47, 1]);
    assert.equal(third.counters.endings.crash, 1);

    const [victim] = third.workers;
    signalPid(victim?.pid ?? 0, 'SIGKILL');
    await untilStats(service, 'another worker', ({ restarts, ready }) => restarts === 2 && ready === 2);
    const fourth = await scrape(service);
    assert.equal(ordersIn(fourth), 47);
    assert.ok(ownOrdersIn(fourth) >= ownOrdersIn(third));
    await stopped(service);
  });

  it('are answered though a worker hangs, with what it said last', async (t) => {
    const service = await serveReloading(t, { app, env: { ROM_AGENT_METRICS_APP: 'on' } });
    await order(service, 4);
    await scrape(service);
    const { text } = await ask({ port: service.port, path: '/spin/20000' });
    const hung = await waitFor(
      'a scrape without the worker that hangs',
      async () => (await scrape(service)).workers.find(({ pid }) => pid === Number(text)),
      { timeout: patience, until: (worker) => (worker?.ageSeconds ?? 0) > 0 },
    );
    assert.ok((hung?.gauges?.rssBytes ?? 0) > 0);
    assert.equal(ordersIn(await scrape(service)), 4);
    service.daemon.kill('SIGKILL');
  });

  it('are on the service too, under the prefix', async (t) => {
    const service = await serveReloading(t, { app });
    await order(service, 3);
    await ask({ port: service.port, path: '/fail' });
    const { status, text, headers } = await ask({ port: service.port, path: '/_ops/metrics' });
    assert.deepEqual([status, headers['content-type']], [200, 'text/plain; version=0.0.4; charset=utf-8']);
    assert.match(
      text,
      /^rom_agent_http_requests_total\{route="\/orders\/:id",method="GET",status="2xx"\} 3$/m,
    );
    assert.match(text, /^rom_agent_http_requests_total\{route="\/fail",method="GET",status="5xx"\} 1$/m);
    assert.match(text, /^rom_agent_workers_ready 2$/m);
    assert.doesNotMatch(text, /shop_/, "the app's own metrics are told only where that is set");
    await stopped(service);
  });
});
