import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { type ClientGroup, type Load, startLoad } from '../support/load.js';
import { signalPid } from '../support/process.js';
import { waitFor } from '../support/wait.js';
import {
  connectTo,
  lostNothing,
  patience,
  patient,
  problems,
  readyPids,
  type Service,
  say,
  serve,
  stats,
  stopped,
  untilStats,
} from './service.js';

/** Waits until no ready worker has many more open connections than the others. */
async function evenedOut(service: Service, atLeast: number): Promise<void> {
  const connectionsOf = (stats: { workers: readonly { phase: string; connections: number }[] }) =>
    stats.workers.flatMap(({ phase, connections }) => (phase === 'ready' ? [connections] : []));
  await untilStats(service, 'the connections to be evened out', (seen) => {
    const counts = connectionsOf(seen);
    const total = counts.reduce((sum, count) => sum + count, 0);
    return total >= atLeast && Math.max(...counts) <= (total / counts.length) * 1.1 + 1;
  });
}

/** A load that begins while the worker with this PID does not accept, so that all of it comes to the others. */
async function beside(t: TestContext, service: Service, options: Beside): Promise<Load> {
  const { stopped: pid, clients } = options;
  signalPid(pid, 'SIGSTOP');
  try {
    const load = startLoad({ t, port: service.port, path: '/api/info', clients });
    const count = clients.reduce((sum, group) => sum + group.count, 0);
    await load.until(({ ok }) => ok >= count);
    return load;
  } finally {
    signalPid(pid, 'SIGCONT');
  }
}

interface Beside {
  readonly stopped: number;
  readonly clients: readonly ClientGroup[];
}

/** Kept connections that one worker has accepted, each with an answer on it. */
async function clientsOfOne(t: TestContext, service: Service, count: number) {
  const pid = await onePid(service, 1);
  signalPid(pid, 'SIGSTOP');
  const clients = await Promise.all(Array.from({ length: count }, () => connectTo(service)));
  t.after(() => {
    for (const client of clients) client.close();
  });
  const pidsOf = (): Promise<number[]> =>
    Promise.all(clients.map(async (client) => JSON.parse((await say(client, '/api/info')).body).pid));
  const first = new Set(await pidsOf());
  signalPid(pid, 'SIGCONT');
  assert.equal(first.size, 1);
  return { pidsOf };
}

async function onePid(service: Service, place = 0): Promise<number> {
  const pid = (await readyPids(service))[place];
  assert.ok(pid !== undefined);
  return pid;
}

/**
 * None without a pause: what is compared are reports of one moment, which workers cannot make that have no moment left.
 * What a machine without one does is for the benchmarks.
 */
const mixed: readonly ClientGroup[] = [
  { kind: 'keep-alive', count: 12, pauseMs: 40 },
  { kind: 'keep-alive', count: 12, pauseMs: 100 },
  { kind: 'pipelining', count: 8, pauseMs: 80 },
  { kind: 'slow-body', count: 6, pauseMs: 80, path: '/api/info', expectStatus: 405 },
  { kind: 'per-connection', count: 2, pauseMs: 80 },
];

describe('kept connections', { timeout: 1_800_000 }, () => {
  it('of a burst that one worker took are evened out, and nobody has to connect again', async (t) => {
    const service = await serve(t, { env: patient });
    const clients: ClientGroup[] = [{ kind: 'keep-alive', count: 64, pauseMs: 20 }];
    const load = await beside(t, service, { stopped: await onePid(service), clients });
    await evenedOut(service, 64);
    const report = await lostNothing(load);
    assert.equal(report.idleCloses, 0);
    assert.equal(report.connections, 64, 'nobody had to connect again');
    await stopped(service);
  });

  it('of two clients that came to one worker go to one each', async (t) => {
    const service = await serve(t, { env: patient });
    const { pidsOf } = await clientsOfOne(t, service, 2);
    await waitFor('a client on each worker', pidsOf, {
      timeout: patience,
      until: ([one, other]) => one !== other,
    });
    await stopped(service);
  });

  it('are handed on again and again under mixed load, and no request is lost', async (t) => {
    const service = await serve(t, { env: patient });
    const load = startLoad({ t, port: service.port, path: '/api/info', clients: mixed, maxMs: 500_000 });
    for (let round = 0; round < 4; round += 1) {
      const more = await beside(t, service, {
        stopped: await onePid(service, round % 2),
        clients: [
          { kind: 'keep-alive', count: 16, pauseMs: 40 },
          { kind: 'pipelining', count: 8, pauseMs: 40 },
          { kind: 'keep-alive', count: 8, pauseMs: 50 },
        ],
      });
      await evenedOut(service, 60);
      await load.reached(200);
      const report = await lostNothing(more);
      assert.equal(report.idleCloses, 0);
    }
    await lostNothing(load);
    assert.deepEqual(problems(service.daemon), []);
    await stopped(service);
  });

  it('reach workers that are added, and are not lost by a reload between', async (t) => {
    const service = await serve(t, { env: { ...patient, ROM_AGENT_RELOAD_SOAK: '0' } });
    const load = startLoad({ t, port: service.port, path: '/api/info', clients: mixed, maxMs: 500_000 });
    await load.reached(200);
    for (const workers of [3, 4]) {
      service.daemon.kill('SIGTTIN');
      await untilStats(service, `${workers} workers`, ({ ready }) => ready === workers);
      await evenedOut(service, 38);
    }
    service.daemon.kill('SIGHUP');
    await untilStats(service, 'the reload', ({ lastReload }) => lastReload?.verdict === 'done');
    await evenedOut(service, 38);
    for (const workers of [3, 2]) {
      service.daemon.kill('SIGTTOU');
      await untilStats(
        service,
        `${workers} workers`,
        ({ wanted, ready }) => wanted === workers && ready === workers,
      );
    }
    await evenedOut(service, 38);
    await load.reached(200);
    await lostNothing(load);
    await stopped(service);
  });

  it('stay where they are with balance off', async (t) => {
    const service = await serve(t, { env: { ROM_AGENT_BALANCE: 'off' } });
    const { pidsOf } = await clientsOfOne(t, service, 8);
    const before = new Set(await pidsOf());
    assert.equal(before.size, 1);
    const [busy] = before;
    // Heartbeats of both workers that tell of the connections: two seconds' worth.
    const { workers } = await stats(service);
    const uptimeOf = (seen: { workers: typeof workers }) =>
      seen.workers.find(({ pid }) => pid === busy)?.uptimeSeconds ?? 0;
    await untilStats(service, 'heartbeats', (seen) => uptimeOf(seen) >= uptimeOf({ workers }) + 3);
    assert.deepEqual(new Set(await pidsOf()), before);
    await stopped(service);
  });
});
