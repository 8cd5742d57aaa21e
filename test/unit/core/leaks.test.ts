import assert from 'node:assert/strict';
import { test } from 'node:test';
import { publicStats } from '../../../src/core/stats.js';
import type { Leak } from '../../../src/protocol/leak.js';
import { SimCluster } from '../../simulation/sim-cluster.js';
import { statsOf } from './stats-of.js';

const leak = (kind: string): Leak => ({
  kind,
  bytesPerRequest: 3 * 2 ** 20,
  lowBytes: 2 * 2 ** 20,
  highBytes: 4 * 2 ** 20,
  share: 0.9,
});

function logged(cluster: SimCluster, leaks: readonly Leak[]): readonly string[] {
  cluster.post({ type: 'leaks', leaks });
  const effects = cluster.turns.at(-1)?.effects ?? [];
  return effects.flatMap((effect) => (effect.type === 'log' ? [`${effect.level} ${effect.message}`] : []));
}

test('a leak is told once, is in the stats for as long as it goes on, and is told again when it comes back', () => {
  const cluster = new SimCluster();
  cluster.start();
  cluster.run(2_000);
  const [first = ''] = logged(cluster, [leak('GET /a')]);
  assert.equal(first, 'warn GET /a keeps 3 MiB per request (2 to 4): 90 % of the growth of the heaps');
  assert.deepEqual(logged(cluster, [leak('GET /a')]), []);
  assert.equal(logged(cluster, [leak('GET /b'), leak('GET /a')]).length, 1);
  const stats = statsOf(cluster);
  assert.deepEqual(
    stats.leaks.map(({ kind }) => kind),
    ['GET /b', 'GET /a'],
  );
  assert.ok(!('leaks' in publicStats(stats)), 'what clients ask for is told on the control socket only');
  assert.deepEqual(logged(cluster, []), []);
  assert.equal(logged(cluster, [leak('GET /a')]).length, 1);
});
