// The packed tarball, installed by npm as its users do: on each major of Node, without a compiler, as root and as another
// account; by npx; and over a daemon that serves. Needs npm's registry.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { describeLoad, startLoad } from '../../support/load.js';
import { ask, freePort } from '../../support/net.js';
import { type Daemon, repoRoot, signalPid, startDaemon } from '../../support/process.js';
import { installNodes, majors } from '../nodes/install.js';
import { as, pack, pathWithoutCompiler, place, registryOf, type Who, whyNoRegistry } from './tarball.js';

const limit = 600_000;
const nobody = 65534;
const reason = await whyNoRegistry();
const skip = reason !== null && process.env.CI !== 'true' ? reason : false;
const nodes = await installNodes();
const home = place();
const tarball = pack(repoRoot, home).file;
const app = join(home, 'server.cjs');
writeFileSync(
  app,
  "require('node:http').createServer((_, answer) => answer.end('hello')).listen(process.env.PORT);\n",
);

/** Packages are fetched once: the account gets a copy of the cache. */
const cache = join(home, 'cache');

function who(name: string, node: string, uid: number | null = null): Who {
  const own = join(home, name);
  mkdirSync(own);
  const path = pathWithoutCompiler(join(home, `${name}-path`), node);
  if (uid === null) return { path, home: own, cache, uid };
  cpSync(cache, join(own, 'cache'), { recursive: true });
  execFileSync('chown', ['-R', `${uid}:${uid}`, own]);
  return { path, home: own, cache: join(own, 'cache'), uid };
}

const prefixOf = ({ home }: Who): string => join(home, 'prefix');
const commandOf = (of: Who): string => join(prefixOf(of), 'bin', 'rom-agent');

async function install(of: Who, file: string, ...flags: string[]): Promise<string> {
  return as(of, [
    'npm',
    'install',
    '-g',
    '--no-audit',
    '--no-fund',
    '--prefer-offline',
    '--prefix',
    prefixOf(of),
    ...flags,
    file,
  ]);
}

async function serveIt(
  t: TestContext,
  of: Who,
  { workers = 2 } = {},
): Promise<{ daemon: Daemon; port: number }> {
  const port = await freePort('127.0.0.1');
  const node = join(of.path, 'node');
  const identity =
    of.uid === null ? [] : ['--reuid', String(of.uid), '--regid', String(of.uid), '--clear-groups', node];
  const daemon = startDaemon({
    t,
    node: of.uid === null ? node : 'setpriv',
    nodeArgs: identity,
    script: commandOf(of),
    args: ['serve', app, '--port', String(port), '--workers', String(workers)],
    cwd: of.home,
    env: { PATH: process.env.PATH ?? '', HOME: of.home, ...controlOf(of) },
  });
  await daemon.waitForLine(/serving with/, limit);
  return { daemon, port };
}

function controlOf({ home }: Who) {
  return { ROM_AGENT_CONTROL_SOCKET: join(home, 'control.sock'), ROM_AGENT_STATE_DIR: join(home, 'state') };
}

async function answersAndStops({ daemon, port }: { daemon: Daemon; port: number }): Promise<void> {
  assert.equal((await ask({ port, path: '/' })).text, 'hello');
  daemon.kill('SIGTERM');
  assert.deepEqual(await daemon.waitForExit(limit), { code: 0, signal: null }, daemon.output());
}

describe('the tarball from npm', { skip, timeout: 3_600_000 }, () => {
  for (const major of majors()) {
    const unavailable = 'reason' in nodes && process.env.CI !== 'true' ? nodes.reason : false;
    test(`serves on Node ${major}, installed without a compiler`, { skip: unavailable }, async (t) => {
      assert.ok(!('reason' in nodes), 'reason' in nodes ? nodes.reason : '');
      const of = who(`node${major}`, nodes.executables.get(major) ?? '');
      await install(of, tarball);
      await answersAndStops(await serveIt(t, of));
    });
  }

  test('serves where npm runs no install scripts', async (t) => {
    const of = who('no-scripts', process.execPath);
    await install(of, tarball, '--ignore-scripts');
    await answersAndStops(await serveIt(t, of));
  });

  const notRoot = process.getuid?.() !== 0 && 'changes accounts, which root may';
  test('serves an account without rights, which has installed it for itself', {
    skip: notRoot,
  }, async (t) => {
    const of = who('account', process.execPath, nobody);
    await install(of, tarball);
    await answersAndStops(await serveIt(t, of));
  });

  test('is run by npx, with an empty cache', async (t) => {
    const of = who('npx', process.execPath);
    const port = await freePort('127.0.0.1');
    const begun = performance.now();
    const daemon = startDaemon({
      t,
      node: join(of.path, 'sh'),
      script: join(of.path, 'npx'),
      args: ['--yes', `--package=${tarball}`, 'rom-agent', 'serve', app, '--port', String(port)],
      cwd: of.home,
      env: {
        PATH: of.path,
        HOME: of.home,
        npm_config_cache: join(of.home, 'cache'),
        ...registryOf(null),
        ...controlOf(of),
      },
    });
    await daemon.waitForLine(/serving with/, limit);
    t.diagnostic(`npx served after ${Math.round(performance.now() - begun) / 1000} s`);
    assert.equal((await ask({ port, path: '/' })).text, 'hello');
    daemon.killGroup('SIGINT');
    // npx itself may end by the signal.
    await daemon.waitForExit(limit);
    assert.match(daemon.output(), /"exitCode":0,"msg":"stopped"/);
    assert.deepEqual(await daemon.group(), []);
  });

  test('replaces the files of a daemon that serves, which goes on until it is restarted', async (t) => {
    const of = who('upgrade', process.execPath);
    await install(of, tarball);
    const { daemon, port } = await serveIt(t, of);
    const load = startLoad({
      t,
      port,
      path: '/',
      clients: [{ kind: 'keep-alive', count: 4, pauseMs: 5 }],
      requestTimeout: limit,
      maxMs: limit,
    });
    await install(of, anotherBuild());
    const node = join(of.path, 'node');
    const call = (...args: string[]) =>
      execFileSync(node, [commandOf(of), ...args], {
        env: { PATH: of.path, ...controlOf(of) },
        encoding: 'utf8',
        stdio: 'pipe',
      });
    assert.equal(call('--version').trim(), '9.9.9');
    assert.throws(
      () => call('reload'),
      (error: { status: number; stdout: string; stderr: string }) => {
        t.diagnostic(`the reload: ${error.status}: ${error.stdout}${error.stderr}`);
        return /the master is of build .*, and the files of rom-agent on the disk are of build/.test(
          error.stdout + error.stderr,
        );
      },
    );
    const [first = 0] = await daemon.descendants();
    const report = await load.stop();
    assert.equal(report.failed + report.unanswered, 0, describeLoad(report));
    assert.ok(report.ok > 0);
    signalPid(first, 'SIGKILL');
    await daemon.waitForLine(/the master is of build .*: restart the service/, limit);
    assert.equal((await ask({ port, path: '/' })).text, 'hello');
    daemon.kill('SIGTERM');
    assert.deepEqual(await daemon.waitForExit(limit), { code: 0, signal: null }, daemon.output());
    await answersAndStops(await serveIt(t, of));
  });
});

/** The same with another build id, as a later version would have. */
function anotherBuild(): string {
  const folder = join(home, 'another');
  mkdirSync(folder);
  execFileSync('tar', ['-xzf', tarball, '-C', folder]);
  const root = join(folder, 'package');
  const id = readFileSync(join(root, 'dist', 'build-id'), 'utf8').trim();
  for (const name of readdirSync(join(root, 'dist'), { recursive: true, encoding: 'utf8' })) {
    const path = join(root, 'dist', name);
    if (!/\.js$|build-id$/.test(name)) continue;
    writeFileSync(path, readFileSync(path, 'utf8').replaceAll(id, 'ffffffffffff'));
  }
  const manifest = join(root, 'package.json');
  writeFileSync(manifest, readFileSync(manifest, 'utf8').replace(/"version": "[^"]*"/, '"version": "9.9.9"'));
  return pack(root, folder).file;
}
