import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { connectControl } from '../../src/control/client.js';
import { waitFor } from '../support/wait.js';
import { patience, patient, serve, stopped, temporaryDirectory } from './service.js';

/** On 29 February at midnight, so that nothing is due while the test runs. */
const never = 'schedule = "0 0 29 2 *"';

describe('jobs of a daemon', { timeout: 1_800_000 }, () => {
  it('run by their schedule and when asked for, and a stop waits for them', async (t) => {
    const folder = temporaryDirectory(t);
    const config = join(folder, 'rom-agent.toml');
    const ticks = join(folder, 'ticks');
    writeFileSync(
      config,
      `[jobs.tick]
schedule = "* * * * * *"
command = "echo $ROM_JOB_DUE >> ${ticks}"
[jobs.ask]
${never}
request = "GET /nowhere"
[jobs.slow]
${never}
command = "trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.05; done"
on_stop = "end"
`,
    );
    const state = join(folder, 'state');
    const env = { ...patient, ROM_AGENT_CONFIG: config, ROM_AGENT_STATE_DIR: state, WORKERS: '1' };
    const service = await serve(t, { env });
    const client = connectControl({ path: String(service.control) });
    await waitFor('two runs by the schedule', () => existsSync(ticks) && dues(ticks).length >= 2, {
      timeout: patience,
    });
    assert.equal((await client.runJob('ask', 'ann', () => {})).verdict, 'failed');
    assert.match((await client.jobLog('ask', null)).output, /GET \/nowhere: 404/);
    let text = '';
    const slow = client.runJob('slow', 'ann', (line) => {
      if (line.type === 'output') text += line.text;
    });
    await waitFor('the slow job', () => text.includes('up'), { timeout: patience });
    await stopped(service);
    assert.equal((await slow).verdict, 'ended');
    assert.match(text, /bye/);
    const all = dues(ticks);
    assert.equal(new Set(all).size, all.length, 'a due time ran twice');
  });
});

function dues(file: string): readonly string[] {
  return readFileSync(file, 'utf8').trim().split('\n');
}
