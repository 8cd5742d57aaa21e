import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ask } from '../support/net.js';
import { waitFor } from '../support/wait.js';
import { fixture, patience, type Service, serve, stopped } from './service.js';

/** What test/fixtures/apps/as-a-process.cjs tells of itself. */
interface Told {
  readonly pid: number;
  readonly worker: readonly [number: string | undefined, instance: string | undefined];
  readonly argv: readonly string[];
  readonly execArgv: readonly string[];
  readonly thread: readonly string[];
  readonly child: readonly string[];
  readonly cwd: string;
  readonly messages: readonly unknown[];
}

const app = fixture('apps/as-a-process.cjs');

async function told({ port }: Service): Promise<Told> {
  const { json } = await ask({ port, path: '/', timeout: patience });
  return json as Told;
}

/** The numbers of the workers that answer, once there are two. */
async function numbers(service: Service): Promise<Map<number, Told['worker']>> {
  const found = new Map<number, Told['worker']>();
  const look = async () => {
    const { pid, worker } = await told(service);
    found.set(pid, worker);
    return found.size;
  };
  await waitFor('an answer of both workers', look, { timeout: patience, until: (size) => size >= 2 });
  return found;
}

describe('an app as a process', { timeout: 120_000 }, () => {
  it('finds no flag and no message of ours, nor do its threads and its children', async (t) => {
    const service = await serve(t, { app, env: { WORKERS: '1' } });
    const { argv, execArgv, thread, child, messages } = await told(service);
    assert.deepEqual(
      { argv, execArgv, thread, child, messages },
      {
        argv: [app],
        execArgv: [],
        thread: [],
        child: [],
        messages: [],
      },
    );
    await stopped(service);
  });

  for (const removes of ['message', 'all']) {
    it(`hears the master after it has removed listeners: ${removes}`, async (t) => {
      const service = await serve(t, { app, env: { WORKERS: '1', REMOVES: removes } });
      await told(service);
      await stopped(service);
    });
  }

  it('has the number of its slot, and so does its replacement', async (t) => {
    const service = await serve(t, { app });
    const before = await numbers(service);
    const both = [
      ['1', '0'],
      ['2', '1'],
    ];
    assert.deepEqual([...before.values()].sort(), both);
    for (const pid of before.keys()) process.kill(pid, 'SIGKILL');
    const after = await waitFor('two new workers', () => numbers(service).catch(() => new Map()), {
      timeout: patience,
      until: (found) => found.size === 2 && ![...found.keys()].some((pid) => before.has(pid)),
    });
    assert.deepEqual([...after.values()].sort(), both);
    await stopped(service);
  });
});
