import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { describe, it } from 'node:test';
import { ask, freePort } from '../support/net.js';
import { waitFor } from '../support/wait.js';
import { patience, patient, readyPids, serve, stopped, untilStats, workbench } from './service.js';

/** The first of two ports side by side. */
async function twoPorts(): Promise<number> {
  let [first, second] = [await freePort('127.0.0.1'), await freePort('127.0.0.1')];
  while (second !== first + 1) [first, second] = [second, await freePort('127.0.0.1')];
  return first;
}

describe('a worker', { timeout: 1_800_000 }, () => {
  it('sheds what is too much, can be reached alone, also after a reload, and keeps connections as it is told', async (t) => {
    const first = await twoPorts();
    const service = await serve(t, {
      app: workbench,
      env: {
        ...patient,
        ROM_AGENT_WORKER_PORTS: String(first),
        ROM_AGENT_KEEP_ALIVE_TIMEOUT: '75s',
        ROM_AGENT_SHED_IN_FLIGHT: '1',
        ROM_AGENT_RELOAD_SOAK: '0',
        ROM_AGENT_LINGER: '0',
      },
    });
    const { daemon, routes } = service;
    const [one, two] = [first, first + 1];
    const pidAt = async (port: number) => (await ask({ port, path: '/' })).json as { pid: number };
    const [before, other] = [await pidAt(one), await pidAt(two)];
    assert.notEqual(before.pid, other.pid);
    assert.equal(
      (await ask({ port: one, path: '/', headers: { Connection: 'keep-alive' } })).headers['keep-alive'],
      'timeout=75',
    );

    const held = connect(one, '127.0.0.1').on('error', () => {});
    t.after(() => held.destroy());
    held.write('GET /hang HTTP/1.1\r\nHost: a\r\n\r\n');
    const shed = async () => (await ask({ port: one, path: '/' })).status;
    await waitFor('503', shed, { timeout: patience, until: (status) => status === 503 });
    assert.equal((await ask({ port: one, path: `${routes}/readyz` })).status, 200);
    assert.deepEqual(await pidAt(two), other);
    const { workers } = await untilStats(service, 'what was shed', (stats) =>
      stats.workers.some(({ id, shedRequests = 0 }) => id === 1 && shedRequests > 0),
    );
    assert.deepEqual(new Set(workers.map(({ keepAliveTimeoutMs }) => keepAliveTimeoutMs)), new Set([75_000]));
    await daemon.waitForLine(
      /worker 1 sheds load: it has as many in flight as shed.in_flight allows/,
      patience,
    );
    held.destroy();

    const old = await readyPids(service);
    daemon.kill('SIGHUP');
    await daemon.waitForLine(/reload to generation 2 done/, patience);
    const next = await pidAt(one);
    assert.ok(!old.includes(next.pid));
    await stopped(service);
  });
});
