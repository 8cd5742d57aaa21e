import assert from 'node:assert/strict';
import { test } from 'node:test';
import { located } from '../../../src/core/costs.js';
import { clusterStats, publicStats } from '../../../src/core/stats.js';
import type { RouteCost } from '../../../src/protocol/route-cost.js';
import type { StallRecord } from '../../../src/protocol/stall.js';
import { SimCluster } from '../../simulation/sim-cluster.js';
import { anyCost } from '../../support/route-cost.js';
import { anyStall } from '../../support/stall.js';
import { statsOf } from './stats-of.js';

const stall: StallRecord = {
  ...{ ...anyStall, worker: 1, pid: 4711, generation: 1, cause: 'code', tookMs: 600 },
  ...{ function: 'render', file: '/srv/app/report.js', line: 9, column: 3 },
  requests: [{ method: 'GET', path: '/report', ageMs: 600 }],
};

function logged(cluster: SimCluster, heavy: readonly RouteCost[]): readonly string[] {
  cluster.post({ type: 'costs', heavy });
  const effects = cluster.turns.at(-1)?.effects ?? [];
  return effects.flatMap((effect) => (effect.type === 'log' ? [`${effect.level} ${effect.message}`] : []));
}

test('a route that takes much is told once for as long as it goes on, and again when it comes back', () => {
  const cluster = new SimCluster();
  cluster.start();
  cluster.run(2_000);
  assert.deepEqual(logged(cluster, [anyCost]), [
    "info GET /report takes 180 ms of CPU per request (170 to 190): 61 % of the workers' CPU; it blocks the event loop",
  ]);
  assert.deepEqual(logged(cluster, [anyCost]), []);
  assert.equal(logged(cluster, [{ ...anyCost, kind: 'GET /b' }, anyCost]).length, 1);
  assert.deepEqual(logged(cluster, []), []);
  assert.equal(logged(cluster, [anyCost]).length, 1);
});

test('it is told with the function in which a stall was seen while no other kind was in flight', () => {
  assert.equal(located(anyCost, [stall]).where, 'render (/srv/app/report.js:9:3)');
  const other = { method: 'GET', path: '/orders/7', ageMs: 20 };
  assert.equal(located(anyCost, [{ ...stall, requests: [...stall.requests, other] }]).where, null);
  assert.equal(located(anyCost, [{ ...stall, requests: [] }]).where, null);
  assert.equal(located(anyCost, [{ ...stall, cause: 'gc' }]).where, null);
  assert.equal(located(anyCost, [{ ...stall, tookMs: 60 }]).where, null);
  assert.equal(located({ ...anyCost, blocks: false }, [stall]).where, null);
});

test('the stats have what routes cost, and what anybody may ask for does not', () => {
  const cluster = new SimCluster();
  cluster.start();
  assert.ok(!('costs' in statsOf(cluster)), 'nothing is known yet');
  const stats = clusterStats(cluster.state, {
    ...{ now: 1_000, kind: 'server', mode: 'cluster', records: [] },
    master: { pid: 1, version: '1.0.0', node: 'v24.0.0', rssBytes: 1 },
    costs: { overSeconds: 60, restShare: 0.1, routes: [anyCost] },
  });
  assert.equal(stats.costs?.routes[0]?.kind, 'GET /report');
  assert.ok(!('costs' in publicStats(stats)));
});
