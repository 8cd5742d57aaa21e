import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AdminState } from '../../../src/admin/api.js';
import { ask, freePort } from '../../support/net.js';
import { waitFor } from '../../support/wait.js';
import { needsMachine, sharedMachine } from '../systemd/machine.js';
import { service } from '../systemd/service.js';
import { patience } from './browser.js';

// The admin server within the sandbox of the shipped unit.

async function stateAt(port: number): Promise<AdminState | null> {
  const { status, json } = await ask({ port, path: '/api/state' });
  return status === 200 ? (json as AdminState) : null;
}

test(
  'the admin server listens under the shipped unit, and shows the journal where its group may read it',
  needsMachine(),
  async (t) => {
    const machine = await sharedMachine();
    for (const isReader of [true, false]) {
      const port = await freePort('127.0.0.1');
      const own = await service(machine, t, {
        name: isReader ? 'admin-reader' : 'admin-blind',
        app: 'misbehaves.cjs',
        env: { ROM_AGENT_ADMIN: `127.0.0.1:${port}` },
        settings: isReader ? ['SupplementaryGroups=systemd-journal'] : [],
      });
      await own.start();
      await own.logged(/^the admin server listens on 127\.0\.0\.1:\d+/);
      await own.get('/say');
      await own.logged(/the app says hello/);
      const line = isReader ? /the app says hello/ : /^serving with 2 workers/;
      const state = await waitFor('the log', () => stateAt(port), {
        timeout: patience,
        until: (found) => (found?.logs ?? []).some(({ message }) => line.test(message)),
      });
      assert.equal(state?.daemon.state, 'up');
      assert.match(
        state?.logSource ?? '',
        isReader ? /^the journal/ : /^the master's own lines: .* cannot be read/,
      );
      assert.deepEqual(await own.warnings(), []);
      await own.systemctl('stop');
    }
  },
);

test(
  'the unix socket of the admin server has the mode that is set and the group of the service, and goes with it',
  needsMachine(),
  async (t) => {
    const machine = await sharedMachine();
    const path = '/run/rom-agent/admin.sock';
    const own = await service(machine, t, {
      name: 'admin-socket',
      env: { ROM_AGENT_ADMIN: path, ROM_AGENT_ADMIN_SOCKET_MODE: '0660' },
    });
    await own.start();
    await own.logged(/^the admin server listens on \/run\/rom-agent\/admin\.sock/);
    const master = await own.master();
    const [socket, process] = await Promise.all(
      [path, `/proc/${master}`].map((of) => machine.must(['stat', '--format=%a %U %G', of])),
    );
    assert.match(socket ?? '', /^660 /);
    assert.deepEqual(socket?.trim().split(' ').slice(1), process?.trim().split(' ').slice(1));
    const answer = await machine.must([
      'curl',
      '--silent',
      '--unix-socket',
      path,
      'http://localhost/metrics',
    ]);
    assert.match(answer, /^rom_agent_workers/m);
    await own.systemctl('stop');
    await assert.rejects(machine.must(['stat', path]));
  },
);
