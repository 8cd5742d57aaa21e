import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { block, blockable } from '../support/block.js';
import { waitFor } from '../support/wait.js';
import { begin, entries, nothingLeft, patience, type Service, stopped } from './service.js';

const skip = process.platform !== 'linux' && 'reads /proc';
const env = { ...blockable, WORKERS: '1', ROM_AGENT_HEALTH_MASTER_TIMEOUT: '2s', LOG_LEVEL: 'debug' };

/** A daemon that serves, and whose master is watched. */
async function watched(t: TestContext, more: Readonly<Record<string, string>> = {}): Promise<Service> {
  const service = await begin(t, { env: { ...env, ...more } });
  await service.daemon.waitForLine(/a thread watches the event loop of the master/, patience);
  return service;
}

describe('a master whose event loop stands still', { skip }, () => {
  test('is aborted with a line in the log, without a service manager that watches', async (t) => {
    const { daemon } = await watched(t);
    const begun = performance.now();
    const begunAt = Date.now();
    await block(daemon.pid);
    assert.deepEqual(await daemon.waitForExit(patience), { code: null, signal: 'SIGABRT' });
    assert.ok(performance.now() - begun > 1_900, 'not before its time');
    const [entry, ...more] = entries(daemon).filter(({ level }) => level === 'fatal');
    assert.deepEqual(more, []);
    assert.match(entry?.msg ?? '', /^master event loop stalled for 2 s/);
    assert.deepEqual([entry?.pid, entry?.role], [daemon.pid, 'master']);
    const at = Date.parse(entry?.time ?? '');
    assert.ok(at >= begunAt && at <= Date.now(), entry?.time);
    // Its workers end as after any other death of their master.
    await nothingLeft(daemon);
  });

  test('says so in the layout of its log', async (t) => {
    const { daemon } = await watched(t, { LOG_FORMAT: 'journal' });
    await block(daemon.pid);
    assert.deepEqual(await daemon.waitForExit(patience), { code: null, signal: 'SIGABRT' });
    assert.match(daemon.output(), /^<2>master event loop stalled for .* role=master pid=\d+$/m);
  });
});

describe('a master that is well', { skip }, () => {
  test('ends as it would without the thread', async (t) => {
    await stopped(await watched(t));
  });

  test('is left alone when it was stopped for longer than it may stand still', async (t) => {
    const service = await watched(t);
    service.daemon.kill('SIGSTOP');
    await waitFor('the stop', () =>
      /^State:\s+T/m.test(readFileSync(`/proc/${service.daemon.pid}/status`, 'utf8')),
    );
    // That time passes is what is to be seen here.
    await sleep(3_000);
    service.daemon.kill('SIGCONT');
    await stopped(service);
  });
});
