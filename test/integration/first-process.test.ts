import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { describe, it, type TestContext } from 'node:test';
import { canReap as canReapItself } from '../../src/service-manager/adopted-children.js';
import { ask, freePort } from '../support/net.js';
import { type ProcessInfo, processes } from '../support/proc.js';
import { type Daemon, signalPid, startDaemon } from '../support/process.js';
import { waitFor } from '../support/wait.js';
import { fixture, patience } from './service.js';

const namespace = ['--pid', '--fork', '--kill-child', '--mount-proc'];
const canUnshare = spawnSync('unshare', [...namespace, 'true']).status === 0;
const hasShell = 'execve' in process;
const canReap = hasShell || canReapItself();

/** The daemon as process 1 of a namespace, as in a container without an init. */
async function start(t: TestContext) {
  const port = await freePort();
  const env = { PORT: String(port), WORKERS: '1' };
  const args = ['serve', fixture('apps/leaves-orphans.cjs')];
  const nodeArgs = [...namespace, process.execPath];
  const daemon = startDaemon({ t, args, env, node: 'unshare', nodeArgs });
  await daemon.waitForLine(/"msg":"serving with/, patience);
  return { daemon, port, first: await firstProcess(daemon) };
}

async function firstProcess({ pid }: Daemon): Promise<number> {
  const found = (await childrenOf(pid)).at(0)?.pid;
  assert.ok(found !== undefined);
  return found;
}

async function childrenOf(pid: number): Promise<readonly ProcessInfo[]> {
  return (await processes()).filter(({ parent }) => parent === pid);
}

/** What the app has left behind is gone, alive or as a zombie. */
async function waitForOrphans(first: number): Promise<void> {
  await waitFor('process 1 to have no more orphans', () => childrenOf(first), {
    timeout: patience,
    until: (children) => children.every(({ pid }) => !isOrphan(pid)),
  });
}

function isOrphan(pid: number): boolean {
  try {
    return /\(sleep\)/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

const skip = canUnshare ? false : 'unshare may not make a PID namespace here';

describe('rom-agent as process 1', { skip }, () => {
  it('leaves no zombies of what outlives its parents, or says that it does, and drains at SIGTERM', async (t) => {
    const { daemon, port, first } = await start(t);
    for (let left = 5; left > 0; left -= 1) await ask({ port, path: '/', timeout: patience });
    if (canReap) await waitForOrphans(first);
    const said = /"level":"warn".* stay as zombies: Node\.js .*docker run --init/.test(daemon.output());
    assert.equal(said, !canReap, daemon.output());
    signalPid(first, 'SIGTERM');
    assert.deepEqual(await daemon.waitForExit(patience), { code: 0, signal: null });
    await daemon.waitForLine(/"msg":"stopping: SIGTERM"/);
  });

  it('ends with the status of a start that fails', {
    skip: !hasShell && 'its status is that of the start itself',
  }, async (t) => {
    const args = ['serve', '/nowhere/app.js'];
    const daemon = startDaemon({ t, args, node: 'unshare', nodeArgs: [...namespace, process.execPath] });
    assert.deepEqual(await daemon.waitForExit(patience), { code: 66, signal: null });
  });
});
