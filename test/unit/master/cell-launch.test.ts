import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadConfig } from '../../../src/config/load.js';
import { cellLaunch, cellSettings, launchOf, workerSettings } from '../../../src/master/launch.js';
import type { Release } from '../../../src/master/releases.js';
import { loadInput } from '../../support/load-input.js';

const surroundings = {
  version: '0.1.0',
  cpus: 2,
  listen: { kind: 'tcp', port: 3000, host: null },
  outputFile: null,
} as const;

async function releaseWith(flags: Readonly<Record<string, string>>): Promise<Release> {
  const loaded = await loadConfig(loadInput({ flags: { poisonBlock: '10m', poisonCell: 'on', ...flags } }));
  return { ...loaded, generation: 3, cwd: '/srv/app', cwdFrom: 'the app' } as unknown as Release;
}

test('the cell is told where its socket is; what others count, log and limit it leaves to them', async () => {
  const release = await releaseWith({
    ...{ controlSocket: '/run/shop/control.sock', poisonCellRequests: '2', sticky: 'cookie' },
    ...{ shedInFlight: '5', healthCheck: '/healthz', accessLogFormat: 'json' },
  });
  const cell = cellSettings(release, { key: 12, generation: 3, workersAtStart: 2 }, surroundings);
  assert.deepEqual(cell.cell, {
    socket: `/run/shop/control.sock.c${process.pid.toString(36)}-12`,
    requests: 2,
  });
  assert.deepEqual(
    [cell.sticky, cell.shed.inFlight, cell.health.check, cell.accessLog.format, cell.metrics.enabled],
    ['off', 0, null, 'off', 'off'],
  );
  assert.deepEqual([cell.worker, cell.generation, cell.onTrial], [null, 3, false]);
  const place = { slot: 1, generation: 3, siblings: null, onTrial: false, workersAtStart: 2 };
  assert.equal(workerSettings(release, place, surroundings).cell, null);
});

test('the heap of the cell is that of any worker, and no larger than its resident set may be', async () => {
  const heap = async (flags: Readonly<Record<string, string>>): Promise<number> =>
    cellLaunch(await releaseWith({ maxOldSpaceSize: '512', ...flags }), 2).config.maxOldSpaceSize;
  assert.equal(await heap({}), 512);
  assert.equal(await heap({ poisonCellMemory: '256' }), 256);
  assert.equal(await heap({ poisonCellMemory: '2048' }), 512);
});

test('the app is told that it is the cell, and has no number', async () => {
  const release = await releaseWith({});
  const { env } = cellLaunch(release, 2);
  assert.deepEqual([env.ROM_CELL, env.ROM_WORKER, env.NODE_APP_INSTANCE], ['1', undefined, undefined]);
  assert.equal(launchOf(release, { worker: 1, workers: 2 }).env.ROM_CELL, undefined);
});
