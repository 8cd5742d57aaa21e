import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ask } from '../support/net.js';
import { entries, fixture, patient, serve, stopped, untilStats } from './service.js';

const routes = ['/', '/orders', '/report', '/login', '/search', '/export', '/help', '/cart'];

const told = /^GET \/report takes .* of CPU per request \(.*\): \d+ % of the workers' CPU/;

describe('a route that computes', { timeout: 1_800_000 }, () => {
  it('is named with what a request takes, in the stats and in the log', async (t) => {
    const service = await serve(t, {
      app: fixture('integration/costs.mjs'),
      env: { ...patient, WORKERS: '2' },
    });
    let over = false;
    const client = async (): Promise<void> => {
      while (!over) {
        // Not by turns: what comes in a fixed order is in a fixed relation to everything else.
        const path = routes[Math.floor(Math.random() * routes.length)] ?? '/';
        await ask({ port: service.port, path }).catch(() => {});
      }
    };
    const clients = [client(), client()];
    const isTold = (): boolean => entries(service.daemon).some(({ msg }) => told.test(msg));
    const { costs } = await untilStats(
      service,
      'a route that takes most of the CPU',
      (stats) => (stats.costs?.routes ?? []).some(({ heavy }) => heavy !== null) && isTold(),
    ).finally(() => {
      over = true;
    });
    await Promise.all(clients);
    const [worst, ...others] = costs?.routes ?? [];
    assert.equal(worst?.kind, 'GET /report');
    assert.equal(worst.heavy, 'cpu');
    assert.ok(worst.cpu.lowMs > 0 && worst.cpu.lowMs < worst.cpu.ms && worst.cpu.ms < worst.cpu.highMs);
    // Whether it blocks nobody can tell on a machine that lets no process run in peace.
    assert.ok(others.every(({ blocks, heavy }) => !blocks && heavy === null));
    t.diagnostic(JSON.stringify(costs?.routes.slice(0, 3)));
    await stopped(service);
  });
});
