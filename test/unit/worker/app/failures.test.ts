import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { type AddressInfo, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { pathToFileURL } from 'node:url';
import { runInNewContext } from 'node:vm';
import { exitCodes, RomAgentError } from '../../../../src/errors.js';
import type { Failure } from '../../../../src/protocol/death-record.js';
import { failureOf } from '../../../../src/worker/app/failures.js';
import { freePort } from '../../../support/net.js';

const system = (fields: object) => Object.assign(new Error('from the system'), fields);
const cases: [what: string, error: unknown, message: RegExp, exitCode: number, stack: boolean][] = [
  [
    'an error of our own',
    new RomAgentError('app: no', { exitCode: exitCodes.config }),
    /^app: no$/,
    exitCodes.config,
    false,
  ],
  ['an error of the app', new TypeError('a is not\na b'), /^TypeError: a is not$/, exitCodes.appFailed, true],
  ['a string', 'nope', /^the app threw 'nope', which is no Error$/, exitCodes.appFailed, false],
  ['an object', { code: 7 }, /^the app threw \{ code: 7 \}/, exitCodes.appFailed, false],
  [
    'an object without a prototype',
    Object.create(null),
    /^the app threw \[Object/,
    exitCodes.appFailed,
    false,
  ],
  ['undefined', undefined, /^the app threw undefined/, exitCodes.appFailed, false],
  [
    'an error of another realm',
    runInNewContext('new Error("from afar")'),
    /^Error: from afar$/,
    exitCodes.appFailed,
    true,
  ],
  [
    'a database that is down at all of its addresses',
    new AggregateError([
      new Error('connect ECONNREFUSED ::1:5432'),
      new Error('connect ECONNREFUSED 127.0.0.1:5432'),
    ]),
    /^AggregateError: connect ECONNREFUSED ::1:5432, connect ECONNREFUSED 127\.0\.0\.1:5432$/,
    exitCodes.appFailed,
    true,
  ],
  [
    'an address of another machine',
    system({ code: 'EADDRNOTAVAIL', syscall: 'listen', address: '192.0.2.1', port: 80 }),
    /^host: 192\.0\.2\.1 port 80 is not an address of this machine$/,
    exitCodes.addressInUse,
    false,
  ],
  [
    'a privileged port',
    system({ code: 'EACCES', syscall: 'bind', address: null, port: 80 }),
    /^no permission to listen on port 80: ports below 1024 need CAP_NET_BIND_SERVICE or a socket unit$/,
    exitCodes.noPermission,
    false,
  ],
  [
    'a socket in a folder that is not ours',
    system({ code: 'EACCES', syscall: 'listen', address: '/run/a.sock', port: -1 }),
    /^no permission to listen on socket \/run\/a\.sock$/,
    exitCodes.noPermission,
    false,
  ],
  [
    'a unix socket in use',
    system({ code: 'EADDRINUSE', syscall: 'listen', address: '/run/a.sock', port: -1 }),
    /^socket \/run\/a\.sock is in use$/,
    exitCodes.addressInUse,
    false,
  ],
  [
    'a file that may not be read',
    system({ code: 'EACCES', syscall: 'open', path: '/etc/shadow' }),
    /^Error: from the system$/,
    exitCodes.appFailed,
    true,
  ],
  [
    'a connection to elsewhere that is not permitted',
    system({ code: 'EACCES', syscall: 'connect', address: '192.0.2.1', port: 25 }),
    /^Error: from the system$/,
    exitCodes.appFailed,
    true,
  ],
  [
    'no local port left for a connection to elsewhere',
    system({ code: 'EADDRNOTAVAIL', syscall: 'connect', address: '192.0.2.1', port: 25 }),
    /^Error: from the system$/,
    exitCodes.appFailed,
    true,
  ],
];

for (const [what, error, message, exitCode, hasStack] of cases) {
  test(`${what}: ${message.source}`, () => {
    const failure = failureOf(error);
    assert.match(failure.message, message);
    assert.equal(failure.exitCode, exitCode);
    assert.equal(failure.stack !== undefined, hasStack, 'a stack for what nobody expected only');
  });
}

test('the number of a system error is kept, without its sign', () => {
  assert.equal(failureOf(system({ code: 'ENOSPC', errno: -28 })).errno, 28);
});

test('a port in use by this very app says so', async (t) => {
  const [holder, server] = [createServer().listen(0, '127.0.0.1'), createServer()];
  t.after(() => holder.close());
  await once(holder, 'listening');
  const { port } = holder.address() as AddressInfo;
  const failed = once(server, 'error');
  server.listen(port, '127.0.0.1');
  const [error] = await failed;
  const { message, exitCode, errno } = failureOf(error);
  const by = process.platform === 'linux' ? ' by another server of the same app' : '';
  assert.equal(message, `127.0.0.1 port ${port} is in use${by}`);
  assert.deepEqual([exitCode, errno], [exitCodes.addressInUse, (error as { errno: number }).errno * -1]);
});

test('a refused connection to elsewhere is an error of the app', async () => {
  const socket = connect(await freePort(), '127.0.0.1');
  const [error] = await once(socket, 'error');
  assert.match(failureOf(error).message, /^Error: connect ECONNREFUSED/);
});

test('a missing dependency is named, with who asked for it', async (t) => {
  const path = folder(t, {
    'a.cjs': 'require("./b.cjs");',
    'b.cjs': 'require("not-installed");',
    'c.mjs': 'import "not-installed";',
  });
  const cjs = await failed(() => createRequire(import.meta.url)(join(path, 'a.cjs')));
  assert.equal(
    cjs.message,
    `module missing: Cannot find module 'not-installed' required by ${join(path, 'b.cjs')}`,
  );
  const esm = await failed(() => import(pathToFileURL(join(path, 'c.mjs')).href));
  assert.match(esm.message, /^module missing: Cannot find package 'not-installed' imported from .*c\.mjs$/);
  assert.deepEqual([cjs.exitCode, esm.exitCode], [exitCodes.moduleMissing, exitCodes.moduleMissing]);
});

test('TypeScript on a Node that does not strip types is told so', () => {
  const error = Object.assign(new TypeError('Unknown file extension ".ts" for /srv/app.ts'), {
    code: 'ERR_UNKNOWN_FILE_EXTENSION',
  });
  const { message } = failureOf(error);
  assert.match(message, /\/srv\/app\.ts \(Node [\d.]+ does not strip types; 22\.18 and later do\)$/);
});

test('a syntax error is placed, in CommonJS and in an ES module', async (t) => {
  const text = (head: string) => `${head} (req, res) => {\n  res.end('x';\n};\n`;
  const path = folder(t, { 'a.cjs': text('module.exports ='), 'b.mjs': text('export default') });
  const [cjs, mjs] = [join(path, 'a.cjs'), join(path, 'b.mjs')];
  const [, main] = process.argv;
  t.after(() => {
    process.argv[1] = main ?? '';
  });
  process.argv[1] = cjs;
  const inCjs = await failed(() => createRequire(import.meta.url)(cjs));
  assert.equal(inCjs.message, `SyntaxError: missing ) after argument list (${cjs}:2)`);
  process.argv[1] = mjs;
  const inMjs = await failed(() => import(pathToFileURL(mjs).href));
  assert.equal(inMjs.message, `SyntaxError: missing ) after argument list (${mjs}:2)`);
});

test('a syntax error in a file that the app imports, or of JSON, is not placed wrongly', async (t) => {
  const path = folder(t, {
    'fine.mjs': 'import "./broken.mjs";',
    'broken.mjs': 'const;',
    'broken.json': '{',
  });
  const [, main] = process.argv;
  t.after(() => {
    process.argv[1] = main ?? '';
  });
  process.argv[1] = join(path, 'fine.mjs');
  const imported = await failed(() => import(pathToFileURL(join(path, 'fine.mjs')).href));
  assert.match(imported.message, /^SyntaxError: [^(]*$/);
  process.argv[1] = join(path, 'broken.mjs');
  assert.match(
    (await failed(() => JSON.parse('{'))).message,
    /^SyntaxError: [^(]*JSON[^(]*(\(line 1 column 2\))?$/,
  );
});

function folder(t: TestContext, files: Record<string, string>): string {
  const path = mkdtempSync(join(tmpdir(), 'rom-agent-failures-'));
  t.after(() => rmSync(path, { recursive: true }));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(path, name), text);
  return path;
}

async function failed(load: () => unknown): Promise<Failure> {
  try {
    await load();
  } catch (error) {
    return failureOf(error);
  }
  throw new Error('it did not fail');
}

const linux = process.platform === 'linux' ? {} : { skip: 'needs /proc/net/unix' };
test('a unix socket that a killed process has left is not called in use', linux, async (t) => {
  const path = join(mkdtempSync(join(tmpdir(), 'rom-agent-left-')), 'app.sock');
  t.after(() => rmSync(dirname(path), { recursive: true }));
  const run = 'require("net").createServer().listen(process.argv[1], () => process.kill(process.pid, 9))';
  spawnSync(process.execPath, ['-e', run, path]);
  const left = await listenError(path);
  const { message, exitCode } = failureOf(left);
  assert.equal(
    message,
    `socket ${path} is a file that a killed process has left, and nobody listens on it: remove the file, or have the app remove it before it listens`,
  );
  assert.equal(exitCode, exitCodes.addressInUse);
  rmSync(path);
  const holder = createServer().listen(path);
  t.after(() => holder.close());
  await once(holder, 'listening');
  assert.equal(failureOf(await listenError(path)).message, `socket ${path} is in use`);
});

async function listenError(path: string): Promise<unknown> {
  const server = createServer();
  const failed = once(server, 'error');
  server.listen(path);
  return (await failed)[0];
}
