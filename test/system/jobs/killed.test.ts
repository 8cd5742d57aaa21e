import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { connectControl } from '../../../src/control/client.js';
import { patience, patient, serve, stopped, temporaryDirectory } from '../../integration/service.js';
import { processes } from '../../support/proc.js';
import { waitFor } from '../../support/wait.js';

test('a run that was under way when the master was killed is lost, its processes are ended, and it runs again', {
  timeout: 1_800_000,
}, async (t) => {
  const folder = temporaryDirectory(t);
  const config = join(folder, 'rom-agent.toml');
  const file = join(folder, 'pids');
  const [never, leave] = ['schedule = "0 0 29 2 *"', `setsid sh -c 'echo $$ >> ${file}; exec sleep 3600' &`];
  writeFileSync(
    config,
    `[jobs.slow]\n${never}\non_lost = "rerun"\non_stop = "end"\ncommand = "${leave} echo $$ >> ${file}; exec sleep 3600"\n`,
  );
  const pids = () => (existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n').map(Number) : []);
  const alive = async () => {
    const all = await processes();
    return pids().filter((pid) => all.some((each) => each.pid === pid && each.state !== 'Z'));
  };
  const env = {
    ...patient,
    ROM_AGENT_CONFIG: config,
    ROM_AGENT_STATE_DIR: join(folder, 'state'),
    WORKERS: '1',
  };
  const first = await serve(t, { env });
  const lost = connectControl({ path: String(first.control) }).runJob('slow', 'ann', () => {});
  lost.catch(() => {});
  await waitFor('the job', pids, { timeout: patience, until: ({ length }) => length === 2 });
  const old = pids();
  first.daemon.kill('SIGKILL');
  await assert.rejects(lost);
  assert.deepEqual(await alive(), old, 'nobody else ends them');

  const second = await serve(t, { env });
  await waitFor('the run again', pids, { timeout: patience, until: ({ length }) => length === 4 });
  assert.deepEqual(await alive(), pids().slice(2));
  const { runs } = await connectControl({ path: String(second.control) }).jobLog('slow', null);
  assert.deepEqual(
    runs.map(({ verdict }) => verdict),
    [null, 'lost'],
  );
  await stopped(second);
  assert.deepEqual(await alive(), []);
});
