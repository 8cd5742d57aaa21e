import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { ask } from '../support/net.js';
import { entries, fixture, patient, serve, stopped, untilStats } from './service.js';

const routes = ['/', '/orders', '/login', '/search', '/reports/7', '/help', '/cart', '/about'];

describe('a route that leaks', { timeout: 1_800_000 }, () => {
  it('is named in the stats and in one line of the log', async (t) => {
    await names(t, 'integration/leaks.mjs', / per request \(.*growth of the heaps$/);
  });

  it('is named where what it keeps is outside of the heap', async (t) => {
    const told = / outside of the heap per request \(.*growth outside of the heaps$/;
    await names(t, 'integration/leaks-outside.mjs', told);
  });
});

async function names(t: TestContext, app: string, line: RegExp): Promise<void> {
  const service = await serve(t, {
    app: fixture(app),
    env: { ...patient, WORKERS: '2', ROM_AGENT_MAX_OLD_SPACE_SIZE: '1024' },
  });
  let over = false;
  const client = async (): Promise<void> => {
    while (!over) {
      // Not by turns: what comes in a fixed order is in a fixed relation to everything else.
      const path = routes[Math.floor(Math.random() * routes.length)] ?? '/';
      await ask({ port: service.port, path }).catch(() => {});
    }
  };
  const clients = [client(), client(), client(), client()];
  const { leaks } = await untilStats(service, 'a leak', (stats) => stats.leaks.length > 0).finally(() => {
    over = true;
  });
  await Promise.all(clients);
  assert.deepEqual(
    leaks.map(({ kind }) => kind),
    ['GET /reports/:id'],
  );
  t.diagnostic(JSON.stringify(leaks));
  const told = entries(service.daemon).filter(({ msg }) => line.test(msg));
  assert.equal(told.length, 1);
  await stopped(service);
}
