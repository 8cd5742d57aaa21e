import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { connectControl } from '../../src/control/client.js';
import { backplanePid, linesOf } from '../support/backplane.js';
import { ask } from '../support/net.js';
import { signalPid } from '../support/process.js';
import { waitFor } from '../support/wait.js';
import { fixture, patience, type Service, serve, temporaryDirectory } from './service.js';

const app = fixture('integration/backplane.mjs');

async function serveQueues(t: TestContext): Promise<Service & { readonly done: string }> {
  const directory = temporaryDirectory(t);
  const done = join(directory, 'done');
  const env = { DONE: done, ROM_AGENT_STATE_DIR: join(directory, 'state') };
  return { ...(await serve(t, { app, env })), done };
}

async function call({ port }: Service, path: string): Promise<unknown> {
  const { status, json, text } = await ask({ port, path });
  assert.equal(status, 200, text);
  return json;
}

describe('the backplane', () => {
  it('does each job once while it is killed, and reaches all workers', async (t) => {
    const service = await serveQueues(t);
    const master = service.daemon.pid;
    assert.equal(await call(service, '/add?count=100'), 100);
    const first = await waitFor('the backplane', async () => backplanePid(master), {
      timeout: patience,
      until: (pid) => pid !== null,
    });
    signalPid(Number(first), 'SIGKILL');
    assert.equal(await call(service, '/add?count=100&from=50'), 50);
    await waitFor('all jobs to be done', async () => linesOf(service.done, 'done').length, {
      timeout: patience,
      until: (count) => count >= 150,
    });
    const ids = linesOf(service.done, 'done').map((line) => line.split(' ')[0]);
    assert.equal(new Set(ids).size, 150);
    assert.equal(ids.length, 150, 'none was done twice');

    const control = connectControl({ path: service.control ?? '' });
    await waitFor('the queue to be empty', () => control.queues(), {
      timeout: patience,
      until: ({ queues }) => queues[0]?.completed === 150,
    });
    await waitFor(
      'both workers to have heard',
      async () => {
        // A worker that has not found the new process of the backplane yet misses a message.
        await call(service, '/send?text=hello');
        return new Set(linesOf(service.done, 'heard')).size;
      },
      { timeout: patience, until: (count) => count === 2 },
    );
  });

  it('lets the jobs of a worker that drains end', async (t) => {
    const service = await serveQueues(t);
    const control = connectControl({ path: service.control ?? '' });
    const go = join(dirname(service.done), 'go');
    await call(service, `/add?count=1&waits-for=${encodeURIComponent(go)}`);
    await waitFor('the job to begin', async () => linesOf(service.done, 'begun').length, {
      timeout: patience,
      until: (count) => count === 1,
    });
    const reloaded = control.reload({ by: 'test', soak: false, rollback: true }, () => {});
    await waitFor('the new generation', () => control.status(), {
      timeout: patience,
      until: ({ workers }) => workers.some(({ generation, phase }) => generation === 2 && phase === 'ready'),
    });
    assert.ok(!existsSync(go));
    writeFileSync(go, '');
    await reloaded;
    await waitFor('the job to end', async () => linesOf(service.done, 'done').length, {
      timeout: patience,
      until: (count) => count > 0,
    });
    assert.deepEqual(linesOf(service.done, 'begun'), ['job-0']);
    assert.deepEqual(linesOf(service.done, 'done'), ['job-0 1'], 'by the worker that began it');
  });
});
