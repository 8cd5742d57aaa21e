import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import test, { type TestContext } from 'node:test';
import { findMarked, markedIn, markVariable } from '../../../src/master/children.js';
import { waitFor } from '../../support/wait.js';

interface Given {
  readonly mark: string;
  readonly detached?: boolean;
}

async function started(t: TestContext, { mark, detached = false }: Given): Promise<number> {
  const env = { PATH: process.env.PATH, [markVariable]: mark };
  const child = spawn('sleep', ['300'], { env, detached, stdio: 'ignore' });
  t.after(() => child.kill('SIGKILL'));
  await once(child, 'spawn');
  return Number(child.pid);
}

test('processes are found by a variable of their environment, unless they have a session of their own', async (t) => {
  const mark = `test-${process.pid}`;
  const [one, two] = [await started(t, { mark: `${mark}.1` }), await started(t, { mark: `${mark}.2` })];
  const detached = await started(t, { mark: `${mark}.1`, detached: true });
  const find = async (marks: string[], among?: number[]) =>
    (
      await findMarked(
        new Set(marks),
        among?.map((pid) => ({ pid })),
      )
    )
      .map(({ pid }) => pid)
      .sort();
  assert.deepEqual(await find([`${mark}.1`]), [one]);
  assert.deepEqual(await find([`${mark}.1`, `${mark}.2`]), [one, two].sort());
  assert.deepEqual(await find([mark]), [], 'the whole value counts');
  assert.deepEqual(await find([`${mark}.1`, `${mark}.2`], [two, detached]), [two]);
});

test('a process that is gone is not found', async (t) => {
  const mark = `gone-${process.pid}`;
  const pid = await started(t, { mark });
  process.kill(pid, 'SIGKILL');
  const look = () => findMarked(new Set([mark]), [{ pid }, { pid: 2 ** 22 + 1 }]);
  // Whether it is reaped or not.
  await waitFor('its end', look, { until: (found) => found.length === 0 });
});

test('ps says it by process group', () => {
  const text = [
    '    1     1 /sbin/launchd',
    '  100   100 node /usr/local/bin/rom-agent serve PATH=/bin',
    `  101   100 node worker.js PATH=/bin ${markVariable}=a.1 HOME=/`,
    `  102   100 /bin/sleep 9 ${markVariable}=a.2`,
    `  103   103 /bin/sleep 9 ${markVariable}=a.1`,
    `  104   100 /bin/sleep 9 X${markVariable}=a.1`,
    '',
  ].join('\n');
  assert.deepEqual(markedIn(text, { marks: new Set(['a.1']), self: 100 }), [{ pid: 101, name: 'node' }]);
  assert.deepEqual(markedIn(text, { marks: new Set(['a.1']), self: 1 }), []);
});
