import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ask } from '../support/net.js';
import { waitFor } from '../support/wait.js';
import { ended, fixture, patience, patient, serve } from './service.js';

describe('lame_duck', { timeout: 1_800_000 }, () => {
  it('has /readyz answer 503 after SIGTERM while all is served, and a second SIGTERM ends it', async (t) => {
    const env = { ...patient, COLOUR: 'blue', ROM_AGENT_LAME_DUCK: '1h' };
    const { daemon, port, routes } = await serve(t, { app: fixture('integration/who.cjs'), env });
    const readiness = async () => (await ask({ port, path: `${routes}/readyz` })).status;
    assert.equal(await readiness(), 200);
    daemon.kill('SIGTERM');
    await daemon.waitForLine(/serving on as a lame duck/, patience);
    // Each worker answers some of them.
    let inARow = 0;
    const isLeaving = async () => {
      inARow = (await readiness()) === 503 ? inARow + 1 : 0;
      return inARow >= 20;
    };
    await waitFor('every worker to say 503', isLeaving, { timeout: patience });
    assert.equal((await ask({ port, path: '/' })).text, 'blue');
    assert.equal((await ask({ port, path: `${routes}/healthz` })).status, 200);
    // One within half a second of the first is taken for the same one, passed on.
    const stops = () => {
      daemon.kill('SIGTERM');
      return /"msg":"stopping: SIGTERM"/.test(daemon.output());
    };
    await waitFor('the drain', stops, { timeout: patience });
    await ended(daemon, 0);
  });
});
