import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { connect, createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type ControlServer, openControl } from '../../../src/control/server.js';
import { lockOf, takeName } from '../../../src/control/socket-file.js';
import { longestSocketPath } from '../../../src/protocol/control-api.js';
import { descriptorOf } from '../../support/net.js';
import { waitFor } from '../../support/wait.js';
import { fakeCommands } from './fake-commands.js';
import { folder, get, opened, raw, staleSocket, strangerAt } from './place.js';

const asRoot = process.geteuid?.() === 0;
const needsRoot = asRoot ? false : 'needs root, to become somebody else';

/** Closed at the end of the test, in case that it opens against all expectation. */
async function open(t: TestContext, place: { path: string } | { fd: number }): Promise<ControlServer> {
  const log = { error: () => {} };
  const server = await openControl({ ...place, commands: fakeCommands().commands, version: '0.1.0', log });
  t.after(() => server.close());
  return server;
}

function modeOf(path: string): string {
  return (lstatSync(path).mode & 0o7777).toString(8);
}

describe('the control socket', () => {
  test('has mode 0660 whatever the umask is, which stays as it was', async (t) => {
    const before = process.umask(0o002);
    t.after(() => process.umask(before));
    const { path } = await opened(t);
    assert.equal(modeOf(path), '660');
    assert.equal(process.umask(), 0o002);
  });

  test('makes its own directory, with mode 0750, and leaves nothing else in it', async (t) => {
    const path = join(folder(t), 'rom-agent', 'control.sock');
    await opened(t, { path });
    assert.equal(modeOf(dirname(path)), '750');
    assert.deepEqual(readdirSync(dirname(path)), ['control.sock']);
  });

  test('does not make the parents of its directory', async (t) => {
    const home = folder(t);
    await assert.rejects(open(t, { path: join(home, 'missing', 'rom-agent', 'control.sock') }), {
      exitCode: 73,
      message: `the directory ${home}/missing/rom-agent cannot hold the control socket: it does not exist, and neither does ${home}/missing; expected an existing directory`,
    });
    assert.ok(!existsSync(join(home, 'missing')));
  });

  test('refuses a directory that anybody may write, unless it is sticky', async (t) => {
    const home = folder(t);
    chmodSync(home, 0o777);
    await assert.rejects(open(t, { path: join(home, 'control.sock') }), {
      exitCode: 73,
      message: /mode 0777, and anybody could replace the socket; expected a mode such as 0750/,
    });
    chmodSync(home, 0o1777);
    await opened(t, { path: join(home, 'control.sock') });
  });

  test('refuses a directory of another user', { skip: needsRoot }, async (t) => {
    const home = folder(t);
    chownSync(home, 65_534, 65_534);
    await assert.rejects(open(t, { path: join(home, 'control.sock') }), {
      exitCode: 73,
      message:
        /owner nobody, group nogroup, mode 0700, and its owner could replace the socket; expected the owner root/,
    });
  });

  test('refuses a directory that is a file, or a link to nowhere', async (t) => {
    const home = folder(t);
    writeFileSync(join(home, 'file'), '');
    symlinkSync(join(home, 'nowhere'), join(home, 'link'));
    await assert.rejects(open(t, { path: join(home, 'file', 'control.sock') }), { exitCode: 73 });
    await assert.rejects(open(t, { path: join(home, 'link', 'control.sock') }), { exitCode: 73 });
  });

  test('refuses a path that is relative or longer than the kernel takes', async (t) => {
    const long = join(folder(t), 'x'.repeat(120));
    for (const path of ['control.sock', long]) {
      await assert.rejects(open(t, { path }), {
        exitCode: 78,
        message: /expected an absolute path of at most \d+ bytes/,
      });
    }
  });

  test('takes a path as long as the kernel does', async (t) => {
    const home = folder(t);
    const directory = join(home, 'x'.repeat(longestSocketPath - home.length - '//control.sock'.length));
    const path = join(directory, 'control.sock');
    assert.equal(path.length, longestSocketPath);
    await opened(t, { path });
    assert.equal((await get(path, '/v1')).status, 200);
    await assert.rejects(open(t, { path: join(`${directory}xxxxx`, 'a.sock') }), {
      exitCode: 78,
    });
  });

  test('replaces a socket that nobody answers on', async (t) => {
    const path = join(folder(t), 'control.sock');
    await staleSocket(t, path);
    await opened(t, { path });
    assert.equal((await get(path, '/v1')).status, 200);
    assert.deepEqual(readdirSync(dirname(path)), ['control.sock']);
  });

  test('leaves the socket of a daemon that runs alone, which goes on answering', async (t) => {
    const { path } = await opened(t);
    const { ino } = lstatSync(path);
    await assert.rejects(open(t, { path }), {
      name: 'RomAgentError',
      exitCode: 69,
      message: new RegExp(`^the control socket ${path} is in use by another process`),
    });
    assert.equal(lstatSync(path).ino, ino);
    assert.equal((await get(path, '/v1')).status, 200);
    assert.deepEqual(readdirSync(dirname(path)), ['control.sock']);
  });

  test('leaves the socket of another program alone', async (t) => {
    const path = join(folder(t), 'control.sock');
    await strangerAt(t, path);
    await assert.rejects(open(t, { path }), { exitCode: 69 });
    assert.ok(existsSync(path));
  });

  test('leaves a file and a link alone that stand in its place', async (t) => {
    const home = folder(t);
    writeFileSync(join(home, 'notes'), 'precious');
    symlinkSync(join(home, 'notes'), join(home, 'link'));
    for (const name of ['notes', 'link']) {
      const path = join(home, name);
      await assert.rejects(open(t, { path }), {
        exitCode: 73,
        message: `${path} exists and is not a socket; expected a free path for the control socket`,
      });
    }
    assert.equal(readFileSync(join(home, 'link'), 'utf8'), 'precious');
    assert.deepEqual(readdirSync(home).sort(), ['link', 'notes']);
  });

  for (const before of ['nothing', 'a stale socket'] as const) {
    test(`goes to one of eight daemons that start at once where there was ${before}`, async (t) => {
      for (let round = 0; round < 25; round += 1) {
        const path = join(folder(t), 'control.sock');
        if (before === 'a stale socket') await staleSocket(t, path);
        const results = await Promise.allSettled(Array.from({ length: 8 }, () => open(t, { path })));
        const won = results.filter((result) => result.status === 'fulfilled');
        const lost = results.filter((result) => result.status === 'rejected');
        assert.equal(won.length, 1, `round ${round}`);
        assert.deepEqual(new Set(lost.map(({ reason }) => reason.exitCode)), new Set([69]));
        assert.equal((await get(path, '/v1')).status, 200);
        assert.deepEqual(readdirSync(dirname(path)), ['control.sock']);
        await won[0]?.value.close();
      }
    });
  }

  test('is not kept from replacing a stale one by the lock of a daemon that was killed', async (t) => {
    const path = join(folder(t), 'control.sock');
    await staleSocket(t, path);
    await staleSocket(t, lockOf(path));
    await opened(t, { path });
    assert.deepEqual(readdirSync(dirname(path)), ['control.sock']);
  });

  test('is made where the file system has no links, too', async (t) => {
    const noLinks = () => {
      throw Object.assign(new Error('not here'), { code: 'ENOTSUP' });
    };
    const home = folder(t);
    const path = join(home, 'control.sock');
    await strangerAt(t, join(home, 'temporary'));
    await takeName(join(home, 'temporary'), path, noLinks);
    assert.deepEqual(readdirSync(home), ['control.sock']);
    await strangerAt(t, join(home, 'temporary'));
    await assert.rejects(takeName(join(home, 'temporary'), path, noLinks), { exitCode: 69 });
  });

  test('is removed at the end, and only if it is still the same', async (t) => {
    const first = await opened(t);
    await first.server.close();
    assert.ok(!existsSync(first.path));
    const second = await opened(t);
    renameSync(second.path, `${second.path}.moved`);
    const third = await opened(t, { path: second.path });
    await second.server.close();
    assert.equal((await get(third.path, '/v1')).status, 200);
  });

  test('may be closed twice and before its first request', async (t) => {
    const { server } = await opened(t);
    await Promise.all([server.close(), server.close()]);
  });

  test('is closed while somebody keeps a connection open and says nothing', {
    timeout: 60_000,
  }, async (t) => {
    const { server, path } = await opened(t);
    // So that what answers is loaded.
    await get(path, '/v1');
    const idle = connect(path);
    await once(idle, 'connect');
    idle.write('POST /v1/reload HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{');
    const gone = once(
      idle.resume().on('error', () => {}),
      'close',
    );
    await server.close();
    await gone;
  });

  test('takes a socket that was passed in, and neither changes nor unlinks it', async (t) => {
    const path = join(folder(t), 'passed.sock');
    const holder = await strangerAt(t, `${path}.before`);
    chmodSync(`${path}.before`, 0o600);
    const child = spawn(process.execPath, [passedSocketChild], {
      stdio: ['pipe', 'pipe', 'inherit', descriptorOf(holder)],
    });
    t.after(() => child.kill('SIGKILL'));
    await waitFor('the child to listen', () => child.stdout?.read() != null);
    // Under its new name it outlives the holder, who would take connections as well.
    renameSync(`${path}.before`, path);
    holder.close();
    assert.equal((await get(path, '/v1/status')).status, 200);
    child.stdin?.end();
    assert.deepEqual(await once(child, 'exit'), [0, null]);
    assert.equal(modeOf(path), '600');
  });

  test('refuses a passed socket that is not a unix socket, or no socket at all', async (t) => {
    const tcp = createServer().listen(0, '127.0.0.1');
    t.after(() => tcp.close());
    await once(tcp, 'listening');
    for (const [passed, what] of [
      [descriptorOf(tcp), 'is not a unix socket'],
      ['ignore', 'cannot be used'],
    ] as const) {
      const { status, stderr } = spawnSync(process.execPath, [passedSocketChild], {
        stdio: ['ignore', 'ignore', 'pipe', passed],
        encoding: 'utf8',
      });
      assert.equal(status, 78, stderr);
      assert.match(
        stderr,
        new RegExp(`the socket passed in for control \\(descriptor 3\\) ${what}; expected`),
      );
    }
  });

  test('answers bytes that are not HTTP with 400, and goes on', async (t) => {
    const { path } = await opened(t);
    assert.match(
      await raw(path, 'what is this\r\n\r\n'),
      /^HTTP\/1\.1 400 .*Rom-Agent-Control: v1.*"bad_request"/s,
    );
    const long = `GET /v1 HTTP/1.1\r\nHost: x\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`;
    assert.match(await raw(path, long), /^HTTP\/1\.1 431 .*"headers_too_large"/s);
    assert.equal((await get(path, '/v1')).status, 200);
  });

  test('cannot be made without permission: 77', { skip: needsRoot }, (t) => {
    const home = folder(t);
    chmodSync(home, 0o755);
    mkdirSync(join(home, 'there'), { mode: 0o755 });
    for (const path of [join(home, 'there', 'control.sock'), join(home, 'new', 'control.sock')]) {
      const { status, stderr } = spawnSync(process.execPath, [childAsNobody, 'open', path], {
        encoding: 'utf8',
      });
      assert.equal(status, 77, stderr);
    }
    assert.deepEqual(readdirSync(home), ['there']);
    assert.equal(statSync(join(home, 'there')).nlink, 2);
  });
});

const passedSocketChild = fileURLToPath(new URL('./passed-socket-child.js', import.meta.url));
const childAsNobody = fileURLToPath(new URL('./nobody-child.js', import.meta.url));
