import assert from 'node:assert/strict';
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import type { PublicStats } from '../../src/protocol/stats.js';
import { ask, freePort } from '../support/net.js';
import { waitFor } from '../support/wait.js';
import { cpuQuota } from './cgroup.js';
import { hasCommand, run, startUnder } from './run.js';
import {
  type begin,
  connectToEach,
  ended,
  entries,
  patience,
  readyPids,
  say,
  serve,
  serving,
  stats,
  stopped,
  temporaryDirectory,
  workbench,
} from './service.js';

const info = '/api/info';
const linux = process.platform === 'linux';
const severalCpus = availableParallelism() > 1;

describe('the built-in app', { timeout: 1_800_000 }, () => {
  it('is served by every worker, and each knows the whole service', async (t) => {
    const service = await serve(t);
    const workers = await connectToEach(t, service, { path: info });
    for (const [pid, connection] of workers) {
      const about = JSON.parse((await say(connection, info)).body) as Record<string, unknown>;
      assert.deepEqual([about.name, about.pid, about.mode], ['rom-agent', pid, 'cluster']);
      const told = JSON.parse((await say(connection, '/api/cluster/stats')).body) as PublicStats;
      assert.deepEqual(told.workers.map((worker) => worker.pid).sort(), [...workers.keys()].sort());
      assert.deepEqual(
        [told.status, told.ready, told.wanted, told.restarts, told.master.pid],
        ['serving', 2, 2, 0, service.daemon.pid],
      );
      assert.deepEqual((await say(connection, '/healthz')).status, 200);
      assert.deepEqual((await say(connection, '/readyz')).status, 200);
    }
    await stopped(service);
  });

  it('shows the requests of a worker in the statistics of the master', async (t) => {
    const service = await serve(t);
    await Promise.all(Array.from({ length: 20 }, () => ask({ port: service.port, path: info })));
    const told = await waitFor('20 requests', () => stats(service), {
      timeout: patience,
      until: ({ requests }) => requests >= 20,
    });
    assert.ok(told.workers.every(({ rssBytes }) => rssBytes > 0));
    await stopped(service);
  });
});

describe('the mode', { timeout: 1_800_000, skip: !linux && 'reads /proc' }, () => {
  it('single is one worker with a heap of 512 MiB', async (t) => {
    const service = await serve(t, { flags: ['--mode', 'single'], env: { WORKERS: '' } });
    assert.deepEqual(await heaps(service), [['--max-old-space-size=512', '--max-semi-space-size=16']]);
    await stopped(service);
  });

  it('cluster is a worker a CPU, each with the heap of MAX_OLD_SPACE_SIZE', async (t) => {
    const service = await serve(t, {
      flags: ['--mode', 'cluster'],
      env: { WORKERS: '', MAX_OLD_SPACE_SIZE: '128' },
    });
    const wanted = Array(await allowedCpus(t)).fill(['--max-old-space-size=128', '--max-semi-space-size=16']);
    assert.deepEqual(await heaps(service), wanted);
    await stopped(service);
  });

  it('turbo shares a budget out among the workers and has large semi-spaces', async (t) => {
    const service = await serve(t, {
      flags: ['--mode', 'turbo'],
      env: { WORKERS: '3', ROM_AGENT_MEMORY_BUDGET: '601' },
    });
    const wanted = Array(3).fill(['--max-old-space-size=200', '--max-semi-space-size=64']);
    assert.deepEqual(await heaps(service), wanted);
    await stopped(service);
  });
});

describe('the number of workers', { timeout: 1_800_000 }, () => {
  for (const [what, { env, flags, wanted }] of Object.entries({
    'follows WORKERS': { env: { WORKERS: '3' }, flags: [], wanted: 3 },
    'follows WEB_CONCURRENCY': { env: { WORKERS: '', WEB_CONCURRENCY: '3' }, flags: [], wanted: 3 },
    'follows --workers over both': {
      env: { WORKERS: '3', WEB_CONCURRENCY: '4' },
      flags: ['--workers', '1'],
      wanted: 1,
    },
  })) {
    it(what, async (t) => {
      const service = await serve(t, { env, flags });
      assert.equal((await readyPids(service)).length, wanted);
      await stopped(service);
    });
  }

  it('is what the CPU affinity allows', {
    skip: (!hasCommand('taskset') && 'no taskset here') || (!severalCpus && 'needs two CPUs'),
  }, async (t) => {
    await onOneCpu(t, ['taskset', '-c', firstCpu()]);
  });

  const quota = cpuQuota();
  it('is what the CPU quota of the cgroup allows', {
    skip: (typeof quota === 'string' && quota) || (!severalCpus && 'needs two CPUs'),
  }, async (t) => {
    assert.ok(typeof quota !== 'string');
    const { directory, remove } = quota.make(0.7);
    const under = ['/bin/sh', '-c', 'echo $$ > "$0/cgroup.procs" && exec "$@"', directory];
    // Hooks run in the order in which they were given: the processes in the cgroup are ended first.
    await onOneCpu(t, under).finally(() => t.after(remove));
  });
});

describe('the address', { timeout: 1_800_000 }, () => {
  it('is HOST and PORT', async (t) => {
    const { daemon, port } = await serve(t, { env: { HOST: '127.0.0.2' } });
    assert.equal((await ask({ host: '127.0.0.2', port, path: info })).status, 200);
    await assert.rejects(ask({ port, path: info }), /ECONNREFUSED/);
    daemon.kill();
    await ended(daemon, 0);
  });

  it('with port 0 is one free port for all workers, and the log says which', async (t) => {
    const { daemon } = await serve(t, { env: { PORT: '0' } });
    const [{ urls } = { urls: undefined }] = entries(daemon).filter(({ msg }) => /^serving/.test(msg));
    const [url, ...others] = urls as string[];
    assert.deepEqual(others, []);
    const port = Number(new URL(url ?? '').port);
    assert.ok(port > 0);
    await connectToEach(t, { port }, { path: info });
    daemon.kill();
    await ended(daemon, 0);
  });

  it('may be a unix socket, which has the wanted permissions and is removed at the end', async (t) => {
    const socketPath = join(temporaryDirectory(t), 'web.sock');
    const { daemon } = await serve(t, { env: { HOST: socketPath, ROM_AGENT_SOCKET_MODE: '0660' } });
    assert.equal((statSync(socketPath).mode & 0o777).toString(8), '660');
    await connectToEach(t, { socketPath }, { path: info });
    daemon.kill();
    await ended(daemon, 0);
    assert.equal(existsSync(socketPath), false);
  });

  it('may be a unix socket that a killed daemon left behind', async (t) => {
    const socketPath = join(temporaryDirectory(t), 'web.sock');
    const killed = await serve(t, { env: { HOST: socketPath } });
    killed.daemon.killGroup('SIGKILL');
    await killed.daemon.waitForExit();
    assert.equal(existsSync(socketPath), true, 'there is something to replace');
    const { daemon } = await serve(t, { env: { HOST: socketPath } });
    assert.equal((await ask({ socketPath, path: info })).status, 200);
    daemon.kill();
    await ended(daemon, 0);
  });

  it('may not be a unix socket that is in use: that daemon goes on serving', async (t) => {
    const socketPath = join(temporaryDirectory(t), 'web.sock');
    const first = await serve(t, { env: { HOST: socketPath } });
    const { code, lines } = await run(t, { args: ['serve'], env: { HOST: socketPath, WORKERS: '1' } });
    assert.deepEqual([code, lines], [69, [`rom-agent: socket ${socketPath} is in use by another process`]]);
    assert.equal((await ask({ socketPath, path: info })).status, 200);
    await stopped(first);
  });

  it('may not be a file that is no socket: that is left alone', async (t) => {
    const path = join(temporaryDirectory(t), 'notes.txt');
    writeFileSync(path, 'mine');
    const { code, lines } = await run(t, { args: ['serve'], env: { HOST: path, WORKERS: '1' } });
    assert.deepEqual([code, lines.length], [73, 1], lines.join('\n'));
    assert.match(lines[0] ?? '', /notes\.txt exists and is not a socket/);
    assert.equal(readFileSync(path, 'utf8'), 'mine');
  });
});

describe('.env', { timeout: 1_800_000 }, () => {
  it('sets what the environment does not, for the master and for the app', async (t) => {
    const cwd = temporaryDirectory(t);
    const port = await freePort('127.0.0.1');
    writeFileSync(
      join(cwd, '.env'),
      `GREETING="good morning"\nWORKERS=1\nROM_AGENT_LINGER=0\nNODE_ENV=staging\n`,
    );
    const service = await serve(t, { app: workbench, cwd, env: { PORT: String(port), NODE_ENV: 'test' } });
    const { json } = await ask({ port, path: '/env' });
    const { GREETING, WORKERS, NODE_ENV, PORT, HOST } = json as Record<string, string>;
    assert.deepEqual(
      { GREETING, WORKERS, NODE_ENV, PORT, HOST },
      { GREETING: 'good morning', WORKERS: '2', NODE_ENV: 'test', PORT: String(port), HOST: '127.0.0.1' },
    );
    assert.equal((await readyPids(service)).length, 2);
    await stopped(service);
  });
});

describe('the command line', { timeout: 1_800_000 }, () => {
  it('prints the version, and how it is used', async (t) => {
    const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
      version: string;
    };
    const shown = await run(t, { args: ['--version'] });
    assert.deepEqual([shown.code, shown.stdout, shown.stderr], [0, `${version}\n`, '']);
    for (const args of [['--help'], ['serve', '--help'], ['help', 'check']]) {
      const { code, stdout, stderr } = await run(t, { args });
      assert.deepEqual([code, stderr], [0, ''], args.join(' '));
      assert.match(stdout, /Usage: rom-agent/);
    }
  });

  for (const args of [['--bogus'], ['serve', '--bogus'], ['frobnicate'], ['serve', 'a.js', 'b.js'], []]) {
    it(`refuses ${JSON.stringify(args)} with status 64 and a hint`, async (t) => {
      const { code, stdout, stderr } = await run(t, { args });
      assert.deepEqual([code, stdout], [64, '']);
      assert.match(stderr, args.length === 0 ? /Usage: rom-agent/ : /error: .*\n.*--help/);
    });
  }

  it('checks the configuration: values, and where each comes from', async (t) => {
    const { code, stdout, stderr } = await run(t, {
      args: ['check', '--drain-timeout', '7s'],
      env: { PORT: '8080', WEB_CONCURRENCY: '5' },
    });
    assert.deepEqual([code, stderr], [0, '']);
    assert.match(stdout, /^port +8080 +PORT in the environment$/m);
    assert.match(stdout, /^drain_timeout +7s +--drain-timeout$/m);
    assert.match(stdout, /^workers +5 +WEB_CONCURRENCY in the environment$/m);
    assert.match(stdout, /^linger +500ms +default$/m);
  });

  it('checks the configuration: everything that is wrong at once, with status 78', async (t) => {
    const { code, stdout, stderr } = await run(t, {
      args: ['check', '--linger', 'soon'],
      env: { PORT: '80000', WORKERS: '-1' },
    });
    assert.deepEqual([code, stdout], [78, '']);
    for (const part of [
      /^port: "80000" \(from PORT in the environment\)/m,
      /^workers: "-1"/m,
      /^linger: "soon" \(from --linger\)/m,
    ]) {
      assert.match(stderr, part);
    }
    assert.equal(stderr.trimEnd().split('\n').length, 3, stderr);
  });

  it('checks the configuration: an app that does not exist has status 66', async (t) => {
    const { code, stderr } = await run(t, { args: ['check', 'nowhere.js'] });
    assert.equal(code, 66);
    assert.match(stderr, /^app: ".*nowhere\.js" \(from the argument\) does not exist$/m);
  });

  it('serves nothing with a wrong configuration: status 78 and a line for each error', async (t) => {
    const { code, stdout, stderr } = await run(t, { args: ['serve'], env: { PORT: 'http', WORKERS: '0' } });
    assert.deepEqual([code, stdout], [78, '']);
    assert.deepEqual(
      stderr.split('\n').map((line) => line.slice(0, 25)),
      ['rom-agent: workers: "0" (', 'rom-agent: port: "http" (', ''],
    );
  });
});

/** Starts under a command that leaves it one CPU, and looks for the one worker. */
async function onOneCpu(t: TestContext, under: readonly string[]): Promise<void> {
  const port = await freePort('127.0.0.1');
  const env = { PORT: String(port), HOST: '127.0.0.1' };
  const daemon = startUnder(t, { args: ['serve'], env, under });
  await serving(daemon);
  assert.equal((await readyPids({ daemon, port, routes: '' })).length, 1);
  assert.equal(((await ask({ port, path: info })).json as { cpus: number }).cpus, 1);
  daemon.kill();
  await ended(daemon, 0);
}

/** The heap flags of each worker, by slot. */
async function heaps(service: Awaited<ReturnType<typeof begin>>): Promise<string[][]> {
  const pids = await readyPids(service);
  return pids.map((pid) =>
    readFileSync(`/proc/${pid}/cmdline`, 'utf8')
      .split('\0')
      .filter((argument) => /^--max-(old|semi)-space-size=/.test(argument)),
  );
}

async function allowedCpus(t: TestContext): Promise<number> {
  const { stdout } = await run(t, { args: ['check', '--json'] });
  return (JSON.parse(stdout) as { settings: { workers: { value: number } } }).settings.workers.value;
}

function firstCpu(): string {
  const allowed = /^Cpus_allowed_list:\s*(\d+)/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
  return allowed ?? '0';
}
