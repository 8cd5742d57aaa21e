import assert from 'node:assert/strict';
import { readFileSync, statSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { plainEnvironment } from '../support/process.js';
import { waitFor } from '../support/wait.js';
import { type Ran, run } from './run.js';
import {
  connectTo,
  entriesOf,
  patience,
  problems,
  request,
  type Service,
  serve,
  stats,
  stopped,
  workbench,
} from './service.js';

interface Place {
  readonly service: Service;
  readonly stateDir: string;
  /** Runs a command against the daemon. */
  command(...args: readonly string[]): Promise<Ran>;
}

async function place(t: TestContext, env: Readonly<Record<string, string>> = {}): Promise<Place> {
  const own = plainEnvironment();
  const service = await serve(t, { app: workbench, env: { ...own, ...env } });
  return {
    service,
    stateDir: own.ROM_AGENT_STATE_DIR ?? '',
    command: (...args) => run(t, { args, env: own }),
  };
}

/** PID of the worker that serves in a slot. */
async function pidOf(service: Service, id: number): Promise<number> {
  const { workers } = await stats(service);
  return workers.find((worker) => worker.id === id)?.pid ?? 0;
}

/** Has one of the workers spin; the worker's number. */
async function spinning(t: TestContext, service: Service): Promise<number> {
  const connection = await connectTo(service);
  t.after(() => connection.close());
  connection.request(request('/spin?secret=1'), patience).catch(() => {});
  const slow = await waitFor('a worker that spins', async () => {
    const { workers } = await stats(service);
    return workers.find(({ health }) => health === 'degraded')?.id;
  });
  return slow ?? 0;
}

function modeOf(path: string): number {
  return statSync(path).mode & 0o777;
}

describe('rom-agent stack', () => {
  test('shows where a worker spins, and for whom', async (t) => {
    const { service, command } = await place(t, { ROM_AGENT_HANG_TIMEOUT: '60s' });
    const worker = await spinning(t, service);
    const { code, stdout, stderr } = await command('stack', String(worker));
    assert.equal(code, 0, stderr);
    assert.match(stdout, new RegExp(`^worker ${worker} \\(pid \\d+\\) runs .*workbench\\.mjs:\\d+:\\d+`));
    assert.match(stdout, /\n {4}at .*workbench\.mjs:\d+:\d+/);
    assert.match(stdout, /\n1 request in flight\n {4}GET \/spin {2}\d+(\.\d)? s\n$/);
  });

  test('leaves a worker that serves as it was, and its inspector closed', async (t) => {
    const { service, command } = await place(t);
    const pid = await pidOf(service, 2);
    for (const _ of [1, 2, 3]) {
      const { code, stdout } = await command('stack', '2', '--json');
      const found = JSON.parse(stdout) as { state: string; pid: number; requests: unknown };
      assert.deepEqual([code, found.pid, found.requests], [0, pid, []]);
      assert.match(found.state, /^(idle|running|starved)$/);
    }
    assert.equal(await pidOf(service, 2), pid);
    assert.deepEqual(problems(service.daemon), []);
    await stopped(service);
  });

  test('sees a worker that is stopped', async (t) => {
    const { service, command } = await place(t, { ROM_AGENT_HANG_TIMEOUT: '60s' });
    const pid = await pidOf(service, 1);
    process.kill(pid, 'SIGSTOP');
    const { stdout } = await command('stack', '1');
    assert.equal(stdout, `worker 1 (pid ${pid}) is stopped by a signal\n`);
    process.kill(pid, 'SIGCONT');
    await stopped(service);
  });

  test('says which workers there are, with 75, and what a number is, with 64', async (t) => {
    const { command } = await place(t);
    const none = await command('stack', '9');
    assert.deepEqual(
      [none.code, none.stderr],
      [75, 'rom-agent: there is no worker 9; expected one of 1, 2\n'],
    );
    assert.equal((await command('stack', 'one')).code, 64);
  });
});

describe('rom-agent profile', () => {
  test('writes a profile of a worker while it serves, for nobody else to read', async (t) => {
    const { service, stateDir, command } = await place(t);
    const pid = await pidOf(service, 1);
    const { code, stdout, stderr } = await command('profile', '1', '--seconds', '1');
    assert.equal(code, 0, stderr);
    const path = stdout.trimEnd();
    assert.equal(dirname(path), `${stateDir}/evidence`);
    assert.match(basename(path), new RegExp(`^20[\\dT.Z-]+-worker-1-pid-${pid}\\.cpuprofile$`));
    assert.deepEqual([modeOf(path), modeOf(dirname(path))], [0o600, 0o700]);
    const profile = JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>;
    for (const field of ['nodes', 'samples', 'timeDeltas']) assert.ok(Array.isArray(profile[field]), field);
    assert.equal(await pidOf(service, 1), pid);
    await stopped(service);
  });

  test('is refused while the worker writes another, with 75', async (t) => {
    const { command, service } = await place(t);
    const first = command('profile', '1', '--seconds', '60');
    await entriesOf(service.daemon, /^worker 1 writes a CPU profile/, 1);
    const second = await command('profile', '1', '--seconds', '1');
    assert.equal(second.code, 75);
    assert.equal(second.stderr, 'rom-agent: worker 1 is writing a CPU profile already\n');
    process.kill(await pidOf(service, 1), 'SIGKILL');
    assert.equal((await first).code, 75);
  });

  test('says so where the worker dies meanwhile, with 75', async (t) => {
    const { command, service } = await place(t);
    const asked = command('profile', '1', '--seconds', '30');
    await entriesOf(service.daemon, /^worker 1 writes a CPU profile/, 1);
    process.kill(await pidOf(service, 1), 'SIGKILL');
    const { code, stderr } = await asked;
    assert.equal(code, 75);
    assert.match(stderr, /the worker ended before it had written a CPU profile; the log says why/);
  });

  test('says so where there is no place for it, with 75', async (t) => {
    const { command } = await place(t, { ROM_AGENT_STATE_DIR: '/proc/nowhere' });
    const { code, stderr } = await command('profile', '1', '--seconds', '1');
    assert.equal(code, 75);
    assert.match(stderr, /^rom-agent: cannot make .*\/proc\/nowhere/);
  });
});

describe('rom-agent heap-snapshot', () => {
  test('writes a snapshot, for which the worker is not taken for hung', async (t) => {
    const { command, service } = await place(t, { ROM_AGENT_HANG_TIMEOUT: '1s' });
    const pid = await pidOf(service, 2);
    const { code, stdout, stderr } = await command('heap-snapshot', '2');
    assert.equal(code, 0, stderr);
    const path = stdout.trimEnd();
    assert.match(path, /-worker-2-pid-\d+\.heapsnapshot$/);
    assert.equal(modeOf(path), 0o600);
    const { snapshot } = JSON.parse(readFileSync(path, 'utf8')) as { snapshot: { node_count: number } };
    assert.ok(snapshot.node_count > 10_000);
    assert.equal(await pidOf(service, 2), pid);
    await stopped(service);
  });
});
