import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { describe, it } from 'node:test';
import { block, blockable } from '../../support/block.js';
import { ask, freePort } from '../../support/net.js';
import { mainPath } from '../../support/process.js';
import { waitFor } from '../../support/wait.js';
import { load } from './fixture.js';
import { scaledClock } from './standin.js';

const skip =
  process.platform !== 'linux'
    ? 'reads /proc'
    : !existsSync(mainPath) && process.env.CI !== 'true' && `${mainPath} is not built: npm run build`;
const patience = { timeout: 60_000 };

describe('the watchdog under launchd, which has none', { skip }, () => {
  it('aborts a master whose event loop stands still, so that KeepAlive starts another', async (t) => {
    const port = await freePort();
    const { standin, output } = load(t, {
      args: ['--workers', '1', '--host', '127.0.0.1', '--port', String(port)],
      environment: { ...blockable, ROM_AGENT_HEALTH_MASTER_TIMEOUT: '2s', LOG_LEVEL: 'debug' },
      clock: scaledClock(0.1),
      override: { ExitTimeOut: 450 },
    });
    const serves = () => waitFor('an answer', () => ask({ port, path: '/healthz' }), patience);
    await serves();
    const first = standin.pid() ?? 0;
    await waitFor('the thread', () => /a thread watches the event loop/.test(output()), patience);
    await block(first);
    await waitFor('the abort', () => standin.log.some(({ what }) => what === 'exit'), patience);
    const [exit] = standin.log.filter(({ what }) => what === 'exit');
    assert.deepEqual(exit, { what: 'exit', code: null, signal: 'SIGABRT' }, output());
    assert.match(output(), /"level":"fatal".*master event loop stalled for 2 s/);
    await waitFor('another master', () => standin.pid() !== null && standin.pid() !== first, patience);
    await serves();
  });
});
