import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';

import { type ClientGroup, startLoad } from '../support/load.js';
import { ask } from '../support/net.js';
import {
  begun,
  connectToEach,
  ended,
  fixture,
  lostNothing,
  patience,
  patientLinger,
  problems,
  readyPids,
  refused,
  type Service,
  serve,
  stopped,
  temporaryDirectory,
  workbench,
} from './service.js';

/** Apps that listen themselves: see test/system/apps. */
const apps = {
  'an Express app that is exported': 'apps/express-exported.cjs',
  'a Fastify instance that is exported': 'apps/fastify-exported.mjs',
  'an http.Server that is exported': 'integration/workbench.mjs',
};

const clients: readonly ClientGroup[] = [
  { kind: 'keep-alive', count: 8 },
  { kind: 'per-connection', count: 8 },
  { kind: 'pipelining', count: 4 },
];

describe('an app', { timeout: 1_800_000 }, () => {
  for (const [name, path] of Object.entries(apps)) {
    it(`is served by every worker and drained without a loss: ${name}`, async (t) => {
      const service = await serve(t, { app: fixture(path), env: patientLinger });
      const workers = await connectToEach(t, service);
      assert.deepEqual([...workers.keys()].sort(), (await readyPids(service)).sort());
      await stopUnderLoad(service);
      assert.deepEqual(problems(service.daemon), []);
    });
  }
});

describe('the heap limit', { timeout: 1_800_000 }, () => {
  it('holds for the threads that the app starts while it loads, too', async (t) => {
    const app = fixture('apps/thread-at-import.mjs');
    const service = await serve(t, { app, env: { MAX_OLD_SPACE_SIZE: '128' } });
    const limit = Number((await ask({ port: service.port, path: '/' })).text) / 2 ** 20;
    assert.ok(limit >= 128 && limit <= 192, `${limit} MiB`);
    await stopped(service);
  });
});

describe('the drain', { timeout: 1_800_000 }, () => {
  it("calls the app's own SIGTERM handler when its requests are done, and waits for it", async (t) => {
    const service = await serve(t, endsItself({ HANDLES_SIGTERM: '1' }));
    await stopWithSlowRequests(t, service);
    const told = tales(service);
    const pids = new Set(told.map(({ pid }) => pid));
    assert.equal(pids.size, 2);
    for (const pid of pids) {
      assert.deepEqual(
        told.filter((tale) => tale.pid === pid),
        [
          { event: 'handler', pid, inFlight: 0, signal: 'SIGTERM' },
          { event: 'pool closed', pid, inFlight: 0 },
        ],
      );
    }
    assert.deepEqual(problems(service.daemon), []);
  });

  it('tells the app on a diagnostics channel at its begin, and waits for its work', async (t) => {
    const service = await serve(t, endsItself({ WORK_MS: '1200', ROM_AGENT_DRAIN_TIMEOUT: '20s' }));
    await stopWithSlowRequests(t, service);
    const told = tales(service);
    const pids = new Set(told.map(({ pid }) => pid));
    assert.equal(pids.size, 2);
    for (const pid of pids) {
      const [begin, end, ...more] = told.filter((tale) => tale.pid === pid);
      assert.deepEqual([begin?.event, end?.event, more], ['drain', 'flushed', []]);
      const left = Number(begin?.left);
      assert.ok(left > 0 && left <= 20_000, `${left} ms of 20 s are left`);
    }
    assert.ok(
      told.some(({ event, inFlight }) => event === 'drain' && inFlight > 0),
      'it comes early',
    );
    assert.deepEqual(problems(service.daemon), []);
  });

  it('does not wait for work of the app past the deadline', async (t) => {
    const service = await serve(t, endsItself({ WORK_MS: '120000', ROM_AGENT_DRAIN_TIMEOUT: '1s' }));
    service.daemon.kill();
    await ended(service.daemon, 0);
    assert.deepEqual(
      tales(service).map(({ event }) => event),
      ['drain', 'drain'],
    );
  });

  it('does not wait for a SIGTERM handler past the deadline', async (t) => {
    const service = await serve(t, {
      app: fixture('integration/own-sigterm-hangs.cjs'),
      env: { ROM_AGENT_DRAIN_TIMEOUT: '1s' },
    });
    service.daemon.kill();
    await ended(service.daemon, 0);
  });
});

describe('a hosted app', { timeout: 1_800_000 }, () => {
  it('also answers the operational routes under the prefix, and keeps its own', async (t) => {
    const service = await serve(t, {
      app: fixture('apps/express-listens.cjs'),
      env: { ROM_AGENT_ROUTES_PREFIX: '/internal/ops' },
    });
    const { port } = service;
    // At once, and on both workers: it serves, so the routes are there.
    const first = Array.from({ length: 16 }, () => ask({ port, path: '/internal/ops/readyz' }));
    for (const { status, text } of await Promise.all(first)) assert.equal(status, 200, text);
    for (const route of ['/api/info', '/api/cluster/stats', '/healthz', '/readyz']) {
      assert.equal((await ask({ port, path: `/internal/ops${route}` })).status, 200, route);
      const own = await ask({ port, path: route });
      assert.deepEqual([own.status, /Cannot GET/.test(own.text)], [404, true], 'the answer of Express');
    }
    const { name } = (await ask({ port, path: '/internal/ops/api/info' })).json as { name: string };
    assert.equal(name, 'rom-agent');
    await stopped(service);
  });

  it('has no operational routes unless they are asked for', async (t) => {
    const service = await serve(t, { app: workbench, env: { ROM_AGENT_ROUTES_PREFIX: '' } });
    for (const path of ['/_ops/healthz', '/healthz', '/api/info']) {
      assert.equal((await ask({ port: service.port, path })).text, 'no such route\n');
    }
    await stopped(service);
  });

  it('finds nothing in its environment that is meant for the master', async (t) => {
    const service = await serve(t, {
      app: workbench,
      env: {
        NOTIFY_SOCKET: '/nowhere/notify',
        WATCHDOG_USEC: '30000000',
        WATCHDOG_PID: '1',
        LISTEN_PID: '1',
        LISTEN_FDS: '1',
        LISTEN_FDNAMES: 'http',
        COLOUR: 'blue',
      },
    });
    const env = (await ask({ port: service.port, path: '/env' })).json as Record<string, string>;
    const foreign = /^(NOTIFY_|WATCHDOG_|LISTEN_|ROM_AGENT_(WORKER|SUPERVISOR)$)/;
    assert.deepEqual(
      Object.keys(env).filter((name) => foreign.test(name)),
      [],
    );
    const { COLOUR, NODE_ENV, PORT } = env;
    assert.deepEqual(
      { COLOUR, NODE_ENV, PORT },
      { COLOUR: 'blue', NODE_ENV: 'production', PORT: String(service.port) },
    );
    await stopped(service);
  });

  it('may talk to PM2, which is not there, and nobody minds', async (t) => {
    const service = await serve(t, { app: fixture('apps/sends-ready.cjs') });
    assert.equal((await ask({ port: service.port, path: '/' })).status, 200);
    await stopped(service);
    assert.deepEqual(problems(service.daemon), []);
  });
});

function endsItself(env: Record<string, string>) {
  return { app: fixture('integration/ends-itself.mjs'), env };
}

interface Tale {
  readonly event: string;
  readonly pid: number;
  readonly inFlight: number;
  readonly [more: string]: unknown;
}

/** What the app that ends itself told on standard output. */
function tales({ daemon }: Service): Tale[] {
  return daemon.stdout.flatMap((line) => (line.startsWith('{"event"') ? [JSON.parse(line) as Tale] : []));
}

/** Eight requests are under way, and answered. */
async function stopWithSlowRequests(t: TestContext, service: Service): Promise<void> {
  const enough = join(temporaryDirectory(t), 'enough');
  const answers = await Promise.all(Array.from({ length: 8 }, () => begun(service, enough)));
  service.daemon.kill();
  await refused(service);
  writeFileSync(enough, '');
  for (const { pid, whole } of answers) assert.equal(await whole, `${pid}\ndone\n`);
  await ended(service.daemon, 0);
}

async function stopUnderLoad(service: Service): Promise<void> {
  const load = startLoad({ port: service.port, clients });
  await load.reached(100, patience);
  service.daemon.kill();
  await ended(service.daemon, 0);
  await lostNothing(load);
}
