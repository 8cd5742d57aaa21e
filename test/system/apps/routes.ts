import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { MetricsSnapshot } from '../../../src/protocol/metrics.js';
import { serve, stopped } from '../../integration/service.js';
import { ask } from '../../support/net.js';
import { patience } from './clients.js';
import { install } from './install.js';

/* Which routes the routers of real frameworks tell: see metrics/router-pattern.ts. */

const asked = ['/blog/hello-world', '/blog/good-bye', '/shop/red-shoes', '/shop/blue-hats', '/about-us'];
const byPattern = { '/blog/:id': 2, '/shop/:id': 2, '/about-us': 1 };
/** Each path that reads as words is a class of its own. */
const byPath = Object.fromEntries(asked.map((path) => [path, 1]));

const apps: readonly (readonly [name: string, file: string, Readonly<Record<string, number>>])[] = [
  ['Express tells its routes, those of mounted routers with the mount', 'routes-express.js', byPattern],
  ['Fastify tells its routes, those of plugins with their prefix', 'routes-fastify.js', byPattern],
  ['Koa tells none: the paths are classified', 'routes-koa.js', byPath],
];

const place = await install('sample');
const skip = 'reason' in place && process.env.CI !== 'true' ? place.reason : false;

describe('the routes of real frameworks', { skip, concurrency: 3, timeout: 6 * patience }, () => {
  for (const [title, file, expected] of apps) {
    it(title, async (t) => {
      assert.ok('folder' in place, JSON.stringify(place));
      const env = { WORKERS: '2', ROM_AGENT_HANG_TIMEOUT: `${patience}ms` };
      const service = await serve(t, { app: join(place.folder, file), env });
      for (const path of asked) {
        const { status } = await ask({ port: service.port, path: `${path}?page=1`, timeout: patience });
        assert.equal(status, 200);
      }
      assert.ok(service.control !== undefined);
      const { json } = await ask({ socketPath: service.control, path: '/v1/metrics', timeout: patience });
      const { routes } = json as MetricsSnapshot;
      const counted = routes.map(({ route, answers }) => [route, answers['GET 2xx']] as const);
      assert.deepEqual(Object.fromEntries(counted), expected);
      await stopped(service);
    });
  }
});
