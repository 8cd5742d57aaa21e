import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync, realpathSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { ask } from '../support/net.js';
import { signalPid } from '../support/process.js';
import { waitFor } from '../support/wait.js';
import { switchTo } from './releases.js';
import { run } from './run.js';
import { fixture, patience, type Service, serve, stopped, temporaryDirectory } from './service.js';

/** What test/fixtures/apps/as-a-process.cjs tells of itself. */
interface Told {
  readonly pid: number;
  readonly worker: readonly [number: string | undefined, instance: string | undefined];
  readonly argv: readonly string[];
  readonly execArgv: readonly string[];
  readonly thread: readonly string[];
  readonly child: readonly string[];
  readonly cwd: string;
  readonly udpPort: number;
  readonly messages: readonly unknown[];
}

const app = fixture('apps/as-a-process.cjs');

async function told({ port }: Service): Promise<Told> {
  const { json } = await ask({ port, path: '/', timeout: patience });
  return json as Told;
}

/** The numbers of the workers that answer, once there are two. */
async function numbers(service: Service): Promise<Map<number, Told['worker']>> {
  const found = new Map<number, Told['worker']>();
  const look = async () => {
    const { pid, worker } = await told(service);
    found.set(pid, worker);
    return found.size;
  };
  await waitFor('an answer of both workers', look, { timeout: patience, until: (size) => size >= 2 });
  return found;
}

/** What test/fixtures/apps/leaves-children.cjs has started. */
interface Helpers {
  readonly worker: number;
  readonly helper: number;
  readonly detached: number;
}

/** Of another worker than `before`. */
async function helpers(t: TestContext, { port }: Service, before?: number): Promise<Helpers> {
  const look = async () => (await ask({ port, path: '/', timeout: patience })).json as Helpers;
  const found = await waitFor('a worker', () => look().catch(() => null), {
    timeout: patience,
    until: (answer) => answer !== null && answer.worker !== before,
  });
  assert.ok(found);
  t.after(() => signalPid(found.detached, 'SIGKILL'));
  return found;
}

describe('an app as a process', { timeout: 1_800_000 }, () => {
  it('finds no flag and no message of ours, nor do its threads and its children', async (t) => {
    const service = await serve(t, { app, env: { WORKERS: '1' } });
    const { argv, execArgv, thread, child, messages } = await told(service);
    assert.deepEqual(
      { argv, execArgv, thread, child, messages },
      {
        argv: [app],
        execArgv: [],
        thread: [],
        child: [],
        messages: [],
      },
    );
    await service.daemon.waitForLine(/discarded a message of the app .*topic as-a-process/, patience);
    await stopped(service);
  });

  it('leaves no helper behind, in a crash nor in a stop, but those with a session of their own', async (t) => {
    const service = await serve(t, { app: fixture('apps/leaves-children.cjs'), env: { WORKERS: '1' } });
    const first = await helpers(t, service);
    signalPid(first.worker, 'SIGKILL');
    await waitFor('the helper to go', () => !signalPid(first.helper, 0), { timeout: patience });
    await service.daemon.waitForLine(/left sleep \(pid \d+\) behind: sending SIGTERM/, patience);
    const second = await helpers(t, service, first.worker);
    await stopped(service);
    // It has ended by then; who reaps it is up to the machine.
    await waitFor('the helper to go', () => !signalPid(second.helper, 0), { timeout: patience });
    assert.deepEqual(
      [first, second].map(({ detached }) => signalPid(detached, 0)),
      [true, true],
    );
  });

  it('has a UDP port of its own in each worker, where any will do', async (t) => {
    const service = await serve(t, { app });
    const ports = new Map<number, number>();
    const look = async () => {
      const { pid, udpPort } = await told(service);
      ports.set(pid, udpPort);
      return ports.size;
    };
    await waitFor('an answer of both workers', look, { timeout: patience, until: (size) => size >= 2 });
    assert.equal(new Set(ports.values()).size, 2);
    await stopped(service);
  });

  it('has its arguments, its flags and the folder of its package, wherever the daemon was started', async (t) => {
    const folder = realpathSync(temporaryDirectory(t));
    const file = join(folder, 'dist', 'app.cjs');
    mkdirSync(join(folder, 'dist'));
    copyFileSync(app, file);
    writeFileSync(join(folder, 'package.json'), '{"name":"shop"}');
    const service = await serve(t, {
      app: file,
      flags: ['--node-args=--no-deprecation --stack-size=900', '--', '--verbose', 'a b', '--'],
      env: { WORKERS: '1' },
      cwd: '/',
    });
    const { argv, execArgv, child, cwd } = await told(service);
    const flags = ['--no-deprecation', '--stack-size=900'];
    assert.deepEqual(
      { argv, execArgv, child, cwd },
      {
        argv: [file, '--verbose', 'a b', '--'],
        execArgv: flags,
        child: flags,
        cwd: folder,
      },
    );
    await service.daemon.waitForLine(
      /its working directory [^ ]+: the nearest package.json above the app/,
      patience,
    );
    await stopped(service);
  });

  it('is the command of a package, in the folder that has it', async (t) => {
    const folder = realpathSync(temporaryDirectory(t));
    const home = join(folder, 'node_modules', 'shopkeeper');
    mkdirSync(home, { recursive: true });
    copyFileSync(app, join(home, 'run'));
    writeFileSync(join(home, 'package.json'), '{"name":"shopkeeper","bin":{"shop-serve":"./run"}}');
    writeFileSync(join(folder, 'package.json'), '{"dependencies":{"shopkeeper":"1"}}');
    const service = await serve(t, {
      app: 'shop-serve',
      flags: ['--', 'start'],
      env: { WORKERS: '1' },
      cwd: folder,
    });
    const { argv, cwd } = await told(service);
    assert.deepEqual({ argv, cwd }, { argv: [join(home, 'run'), 'start'], cwd: folder });
    await stopped(service);
  });

  it('is of the new release, code and working directory, where the daemon was started inside of a link', async (t) => {
    const root = realpathSync(temporaryDirectory(t));
    for (const name of ['1', '2']) {
      mkdirSync(join(root, 'releases', name), { recursive: true });
      copyFileSync(app, join(root, 'releases', name, 'app.cjs'));
    }
    switchTo(root, '1');
    const current = join(root, 'current');
    const env = { PWD: current, ROM_AGENT_RELOAD_SOAK: '0' };
    const service = await serve(t, { app: 'app.cjs', env, cwd: current });
    switchTo(root, '2');
    service.daemon.kill('SIGHUP');
    await service.daemon.waitForLine(/generation 2 done|"msg":"reload done/, patience);
    const { argv, cwd } = await told(service);
    const release = join(root, 'releases', '2');
    assert.deepEqual({ argv, cwd }, { argv: [join(release, 'app.cjs')], cwd: release });
    await stopped(service);
  });

  it('says which working directory is missing', async (t) => {
    const ran = await run(t, {
      args: ['serve', app, '--working-directory', '/nonexistent'],
      env: { PORT: '0', WORKERS: '1' },
    });
    assert.equal(ran.code, 66);
    assert.match(ran.lines.join('\n'), /working_directory: \/nonexistent does not exist/);
  });

  for (const removes of ['message', 'all']) {
    it(`hears the master after it has removed listeners: ${removes}`, async (t) => {
      const service = await serve(t, { app, env: { WORKERS: '1', REMOVES: removes } });
      await told(service);
      await stopped(service);
    });
  }

  it('has the number of its slot, and so does its replacement', async (t) => {
    const service = await serve(t, { app });
    const before = await numbers(service);
    const both = [
      ['1', '0'],
      ['2', '1'],
    ];
    assert.deepEqual([...before.values()].sort(), both);
    for (const pid of before.keys()) process.kill(pid, 'SIGKILL');
    const after = await waitFor('two new workers', () => numbers(service).catch(() => new Map()), {
      timeout: patience,
      until: (found) => found.size === 2 && ![...found.keys()].some((pid) => before.has(pid)),
    });
    assert.deepEqual([...after.values()].sort(), both);
    await stopped(service);
  });
});
