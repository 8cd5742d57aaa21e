import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { groupMembers } from '../support/proc.js';
import { signalPid } from '../support/process.js';
import { waitFor } from '../support/wait.js';

const reaper = fileURLToPath(new URL('reaper.js', import.meta.url));
const owner = `
  import { spawn } from 'node:child_process';
  import { startReaper } from ${JSON.stringify(reaper)};
  const { pid } = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1_000)'], { detached: true });
  startReaper().begun(pid);
  console.log(pid);
  setInterval(() => {}, 1_000);
`;

test('what has been begun is killed once its owner is, by SIGKILL as well', async (t) => {
  const child = spawn(process.execPath, ['--input-type=module', '-e', owner]);
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  const pid = Number(line.toString());
  t.after(() => signalPid(-pid, 'SIGKILL'));
  assert.deepEqual(await groupMembers(pid), [pid]);
  child.kill('SIGKILL');
  const isEmpty = ({ length }: readonly number[]): boolean => length === 0;
  await waitFor('the end of its child', () => groupMembers(pid), { timeout: 60_000, until: isEmpty });
});
