import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { connectControl } from '../../../src/control/client.js';
import {
  fixture,
  patience,
  readyPids,
  type Service,
  serve,
  temporaryDirectory,
} from '../../integration/service.js';
import { backplanePid, linesOf } from '../../support/backplane.js';
import { ask } from '../../support/net.js';
import { signalPid } from '../../support/process.js';
import { waitFor } from '../../support/wait.js';

const jobs = 10_000;
const app = fixture('integration/backplane.mjs');

/** Adds all jobs while somebody is killed after each piece of them. */
async function addAll(service: Service, kill: () => Promise<void> | void): Promise<void> {
  const pieces = 20;
  for (let piece = 0; piece < pieces; piece++) {
    const path = `/add?count=${jobs / pieces}&from=${(piece * jobs) / pieces}`;
    // Whoever asks a worker that is killed asks again: the ids are the same.
    await waitFor(`piece ${piece} to be added`, () => ask({ port: service.port, path }).catch(() => null), {
      timeout: patience,
      until: (answer) => answer?.status === 200,
    });
    await kill();
  }
}

async function served(t: TestContext): Promise<Service & { readonly done: string }> {
  const directory = temporaryDirectory(t);
  const done = join(directory, 'done');
  const env = {
    DONE: done,
    ROM_AGENT_STATE_DIR: join(directory, 'state'),
    ROM_AGENT_MAX_RESTARTS: '1000',
  };
  return { ...(await serve(t, { app, env })), done };
}

async function untilAllDone(service: Service & { readonly done: string }): Promise<readonly string[]> {
  const control = connectControl({ path: service.control ?? '' });
  await waitFor('all jobs to be done', () => control.queues().catch(() => null), {
    timeout: 2 * patience,
    until: (found) => found?.queues.find(({ name }) => name === 'jobs')?.completed === jobs,
  });
  return linesOf(service.done, 'done').map((line) => line.split(' ')[0] ?? '');
}

describe(`${jobs} jobs`, () => {
  it('are done, each once, while the backplane is killed again and again', async (t) => {
    const service = await served(t);
    let kills = 0;
    await addAll(service, async () => {
      const pid = backplanePid(service.daemon.pid);
      if (pid === null) return;
      signalPid(pid, 'SIGKILL');
      kills++;
    });
    const ids = await untilAllDone(service);
    t.diagnostic(`${kills} kills of the backplane, ${ids.length} times handled`);
    assert.ok(kills > 3);
    assert.equal(new Set(ids).size, jobs, 'none lost');
    assert.equal(ids.length, jobs, 'none handled twice');
  });

  it('are done while workers are killed, some again by another worker', async (t) => {
    const service = await served(t);
    let kills = 0;
    await addAll(service, async () => {
      if (++kills % 4 !== 0) return;
      const [pid] = await readyPids(service);
      if (pid !== undefined) signalPid(pid, 'SIGKILL');
    });
    const ids = await untilAllDone(service);
    t.diagnostic(`${Math.floor(kills / 4)} kills of workers, ${ids.length - jobs} jobs handled twice`);
    assert.equal(new Set(ids).size, jobs, 'none lost');
  });
});
