import assert from 'node:assert/strict';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { describe, it, type TestContext } from 'node:test';
import type { ClusterStats } from '../../../src/protocol/stats.js';
import { ask, freePort } from '../../support/net.js';
import { groupMembers, processes } from '../../support/proc.js';
import { mainPath } from '../../support/process.js';
import { waitFor } from '../../support/wait.js';
import { type Loaded, load } from './fixture.js';
import { scaledClock } from './standin.js';

// A second of the plist lasts 0.1 s, so that ThrottleInterval is short; ExitTimeOut keeps its real length.
const clock = scaledClock(0.1);
const override = { ExitTimeOut: 450 };

const count = 2;
// orphan_timeout is 5 s by default.
const orphansGone = { timeout: 60_000 };

const skip = !existsSync(mainPath) && process.env.CI !== 'true' && `${mainPath} is not built: npm run build`;

describe('the daemon under launchd', { skip }, () => {
  it('stays in the foreground, with every worker in the process group of the master', async (t) => {
    const { standin, port } = await serving(t);
    const master = standin.pid() ?? 0;
    const self = (await processes()).find(({ pid }) => pid === master);
    assert.deepEqual({ parent: self?.parent, group: self?.group }, { parent: process.pid, group: master });
    const group = await groupMembers(master);
    for (const pid of await readyWorkers(port))
      assert.ok(group.includes(pid), `worker ${pid} is not in the group`);
  });

  it('drains on SIGTERM and exits 0, unkilled and for good', async (t) => {
    const { standin } = await serving(t);
    const master = standin.pid() ?? 0;
    assert.deepEqual(await standin.bootout(), { code: 0, signal: null });
    assert.deepEqual(
      standin.log.filter((entry) => entry.what === 'signal' && entry.to === 'main'),
      [{ what: 'signal', signal: 'SIGTERM', to: 'main' }],
    );
    await emptied(master);
  });

  it('is started again after the master was killed, and serves', async (t) => {
    const { standin, port } = await serving(t);
    const first = standin.pid() ?? 0;
    process.kill(first, 'SIGKILL');
    await waitFor('another master', () => standin.pid() !== null && standin.pid() !== first);
    await ready(port);
  });

  for (const [name, options] of fatal()) {
    it(`is not started again after ${name}`, async (t) => {
      const { standin, output } = loadDaemon(t, options);
      await waitFor('the exit', () => standin.log.some(({ what }) => what === 'exit'));
      assert.deepEqual(standin.log.slice(1), [{ what: 'exit', code: 0, signal: null }], output());
      assert.match(output(), options.says);
    });
  }

  it('leaves no process behind when the master is killed', async (t) => {
    const { standin } = await serving(t);
    await killMaster(standin.pid() ?? 0);
  });

  it('leaves no stopped worker behind either', async (t) => {
    const { standin, port } = await serving(t);
    const master = standin.pid() ?? 0;
    const [stopped] = await readyWorkers(port);
    assert.ok(stopped !== undefined);
    process.kill(stopped, 'SIGSTOP');
    await killMaster(master);
  });

  it('writes its log for owner and group only', async (t) => {
    const { job } = await serving(t);
    assert.equal(statSync(job.StandardErrorPath).mode & 0o777, 0o640);
  });

  it('keeps the mask in its workers', { skip: process.platform !== 'linux' && 'reads /proc' }, async (t) => {
    const { standin } = await serving(t);
    for (const pid of await groupMembers(standin.pid() ?? 0)) {
      assert.match(readFileSync(`/proc/${pid}/status`, 'utf8'), /^Umask:\s+0027$/m);
    }
  });
});

interface Serving extends Loaded {
  readonly port: number;
}

/** Resolves once all workers are there and a request was answered. */
async function serving(t: TestContext): Promise<Serving> {
  const port = await freePort();
  const loaded = loadDaemon(t, {
    args: ['--workers', String(count), '--host', '127.0.0.1', '--port', String(port)],
  });
  await ready(port);
  return { ...loaded, port };
}

interface Fatal {
  readonly args?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly says: RegExp;
}

function fatal(): [string, Fatal][] {
  return [
    ['an error in the configuration', { environment: { PORT: 'none' }, says: /port.*none/is }],
    ['an error on the command line', { args: ['--no-such-option'], says: /no-such-option/ }],
  ];
}

function loadDaemon(t: TestContext, { args = [], environment = {} }: Partial<Fatal>): Loaded {
  return load(t, { args, environment, clock, override });
}

async function ready(port: number): Promise<void> {
  await waitFor('the workers', () => readyWorkers(port), { until: (pids) => pids.length === count });
}

/** PIDs, as the master counts them. */
async function readyWorkers(port: number): Promise<number[]> {
  const { json } = await ask({ port, path: '/api/cluster/stats' });
  const { workers } = json as ClusterStats;
  return workers.flatMap(({ pid, phase }) => (phase === 'ready' && pid !== null ? [pid] : []));
}

async function killMaster(master: number): Promise<void> {
  process.kill(master, 'SIGKILL');
  await emptied(master);
}

/** Resolves when no process of the group is left. A master that is started again is in a group of its own. */
async function emptied(group: number): Promise<void> {
  await waitFor('the end of the group', () => groupMembers(group), {
    ...orphansGone,
    until: (pids) => pids.length === 0,
  });
}
