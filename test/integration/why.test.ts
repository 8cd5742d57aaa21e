import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { connectControl } from '../../src/control/client.js';
import { readTurns } from '../../src/record/lines.js';
import { replay } from '../../src/record/replay.js';
import { signalPid } from '../support/process.js';
import { waitFor } from '../support/wait.js';
import { run } from './run.js';
import { connectTo, fixture, nothingLeft, patience, request, serve, temporaryDirectory } from './service.js';

describe('the record of decisions', { timeout: 1_800_000 }, () => {
  it('of a daemon says why its workers were replaced, while it runs and after kill -9, and is decided again alike', async (t) => {
    const stateDir = join(temporaryDirectory(t), 'state');
    const env = { ROM_AGENT_STATE_DIR: stateDir, ROM_AGENT_HANG_TIMEOUT: '4s', ROM_AGENT_RELOAD_SOAK: '0' };
    const service = await serve(t, { app: fixture('integration/sick.mjs'), env });
    const control = service.control ?? assert.fail();
    const client = connectControl({ path: control });
    const told = (pattern: RegExp) =>
      waitFor(`a line with ${pattern}`, () => client.why({}), {
        timeout: patience,
        until: ({ lines }) => lines.some(({ text, cause }) => pattern.test(`${text}: ${cause}`)),
      });

    const crashing = await connectTo(service);
    crashing.request(request('/throw?token=secret'), patience).catch(() => {});
    await told(/^worker \d crashed .*; another one follows .*: Error: out of order; in flight: GET \/throw/);
    await told(/^worker \d is ready after .*: the one before it crashed: Error: out of order/);
    const hanging = await connectTo(service);
    hanging.request(request('/spin'), patience).catch(() => {});
    await told(/^worker \d hung and was killed .*: silent for /);
    await told(/^worker \d is ready after .*: the one before it hung and was killed: silent for /);
    await client.reload({ by: 'alice', soak: false, rollback: true }, () => {});
    const { lines, problem } = await told(/^the reload to generation 2, asked by alice, is done in/);
    assert.equal(problem, null);
    assert.doesNotMatch(JSON.stringify(lines), /secret|undefined/);
    assert.match(lines[0]?.text ?? '', /^rom-agent .* starts, PID \d+/);

    signalPid(service.daemon.pid, 'SIGKILL');
    await nothingLeft(service.daemon);
    const cli = (...args: readonly string[]) =>
      run(t, { args, env: { ...env, ROM_AGENT_CONTROL_SOCKET: control, NO_COLOR: '1' } });
    const why = await cli('why');
    assert.deepEqual([why.code, why.signal], [0, null], why.stderr);
    assert.match(why.stdout, /is done in [\s\S]*\n.* the master ended without a word/);
    assert.match(why.stderr, /^rom-agent: the service is not running: .*: this is what .*\/state has\n$/);
    const again = await cli('replay');
    assert.equal(again.code, 0, `${again.stdout}${again.stderr}`);
    assert.match(again.stdout, /^written by rom-agent .*\nno difference: /m);

    // With another limit the core decides otherwise, at the hang at the latest.
    const text = await readTurns(stateDir);
    const { difference } = replay(text, { policy: (policy) => ({ ...policy, hangTimeout: 60_000 }) });
    assert.match(JSON.stringify(difference?.recorded), /"capture"|"kill"|is degraded/);
  });
});
