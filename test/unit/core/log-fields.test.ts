import assert from 'node:assert/strict';
import { test } from 'node:test';
import { scenarios } from '../../simulation/scenarios/scenarios.js';
import { SimCluster } from '../../simulation/sim-cluster.js';

/** Numbers that have no unit: counts, and what tells one thing from another. */
const unitless = new Set([
  ...['workers', 'requests', 'connections', 'inFlight', 'oomKills', 'lost'],
  ...['workerPid', 'generation', 'serial', 'code', 'exitCode', 'errno'],
]);
const withUnit = /(Ms|Seconds|MiB|Bytes|Percent)$/;

test('every number among the fields of a log line is a count, or has its unit in its name', () => {
  const wrong = new Set<string>();
  let seen = 0;
  for (const { options, script } of scenarios) {
    const cluster = new SimCluster({
      ...options,
      policy: { ...options?.policy, log: { statsInterval: 1_000 } },
    });
    script(cluster);
    for (const effect of cluster.turns.flatMap(({ effects }) => effects)) {
      if (effect.type !== 'log') continue;
      for (const [name, value] of Object.entries(effect.fields ?? {})) {
        if (typeof value !== 'number') continue;
        seen += 1;
        if (!unitless.has(name) && !withUnit.test(name)) wrong.add(name);
      }
    }
  }
  assert.ok(seen > 100, `${seen}`);
  assert.deepEqual([...wrong], []);
});
