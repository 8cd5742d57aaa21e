import assert from 'node:assert/strict';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { isRoot, type Ran, type RunOptions, run } from './run.js';
import { entries, fixture, temporaryDirectory } from './service.js';

const nobody = 65534;
const asNobody = isRoot ? false : 'only root may become another user';

interface Failure {
  readonly code: number;
  /** What the one error line says. */
  readonly says: RegExp;
  /** s */
}

describe('a start that cannot succeed', { timeout: 1_800_000 }, () => {
  it('because the port is in use says who holds it, with status 69', async (t) => {
    const server = createServer().listen(0, '127.0.0.1');
    t.after(() => server.close());
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const says = new RegExp(
      `^cannot start: 127\\.0\\.0\\.1 port ${port} is in use, held by .+ \\(pid ${process.pid}\\)$`,
    );
    await fails(t, { env: { PORT: String(port) } }, { code: 69, says });
    // Also where the app could still come to listen itself: what is in use is not a sibling's.
    const args = [fixture('apps/exported-with-pool.cjs')];
    await fails(t, { args, env: { PORT: String(port) } }, { code: 69, says });
  });

  it('because the address is not of this machine has status 69', async (t) => {
    const says = /^cannot start: host: 192\.0\.2\.1 port \d+ is not an address of this machine$/;
    await fails(t, { env: { HOST: '192.0.2.1', PORT: '8080' } }, { code: 69, says });
  });

  it('because the port is privileged has status 77', { skip: asNobody || openPorts() }, async (t) => {
    const says = /^cannot start: no permission to listen on 127\.0\.0\.1 port 80\b.*CAP_NET_BIND_SERVICE/;
    await fails(t, { uid: nobody, env: { PORT: '80' } }, { code: 77, says });
  });

  it("because the socket's directory may not be written has status 77", { skip: asNobody }, async (t) => {
    const directory = temporaryDirectory(t);
    chmodSync(directory, 0o755);
    const says = /^cannot start: no permission to listen on socket .*\/web\.sock$/;
    await fails(t, { uid: nobody, env: { HOST: join(directory, 'web.sock') } }, { code: 77, says });
  });

  for (const [because, { app, ...failure }] of Object.entries({
    'the module does not exist': {
      app: 'apps/nowhere.mjs',
      code: 66,
      says: /^cannot start: module missing: app: there is no file .*nowhere\.mjs$/,
    },
    'the folder has no module': {
      app: '.',
      code: 66,
      says: /^cannot start: module missing: app: the folder .* has neither/,
    },
    'an ES module misses a dependency': {
      app: 'apps/missing-dependency.mjs',
      code: 66,
      says: /^cannot start: module missing: Cannot find package 'a-package-that-nobody-installed'/,
    },
    'a CommonJS module misses a dependency': {
      app: 'apps/missing-dependency.cjs',
      code: 66,
      says: /^cannot start: module missing: Cannot find module 'a-package-that-nobody-installed'/,
    },
    'the app throws': { app: 'apps/throws.cjs', code: 70, says: /^cannot start: \w*Error: / },
    'the app rejects at its import': {
      app: 'apps/rejects-at-import.mjs',
      code: 70,
      says: /^cannot start: Error: no database at db:5432$/,
    },
    'the app ends at once': {
      app: 'apps/ends-at-once.mjs',
      code: 70,
      says: /^cannot start: app: it neither exported an app nor called listen\(\)/,
    },
    'the app exports something else': {
      app: 'apps/exports-config.mjs',
      code: 70,
      says: /^cannot start: app: the default export is an object with port, name; expected/,
    },
    'the app calls process.exit': {
      app: 'apps/exits.mjs',
      code: 70,
      says: /^cannot start: the app ended with code \d+ before it listened$/,
    },
  } satisfies Record<string, Failure & { app: string }>)) {
    it(`because ${because} has status ${failure.code}`, async (t) => {
      await fails(t, { args: [fixture(app)] }, failure);
    });
  }

  it('because the app never listens has status 75 at the boot limit', async (t) => {
    const ran = await fails(
      t,
      { args: [fixture('apps/never-listens.mjs')], env: { ROM_AGENT_BOOT_TIMEOUT: '1500ms' } },
      { code: 75, says: /^cannot start: worker \d did not listen within 1\.5 s$/ },
    );
    assert.ok(ran.seconds >= 1.5);
  });

  it('because the app fills its heap has status 71', async (t) => {
    await fails(
      t,
      { args: [fixture('integration/fills-its-heap.mjs')], env: { MAX_OLD_SPACE_SIZE: '32', WORKERS: '1' } },
      { code: 71, says: /^cannot start: worker 1 aborted: .*heap limit \(max_old_space_size\)$/ },
    );
  });

  it('because the log directory may not be written has status 73', { skip: asNobody }, async (t) => {
    const directory = join(temporaryDirectory(t), 'logs');
    mkdirSync(directory);
    const { code, stdout, stderr } = await run(t, {
      args: ['serve'],
      uid: nobody,
      env: { LOG_DIR: directory, PORT: '0' },
    });
    assert.deepEqual([code, stdout], [73, '']);
    assert.match(stderr, /^rom-agent: log directory .*\/logs cannot be written: EACCES.*LOG_DIR.*\n$/);
  });

  it('because the log directory is a file has status 73', async (t) => {
    const path = join(temporaryDirectory(t), 'logs');
    writeFileSync(path, '');
    const { code, stderr } = await run(t, { args: ['serve'], env: { LOG_DIR: path, PORT: '0' } });
    assert.equal(code, 73);
    assert.match(stderr, /^rom-agent: log directory .*\/logs cannot be written: .*\n$/);
  });

  it('because a configuration file that is named does not exist has status 78', async (t) => {
    const { code, stderr } = await run(t, { args: ['serve', '--config', '/nowhere/rom-agent.toml'] });
    assert.equal(code, 78);
    assert.match(stderr, /^rom-agent: config: "\/nowhere\/rom-agent\.toml" \(from --config\).*\n$/);
  });
});

async function fails(
  t: TestContext,
  { args = [], env = {}, ...options }: Partial<RunOptions>,
  failure: Failure,
): Promise<Ran> {
  const ran = await run(t, {
    ...options,
    args: ['serve', ...args],
    env: { HOST: '127.0.0.1', PORT: '0', WORKERS: '2', ...env },
  });
  check(ran, failure);
  return ran;
}

/** Why port 80 may be anybody's here: ip_unprivileged_port_start, ip(7). */
function openPorts(): string | false {
  const path = '/proc/sys/net/ipv4/ip_unprivileged_port_start';
  const open = existsSync(path) && Number(readFileSync(path, 'utf8')) <= 80;
  return open && 'port 80 needs no privilege here';
}

/** Its status, and one line that is an error, which names the cause. */
function check({ code, signal, lines }: Ran, { code: wanted, says }: Failure): void {
  const output = lines.join('\n');
  assert.deepEqual([code, signal], [wanted, null], output);
  const errors = entries({ lines }).filter(({ level }) => level === 'error' || level === 'fatal');
  assert.equal(errors.length, 1, output);
  assert.match(errors[0]?.msg ?? '', says);
}
