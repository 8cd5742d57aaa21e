import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { ask } from '../support/net.js';
import { signalPid } from '../support/process.js';
import { waitFor } from '../support/wait.js';
import { needsNotifySocket, notifySocket } from './notify-socket.js';
import {
  begin,
  fixture,
  patience,
  patient,
  readyPids,
  serving,
  stopped,
  temporaryDirectory,
  untilStats,
} from './service.js';

describe('the start probe', { timeout: 1_800_000 }, () => {
  it('holds READY back, and each worker, until the app answers', needsNotifySocket, async (t) => {
    const notify = await notifySocket(t);
    const warm = join(temporaryDirectory(t), 'warm');
    const service = await begin(t, {
      app: fixture('integration/warms-up.cjs'),
      env: {
        ...patient,
        WARM: warm,
        NOTIFY_SOCKET: notify.path,
        ROM_AGENT_START_PROBE: '/up',
        ROM_AGENT_BOOT_TIMEOUT: '10m',
      },
    });
    const { daemon, port } = service;
    const answer = () => ask({ port, path: '/' }).catch(() => null);
    await waitFor('a worker that listens', answer, { timeout: patience });
    assert.deepEqual((await answer())?.text, 'cold');
    assert.ok(!daemon.output().includes('serving with'), daemon.output());
    writeFileSync(warm, '');
    await serving(daemon);
    const isReady = () => notify.datagrams.some((text) => text.includes('READY=1'));
    await waitFor('READY=1', isReady, { timeout: patience, until: (ready) => ready });

    const before = await readyPids(service);
    rmSync(warm);
    const [killed = 0] = before;
    signalPid(killed, 'SIGKILL');
    const { workers } = await untilStats(service, 'another worker', (stats) =>
      stats.workers.some(({ pid }) => pid !== null && !before.includes(pid)),
    );
    const next = workers.find(({ pid }) => pid !== null && !before.includes(pid));
    assert.notEqual(next?.phase, 'ready');
    writeFileSync(warm, '');
    const all = await untilStats(
      service,
      'two workers that are ready',
      (stats) => stats.workers.every(({ phase }) => phase === 'ready') && stats.workers.length === 2,
    );
    assert.ok(all.workers.some(({ pid }) => pid === next?.pid));
    await stopped(service);
  });
});

describe('health.check', { timeout: 1_800_000 }, () => {
  it('has a worker replaced whose app is stuck while its event loop turns', async (t) => {
    const service = await begin(t, {
      app: fixture('integration/gets-stuck.cjs'),
      env: {
        ...patient,
        ROM_AGENT_HEALTH_CHECK: '/up',
        ROM_AGENT_HEALTH_CHECK_INTERVAL: '100ms',
        ROM_AGENT_HEALTH_CHECK_TIMEOUT: '30s',
        ROM_AGENT_HEALTH_CHECK_FAILURES: '1',
      },
    });
    const { port } = service;
    await serving(service.daemon);
    const before = await readyPids(service);
    assert.equal((await ask({ port, path: '/stick' })).text, 'stuck');
    await untilStats(service, 'one worker replaced', ({ workers }) => {
      const ready = workers.filter(({ phase }) => phase === 'ready');
      const stayed = ready.filter(({ pid }) => pid !== null && before.includes(pid));
      return workers.length === 2 && ready.length === 2 && stayed.length === 1;
    });
    assert.equal((await ask({ port, path: '/up' })).status, 200);
    assert.match(
      service.daemon.output(),
      /is unhealthy: its app does not answer health\.check: GET \/up was answered with 503/,
    );
    await stopped(service);
  });
});
