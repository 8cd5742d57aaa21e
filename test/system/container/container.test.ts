import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { after, before, describe, type TestContext, test } from 'node:test';
import { describeLoad, startLoad } from '../../support/load.js';
import { ask, freePort } from '../../support/net.js';
import { fixtures, repoRoot } from '../../support/process.js';
import { waitFor } from '../../support/wait.js';
import { baseImage, build, files, needsEngine, podman, removeImage } from './engine.js';

const run = `${process.pid}-${randomBytes(3).toString('hex')}`;
const tags = { image: `localhost/rom-agent-test:${run}`, app: `localhost/rom-agent-test-shop:${run}` };
const engine = needsEngine();

describe('the image', engine, () => {
  before(async () => {
    if (engine.skip !== false) return;
    const BASE = await baseImage();
    await build({ file: files.image, context: repoRoot, tag: tags.image, args: { BASE } });
    const context = join(fixtures, 'system', 'container-app');
    await build({ file: files.app, context, tag: tags.app, args: { BASE, ROM_AGENT: tags.image } });
  });
  after(async () => {
    if (engine.skip !== false) return;
    for (const tag of [tags.app, tags.image]) await removeImage(tag);
  });

  test('serves the built-in app, in cluster mode, as an account that is not root', async (t) => {
    const { port, exec } = await start(t, tags.image);
    const { json } = await ask({ port, path: '/api/info' });
    assert.deepEqual([json !== undefined, (json as { mode: string }).mode], [true, 'cluster']);
    assert.equal((await exec(['id', '-un'])).stdout.trim(), 'rom-agent');
  });

  test('serves an app that is put on top of it, which can write its /run and /tmp alone', async (t) => {
    const { port } = await start(t, tags.app);
    const { json } = await ask({ port, path: '/' });
    const { uid, directory, writable } = json as { uid: number; directory: string; writable: string[] };
    assert.deepEqual(
      { uid, directory, writable },
      { uid: 65532, directory: '/app', writable: ['/run/rom-agent', '/tmp'] },
    );
  });

  test('its health check passes while the service serves, and fails while the master does not answer', async (t) => {
    const { name, exec } = await start(t, tags.app);
    const check = async () => (await podman(['healthcheck', 'run', name])).code;
    assert.equal(await check(), 0);
    assert.match(
      (await exec(['rom-agent', 'health'])).stdout,
      /^healthy: serving, \d+ of \d+ workers? answers?\n$/,
    );
    const { stdout } = await exec(['rom-agent', 'status', '--json']);
    const { master } = JSON.parse(stdout) as { master: { pid: number } };
    await exec(['sh', '-c', `kill -STOP ${master.pid}`]);
    assert.equal((await exec(['rom-agent', 'health'])).code, 75);
    assert.notEqual(await check(), 0);
    await exec(['sh', '-c', `kill -CONT ${master.pid}`]);
    await waitFor('the health check to pass again', check, { until: (code) => code === 0 });
  });

  test('a stop under load answers what was begun, within its time, and ends with 0', async (t) => {
    const { name, port } = await start(t, tags.app);
    const clients = [
      { kind: 'keep-alive', count: 8 },
      { kind: 'per-connection', count: 4 },
      { kind: 'slow-body', count: 4 },
    ] as const;
    const load = startLoad({ t, port, clients, maxMs: 600_000 });
    await load.reached(100);
    const { code, stderr } = await podman(['stop', '-t', '120', name]);
    const report = await load.stop();
    assert.equal(code, 0, stderr);
    assert.equal(report.failed, 0, describeLoad(report));
    assert.equal((await podman(['inspect', '-f', '{{.State.ExitCode}}', name])).stdout.trim(), '0');
  });

  test('process 1 takes those whose parents have ended', async (t) => {
    const { exec } = await start(t, tags.app);
    await exec(['sh', '-c', '(sleep 0.1 &) ; exit 0']);
    const zombies = async () =>
      (await exec(['sh', '-c', 'grep -l "^State:.Z" /proc/[0-9]*/status'])).stdout.trim();
    await waitFor('no zombies', zombies, { until: (found) => found === '' });
    assert.equal((await exec(['cat', '/proc/1/comm'])).stdout.trim(), 'sh');
  });

  test('workers = "auto" follows the CPU limit of the container, and the heaps its memory', async (t) => {
    const { exec } = await start(t, tags.app, ['--cpus', '1', '--memory', '512m']);
    const { stdout } = await exec(['rom-agent', 'config', '--json']);
    const { workers, max_old_space_size: heap } = JSON.parse(stdout) as Record<
      string,
      { value: number; from: string }
    >;
    assert.equal(workers?.value, 1, JSON.stringify(workers));
    assert.ok(heap !== undefined && heap.value < 512 && heap.value >= 32, JSON.stringify(heap));
  });

  test('check, doctor and the version run in it as in a shell', async (t) => {
    const name = nameFor(t);
    const argv = (...args: string[]) =>
      podman(['run', '--rm', ...common, '--name', name, tags.image, ...args]);
    assert.match((await argv('--version')).stdout, /^\d+\.\d+\.\d+/);
    assert.equal((await argv('check', '--port', '4000')).code, 0);
    assert.equal((await argv('serve', '--port', 'many')).code, 78);
  });
});

/** As compose.yaml has it. No network of its own, so that nothing needs to be set up; limits that a small machine allows. */
const common = [
  ...['--network', 'host', '--read-only', '--tmpfs', '/run', '--tmpfs', '/tmp', '--cap-drop', 'ALL'],
  ...['--security-opt', 'no-new-privileges', '--ulimit', 'nofile=4096:4096', '--ulimit', 'nproc=4096:4096'],
] as const;

interface Container {
  readonly name: string;
  readonly port: number;
  readonly exec: (argv: readonly string[]) => ReturnType<typeof podman>;
}

let containers = 0;

function nameFor(t: TestContext): string {
  const name = `rom-agent-test-${run}-${++containers}`;
  t.after(() => podman(['rm', '-f', '-t', '0', name]));
  return name;
}

/** Resolves once it answers. */
async function start(t: TestContext, image: string, more: readonly string[] = []): Promise<Container> {
  const name = nameFor(t);
  const port = await freePort();
  const { code, stderr } = await podman([
    'run',
    '-d',
    ...common,
    ...more,
    '--name',
    name,
    '-e',
    `PORT=${port}`,
    image,
  ]);
  assert.equal(code, 0, stderr);
  const exec = (argv: readonly string[]) => podman(['exec', name, ...argv]);
  const answers = () => ask({ port, path: '/' }).then(({ status }) => status === 200);
  await waitFor('the container to answer', answers, { timeout: 120_000 }).catch(async (error: Error) => {
    const { stdout, stderr } = await podman(['logs', name]);
    throw new Error(`${error.message}:\n${stdout}${stderr}`);
  });
  return { name, port, exec };
}
