import assert from 'node:assert/strict';
import { test } from 'node:test';
import { healthCommand } from '../../../src/cli/look/health.js';
import type { ClusterStats } from '../../../src/protocol/stats.js';
import { fakeSession, inTurn, stats, worker } from './fake-session.js';

const cases: readonly { what: string; given: Partial<ClusterStats>; code: number; says: string }[] = [
  {
    what: 'all workers answer',
    given: { wanted: 2, workers: [worker(1), worker(2)] },
    code: 0,
    says: 'healthy: serving, 2 of 2 workers answer\n',
  },
  {
    what: 'half of the workers answer',
    given: { wanted: 2, workers: [worker(1), worker(2, { health: 'unresponsive' })] },
    code: 0,
    says: 'healthy: serving, 1 of 2 workers answers\n',
  },
  {
    what: 'fewer than half of the workers answer, however many replace them',
    given: {
      wanted: 3,
      workers: [worker(1), worker(1), worker(2, { phase: 'starting' }), worker(null, { phase: 'ready' })],
    },
    code: 75,
    says: 'unhealthy: serving, 1 of 3 workers answers\n',
  },
  {
    what: 'the service stops',
    given: { status: 'stopping', wanted: 1, workers: [worker(1)] },
    code: 75,
    says: 'unhealthy: stopping, 1 of 1 worker answers\n',
  },
];

for (const { what, given, code, says } of cases) {
  test(`rom-agent health ends with ${code} where ${what}`, async () => {
    const session = fakeSession({ status: inTurn(stats(given)) });
    assert.equal(await healthCommand(session), code);
    assert.equal(session.out(), says);
  });
}
