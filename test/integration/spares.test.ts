import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { startLoad } from '../support/load.js';
import { ask } from '../support/net.js';
import { waitFor } from '../support/wait.js';
import {
  entriesOf,
  fixture,
  lostNothing,
  patience,
  patientLinger,
  readyPids,
  type Service,
  serve,
  stats,
  stopped,
  untilStats,
} from './service.js';

const sick = fixture('integration/sick.mjs');

async function withSpare(
  t: TestContext,
  app: string | undefined,
): Promise<{ service: Service; spare: number }> {
  const options = { flags: ['--spares', '1'], env: patientLinger, ...(app === undefined ? {} : { app }) };
  const service = await serve(t, options);
  return { service, spare: await sparePid(service) };
}

async function sparePid(service: Service): Promise<number> {
  const { workers } = await untilStats(service, 'a spare', ({ spares }) => spares.ready === 1);
  const spare = workers.find(({ phase }) => phase === 'spare');
  assert.equal(spare?.id, null);
  return spare?.pid ?? assert.fail();
}

describe('a spare', { timeout: 1_800_000 }, () => {
  for (const [what, app] of Object.entries({
    'the built-in app': undefined,
    'an app that is exported': sick,
    'an Express app that listens itself': fixture('apps/express-listens.cjs'),
    'a Fastify app that listens itself': fixture('apps/fastify-listens.mjs'),
  })) {
    it(`of ${what} takes over from a worker that is killed, and another one waits`, async (t) => {
      const { service, spare } = await withSpare(t, app);
      const [victim = assert.fail()] = await readyPids(service);
      process.kill(victim, 'SIGKILL');
      await waitFor('the spare to be ready', () => readyPids(service), {
        timeout: patience,
        until: (pids) => pids.includes(spare) && !pids.includes(victim),
      });
      assert.notEqual(await sparePid(service), spare);
      const { spares, wanted, ready } = await stats(service);
      assert.deepEqual({ spares, wanted, ready }, { spares: { wanted: 1, ready: 1 }, wanted: 2, ready: 2 });
      await stopped(service);
    });
  }

  it('gets no request before it is promoted, and answers under its new number', async (t) => {
    const { service, spare } = await withSpare(t, undefined);
    const answers = () =>
      Promise.all(
        Array.from({ length: 40 }, async () => {
          const { json } = await ask({ port: service.port, path: '/api/info' });
          return json as { pid: number; worker: number };
        }),
      );
    assert.ok((await answers()).every(({ pid }) => pid !== spare));
    const [victim] = await readyPids(service);
    process.kill(victim ?? assert.fail(), 'SIGKILL');
    const own = await waitFor(
      'an answer of the spare',
      async () => (await answers().catch(() => [])).find(({ pid }) => pid === spare),
      { timeout: patience },
    );
    assert.ok(own?.worker === 1 || own?.worker === 2, `worker ${own?.worker}`);
    await stopped(service);
  });

  it('that dies is replaced, and nobody notices', async (t) => {
    const { service, spare } = await withSpare(t, sick);
    const before = await readyPids(service);
    process.kill(spare, 'SIGKILL');
    await untilStats(
      service,
      'another spare',
      ({ spares, workers }) => spares.ready === 1 && workers.every(({ pid }) => pid !== spare),
    );
    assert.deepEqual(await readyPids(service), before);
    await stopped(service);
  });

  it('ends with the service, under load and without a loss', async (t) => {
    const { service } = await withSpare(t, undefined);
    const load = startLoad({
      t,
      port: service.port,
      path: '/api/info',
      clients: [{ kind: 'keep-alive', count: 8 }],
    });
    await load.reached(200);
    service.daemon.kill('SIGTERM');
    await service.daemon.waitForExit(patience);
    await lostNothing(load);
  });

  it('of the old release is not used after a reload', async (t) => {
    const { service, spare } = await withSpare(t, sick);
    service.daemon.kill('SIGHUP');
    await entriesOf(service.daemon, /^reload to generation 2 done/, 1);
    const { workers } = await untilStats(service, 'a new spare', ({ workers }) =>
      workers.some(({ phase, generation }) => phase === 'spare' && generation === 2),
    );
    await waitFor('the end of the old spare', () => stats(service), {
      timeout: patience,
      until: ({ workers }) => workers.every(({ pid }) => pid !== spare),
    });
    assert.ok(workers.every(({ phase, generation }) => phase !== 'spare' || generation === 2));
    await stopped(service);
  });
});
