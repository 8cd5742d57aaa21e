import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { allWait } from '../../src/protocol/wait-status.js';
import { ask } from '../support/net.js';
import { waitFor } from '../support/wait.js';
import { needsNotifySocket, notifySocket } from './notify-socket.js';
import { begin, ended, fixture, patience, patient, serve, serving, stopped } from './service.js';

const app = fixture('integration/who.cjs');

describe('a service whose port another one has', { timeout: 1_800_000 }, () => {
  for (const dispatch of ['shared', 'round-robin'])
    it(
      `boots beside it, waits, and takes the port when that ends, with dispatch ${dispatch}`,
      needsNotifySocket,
      async (t) => {
        const blue = await serve(t, { app, env: { ...patient, COLOUR: 'blue' } });
        const notify = await notifySocket(t);
        const green = await begin(t, {
          app,
          env: {
            ...patient,
            COLOUR: 'green',
            PORT: String(blue.port),
            ROM_AGENT_DISPATCH: dispatch,
            ROM_AGENT_LISTEN_WAIT: '1h',
            NOTIFY_SOCKET: notify.path,
          },
        });
        const waits = () => notify.datagrams.some((text) => allWait(text));
        await waitFor('green to wait for the port', waits, { timeout: patience });
        assert.equal((await ask({ port: blue.port, path: '/' })).text, 'blue');
        blue.daemon.kill('SIGTERM');
        await serving(green.daemon);
        assert.equal((await ask({ port: blue.port, path: '/' })).text, 'green');
        await ended(blue.daemon, 0);
        await stopped(green);
      },
    );

  it('ends with 69 and the name of who has it once listen_wait is over', async (t) => {
    const blue = await serve(t, { app, env: patient });
    const green = await begin(t, {
      app,
      env: { ...patient, PORT: String(blue.port), ROM_AGENT_LISTEN_WAIT: '300ms' },
    });
    assert.deepEqual(await green.daemon.waitForExit(patience), { code: 69, signal: null });
    assert.match(green.daemon.output(), /worker \d waits for port \d+, which another process has/);
    assert.match(green.daemon.output(), /cannot start: 127\.0\.0\.1 port \d+ is in use, held by/);
  });
});
