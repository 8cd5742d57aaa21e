import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { describe, type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { descendants, processes } from '../../support/proc.js';
import { waitFor } from '../../support/wait.js';

interface Family {
  readonly parent: ChildProcess;
  /** PIDs of the two children that sleep, and of the shell that watches them. */
  readonly children: readonly [number, number];
  readonly shell: number;
  /** Sends an order to the parent and waits until it was carried out. */
  order(order: string): Promise<void>;
}

async function family(t: TestContext): Promise<Family> {
  const script = fileURLToPath(new URL('./reaper-parent.js', import.meta.url));
  const parent = spawn(process.execPath, [script], { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: parent.stdout });
  const [first] = (await once(lines, 'line')) as [string];
  const [one = 0, two = 0] = first.split(' ').map(Number);
  t.after(() => {
    for (const pid of [one, two]) signal(pid, 'SIGKILL');
    parent.kill('SIGKILL');
  });
  const shell = await waitFor('the shell', async () => {
    const below = await descendants(parent.pid ?? 0);
    return below.find((pid) => pid !== one && pid !== two);
  });
  const order = async (text: string): Promise<void> => {
    parent.stdin.write(`${text}\n`);
    await once(lines, 'line');
  };
  return { parent, children: [one, two], shell: shell ?? 0, order };
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** A zombie is gone: who adopts it may take its time to bury it. */
async function runs(pid: number): Promise<boolean> {
  const found = (await processes()).find((info) => info.pid === pid);
  return found !== undefined && found.state !== 'Z';
}

function gone(pid: number): Promise<boolean> {
  return waitFor(`the end of ${pid}`, async () => !(await runs(pid)));
}

async function killed(parent: ChildProcess): Promise<void> {
  parent.kill('SIGKILL');
  await once(parent, 'exit');
}

describe('the reaper', { concurrency: true }, () => {
  test('kills what is left after the limit when the master was killed, a stopped child too', async (t) => {
    const { parent, children, shell } = await family(t);
    signal(children[0], 'SIGSTOP');
    const begun = performance.now();
    await killed(parent);
    await Promise.all(children.map(gone));
    const took = performance.now() - begun;
    assert.ok(took >= 900, `they get a second first, not ${took} ms`);
    await gone(shell);
  });

  test('ends by itself once the children are gone', async (t) => {
    const { parent, children, shell } = await family(t);
    await killed(parent);
    for (const pid of children) signal(pid, 'SIGTERM');
    await gone(shell);
  });

  test('leaves a child alone that it was told to forget', async (t) => {
    const { parent, children, shell, order } = await family(t);
    await order(`forget ${children[0]}`);
    await killed(parent);
    await gone(children[1]);
    await gone(shell);
    assert.equal(await runs(children[0]), true);
  });

  test('touches nobody once it is dismissed', async (t) => {
    const { parent, children, shell, order } = await family(t);
    await order('dismiss');
    await gone(shell);
    await killed(parent);
    assert.deepEqual(await Promise.all(children.map(runs)), [true, true]);
  });

  test('does not mind the signals of a terminal, which reach it with the master', async (t) => {
    const { parent, children, shell } = await family(t);
    for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) signal(shell, name);
    await killed(parent);
    await Promise.all(children.map(gone));
    await gone(shell);
  });
});
