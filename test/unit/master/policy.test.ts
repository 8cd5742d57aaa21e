import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadConfig } from '../../../src/config/load.js';
import { systemInput } from '../../../src/config/system.js';
import { ownPolicy } from '../../../src/core/policy.js';
import { policyInForce, policyOf } from '../../../src/master/policy.js';

test('policyOf hands the configuration on and adds the exit statuses', async () => {
  const { config } = await loadConfig({ ...systemInput({}), env: {}, readFile: missing });
  const chosen = {
    ...config,
    workers: 3,
    bootTimeout: 1,
    drainTimeout: 2,
    listenWait: 0,
    lameDuck: 0,
    hangTimeout: 4,
    restart: { intensity: 5, window: 6, crashDelay: 7, crashDelayMax: 8, bootDelay: 9, bootDelayMax: 10 },
    log: { ...config.log, statsInterval: 11 },
    reload: { ...config.reload, soak: 1, probe: '/', probeTimeout: 2, maxErrors: 5, maxLatency: 3 },
  };
  assert.deepEqual(policyOf(chosen, { pingInterval: 12 }), {
    kind: 'server',
    workers: 3,
    bootTimeout: 1,
    drainTimeout: 2,
    listenWait: 0,
    lameDuck: 0,
    hangTimeout: 4,
    heartbeatInterval: 1,
    health: { slowDelay: 500, slowLimit: 30_000, checkFailures: 3 },
    memory: { maxRss: null, maxHeap: 0.9, pressure: 0.9 },
    maxAge: 0,
    maxRequests: 0,
    spares: 0,
    scale: { target: 0.7, downAfter: 300_000 },
    poison: {
      deaths: 3,
      window: 600_000,
      block: 0,
      cell: 'off',
      cellTimeout: 30_000,
      cellMemory: null,
    },
    restart: chosen.restart,
    log: { statsInterval: 11 },
    reload: {
      soak: 1,
      probe: '/',
      probeTimeout: 2,
      maxErrors: 0.05,
      maxLatency: 3,
      mirror: 'off',
      mirrorRoutes: [],
      mirrorCredentials: 'off',
      mirrorRate: 50,
      mirrorRequests: 200,
      mirrorTime: 30_000,
      mirrorDifferences: 1,
    },
    evensOut: true,
    pingInterval: 12,
    exits: { bootTimeout: 75, appFailed: 70, noResources: 71, tooManyRestarts: 75 },
  });
  assert.equal(policyOf(chosen, { pingInterval: null }).pingInterval, null);
});

const input = { ...systemInput({}), env: {}, readFile: missing };

test('each generation is judged by its own settings, and the intensity follows the number of workers in force', async () => {
  const [first, second] = await Promise.all([
    loadConfig({ ...input, env: { ROM_AGENT_HANG_TIMEOUT: '20s' } }),
    loadConfig({ ...input, env: { ROM_AGENT_HANG_TIMEOUT: '1s' } }),
  ]);
  const inForce = policyInForce(null);
  const releases = [
    { generation: 1, ...first },
    { generation: 2, ...second },
  ];
  const policy = inForce({ newest: 2, releases, workers: 32 });
  assert.deepEqual(
    [policy.hangTimeout, policy.heartbeatInterval, policy.restart.intensity],
    [1_000, 250, 165],
  );
  const old = ownPolicy(policy, { generation: 1 });
  assert.deepEqual([old.hangTimeout, old.heartbeatInterval, old.restart.intensity], [20_000, 1_000, 165]);
  assert.equal(inForce({ newest: 2, releases, workers: 32 }), policy, 'made once');
  assert.equal(inForce({ newest: 2, releases, workers: 2 }).restart.intensity, 15);
});

function missing(path: string): never {
  throw Object.assign(new Error(`${path} does not exist`), { code: 'ENOENT' });
}
