import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type ClientGroup, startLoad } from '../support/load.js';
import { waitFor } from '../support/wait.js';
import { needsNotifySocket, notifySocket } from './notify-socket.js';
import {
  mixedClients,
  onlyWorkers,
  recordsOf,
  releasesServed,
  reload,
  serveReleases,
  serveReloading,
} from './releases.js';
import {
  connectToEach,
  lostNothing,
  patience,
  problems,
  readyPids,
  say,
  stats,
  stopped,
  workbench,
} from './service.js';

describe('a reload', { timeout: 1_800_000 }, () => {
  it('under mixed load replaces every worker, loses nothing, and idle clients keep their connections', async (t) => {
    const service = await serveReleases(t);
    const before = await readyPids(service);
    const idle = await connectToEach(t, service);
    const load = startLoad({ t, port: service.port, clients: mixedClients });
    await load.reached(300);
    service.tree.publish('2', 'good.mjs');
    assert.deepEqual(await reload(service), { verdict: 'done', generation: 2, reason: '' });
    await load.reached(300);
    const after = await onlyWorkers(service);
    assert.deepEqual(
      after.filter((pid) => before.includes(pid)),
      [],
    );
    await load.reached(300);
    for (const connection of idle.values()) {
      const { body, closing } = await say(connection, '/');
      assert.deepEqual([after.includes(JSON.parse(body).pid), closing], [true, false]);
    }
    const report = await lostNothing(load);
    for (const pid of [...before, ...after]) assert.ok((report.byPid.get(pid) ?? 0) > 0, `${pid} answered`);
    assert.deepEqual(await releasesServed(service), ['2']);
    assert.deepEqual(problems(service.daemon), []);
    await stopped(service);
  });

  it('leaves no moment in which a new worker has no operational routes yet', async (t) => {
    const service = await serveReloading(t, { app: workbench });
    const clients: ClientGroup[] = [{ kind: 'per-connection', count: 16, pauseMs: 10 }];
    const load = startLoad({ t, port: service.port, path: `${service.routes}/healthz`, clients });
    for (let round = 1; round <= 3; round += 1) {
      await load.reached(300);
      assert.equal((await reload(service)).verdict, 'done');
    }
    await lostNothing(load);
    await stopped(service);
  });

  it('leaves a record in the stats and in the state directory', async (t) => {
    const service = await serveReleases(t, { ROM_AGENT_RELOAD_SOAK: '100ms' });
    const load = startLoad({ t, port: service.port, clients: mixedClients });
    await load.reached(300);
    service.tree.publish('2', 'good.mjs');
    const before = Date.now();
    await reload(service);
    await onlyWorkers(service);
    const { generation, lastReload, reloads } = await stats(service);
    await lostNothing(load);
    assert.ok(lastReload !== null);
    assert.deepEqual(
      reloads.map(({ generation, verdict }) => [generation, verdict]),
      [[2, 'done']],
    );
    const { accepted, tookMs, atMs: at, moved, steps, ...record } = lastReload;
    assert.deepEqual(
      [generation, record],
      [
        2,
        {
          generation: 2,
          from: 1,
          release: `${service.tree.root}/releases/2/app.mjs`,
          serial: 1,
          by: 'SIGHUP',
          lost: 0,
          verdict: 'done',
          reason: null,
        },
      ],
    );
    assert.ok(accepted > 0 && accepted <= 10_000, `${accepted} connections`);
    assert.ok(moved >= 0, `${moved} requests in flight`);
    assert.ok(
      (tookMs ?? 0) > 0 && at >= before && at <= Date.now(),
      `${tookMs} ms, at ${new Date(at).toISOString()}`,
    );
    assert.deepEqual(
      steps.map(({ step, worker, generation }) => [step, worker, generation]),
      [
        ['begun', null, null],
        ['forked', 1, 2],
        ['ready', 1, 2],
        ['probed', 1, 2],
        ['soaked', null, null],
        ['draining', 1, 1],
        ['forked', 2, 2],
        ['ready', 2, 2],
        ['draining', 2, 1],
        ['verdict', null, null],
      ],
    );
    await stopped(service);
    assert.deepEqual(recordsOf(service), [lastReload]);
  });

  it('tells systemd once when it begins, and READY once when it is over', needsNotifySocket, async (t) => {
    const notify = await notifySocket(t);
    const service = await serveReleases(t, { NOTIFY_SOCKET: notify.path });
    const ready = () => notify.datagrams.filter((datagram) => /^READY=1$/m.test(datagram));
    await waitFor('READY of the start', () => ready().length === 1, { timeout: patience });
    service.tree.publish('2', 'good.mjs');
    await reload(service);
    await waitFor('READY of the reload', () => ready().length === 2, { timeout: patience });
    service.tree.publish('3', 'throws.mjs');
    await reload(service);
    await waitFor('READY of the rollback', () => ready().length === 3, { timeout: patience });
    const reloading = notify.datagrams.filter((datagram) => /^RELOADING=1$/m.test(datagram));
    assert.equal(reloading.length, 2);
    for (const datagram of reloading) assert.match(datagram, /^MONOTONIC_USEC=\d+$/m);
    assert.match(ready()[1] ?? '', /^STATUS=.*generation 2.*reload to generation 2 done/m);
    assert.match(
      ready()[2] ?? '',
      /^STATUS=.*generation 2.*reload to generation 3 rolled back .*no database/m,
    );
    await stopped(service);
    assert.equal(ready().length, 3);
  });
});
