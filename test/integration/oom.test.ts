import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import type { readMemory } from '../../src/master/memory.js';
import { freePort } from '../support/net.js';
import { memoryCgroups } from './memory-cgroup.js';
import { startUnder } from './run.js';
import {
  connectTo,
  entries,
  entriesOf,
  fixture,
  patience,
  patient,
  request,
  type Service,
  say,
  serving,
  stats,
  stopped,
  temporaryDirectory,
  untilStats,
} from './service.js';

const mebibyte = 2 ** 20;
const make = memoryCgroups();
const skip = typeof make === 'string' && make;

/** A service in a cgroup of so much memory, with an app that eats. */
async function limited(
  t: TestContext,
  mebibytes: number,
  env: Readonly<Record<string, string>> = {},
): Promise<Service> {
  assert.ok(typeof make !== 'string');
  const { enter, remove } = make(mebibytes * mebibyte);
  const port = await freePort('127.0.0.1');
  const control = join(temporaryDirectory(t), 'control.sock');
  const daemon = startUnder(t, {
    args: ['serve', fixture('integration/eats-memory.mjs')],
    under: enter,
    env: {
      HOST: '127.0.0.1',
      PORT: String(port),
      WORKERS: '2',
      ROM_AGENT_ROUTES_PREFIX: '/_ops',
      ROM_AGENT_CONTROL_SOCKET: control,
      ...env,
    },
  });
  t.after(remove);
  await serving(daemon);
  return { daemon, port, routes: '/_ops', control };
}

describe('a worker that the kernel kills for memory', { skip }, () => {
  test('is named as such in one entry and in the stats, and replaced', async (t) => {
    const service = await limited(t, 300, { ...patient, ROM_AGENT_MEMORY_PRESSURE: '0' });
    const connection = await connectTo(service);
    t.after(() => connection.close());
    connection.request(request('/eat?mib=400'), patience).catch(() => {});
    const { deaths, restarts } = await untilStats(
      service,
      'another worker',
      (told) => told.ready === 2 && told.restarts > 0,
    );
    // Where the first one takes its time to end, the kernel kills the next.
    assert.equal(deaths.length, restarts);
    for (const { kind, signal, oomKills } of deaths) {
      assert.deepEqual([kind, signal, oomKills > 0 && oomKills <= restarts], ['crash', 'SIGKILL', true]);
    }
    const told = await entriesOf(service.daemon, /^worker \d crashed/, restarts);
    assert.equal(told.length, restarts);
    for (const { msg, signal, oomKills } of told) {
      assert.match(msg, /killed by the kernel for memory/);
      assert.deepEqual([signal, Number(oomKills) > 0], ['SIGKILL', true]);
    }
    await stopped(service);
  });

  test('is not confused with one that somebody else kills', async (t) => {
    const service = await limited(t, 300, patient);
    const { workers } = await stats(service);
    process.kill(workers[0]?.pid ?? 0, 'SIGKILL');
    const [entry] = await entriesOf(service.daemon, /^worker \d crashed/, 1);
    assert.equal(entry?.msg, 'worker 1 crashed: ended by SIGKILL');
    await stopped(service);
  });
});

describe('a cgroup that runs out of memory', { skip }, () => {
  test('has the worker with the most memory drained before the kernel chooses', async (t) => {
    // Some 60 MiB are there before it eats. What counts as too much lies in the middle of the meal, and the limit
    // well above its end: neither a leaner nor a fatter daemon may decide this test.
    const service = await limited(t, 280, { ...patient, ROM_AGENT_MEMORY_PRESSURE: '50' });
    const connection = await connectTo(service);
    t.after(() => connection.close());
    const { body } = await say(connection, '/eat?mib=150').catch(({ message }: Error) =>
      assert.fail(`${message}\n${service.daemon.output()}`),
    );
    // Not who had the connection before: kept connections move.
    const { pid: fattest } = JSON.parse(body) as { pid: number };
    await untilStats(
      service,
      'a worker in its place',
      ({ ready, workers }) => ready === 2 && workers.every(({ pid }) => pid !== fattest),
    );
    const warnings = entries(service.daemon).filter(({ level }) => level === 'warn');
    assert.match(warnings.map(({ msg }) => msg).join('\n'), /memory/);
    assert.deepEqual(
      entries(service.daemon).filter(({ level }) => level === 'error'),
      [],
    );
    await stopped(service);
  });
});

describe('the memory of this process', { skip }, () => {
  test('is read by its cgroup', async () => {
    assert.ok(typeof make !== 'string');
    const { directory, enter, remove } = make(100 * mebibyte);
    const [shell = '', ...rest] = enter;
    const program = new URL('./read-memory.js', import.meta.url).pathname;
    const { stdout } = spawnSync(shell, [...rest, process.execPath, program], { encoding: 'utf8' });
    await remove();
    const reading = JSON.parse(stdout) as ReturnType<typeof readMemory>;
    assert.equal(reading?.limit, 100 * mebibyte, directory);
    assert.ok(reading.used > mebibyte && reading.used < 100 * mebibyte, stdout);
  });
});
