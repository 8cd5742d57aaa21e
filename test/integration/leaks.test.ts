import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ask } from '../support/net.js';
import { entries, fixture, patient, serve, stopped, untilStats } from './service.js';

const routes = ['/', '/orders', '/login', '/search', '/reports/7', '/help', '/cart', '/about'];

describe('a route that leaks', { timeout: 1_800_000 }, () => {
  it('is named in the stats and in one line of the log', async (t) => {
    const service = await serve(t, {
      app: fixture('integration/leaks.mjs'),
      env: { ...patient, WORKERS: '2', ROM_AGENT_MAX_OLD_SPACE_SIZE: '1024' },
    });
    let over = false;
    const client = async (nth: number): Promise<void> => {
      for (let count = nth; !over; count += 1) {
        // Not by turns: what comes in a fixed order is in a fixed relation to everything else.
        const path = routes[(count * count * 7 + (count >> 3)) % routes.length] ?? '/';
        await ask({ port: service.port, path }).catch(() => {});
      }
    };
    const clients = [1, 2, 3, 4].map(client);
    const { leaks } = await untilStats(service, 'a leak', (stats) => stats.leaks.length > 0).finally(() => {
      over = true;
    });
    await Promise.all(clients);
    assert.deepEqual(
      leaks.map(({ kind }) => kind),
      ['GET /reports/:id'],
    );
    const told = entries(service.daemon).filter(({ msg }) =>
      / per request \(.*growth of the heaps$/.test(msg),
    );
    assert.equal(told.length, 1);
    await stopped(service);
  });
});
