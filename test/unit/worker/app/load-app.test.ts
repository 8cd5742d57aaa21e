import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import workerThreads from 'node:worker_threads';
import { exitCodes, RomAgentError } from '../../../../src/errors.js';
import { loadApp, ownStart, resolveApp, startThreadsWith } from '../../../../src/worker/app/load-app.js';

const module = new URL('../../../../src/worker/app/load-app.js', import.meta.url).href;

/** A folder with these files, the links resolved as Node resolves them. */
function folder(t: TestContext, files: Record<string, string>): string {
  const path = realpathSync(mkdtempSync(join(tmpdir(), 'rom-agent-load-')));
  t.after(() => rmSync(path, { recursive: true }));
  // Whatever lies in the directories above says nothing about it.
  for (const [name, text] of Object.entries({ 'package.json': '{}', ...files })) {
    mkdirSync(dirname(join(path, name)), { recursive: true });
    writeFileSync(join(path, name), text);
  }
  return path;
}

/** Loads it in a process of its own, as a worker does, and prints what `show` makes of the export. */
function load(path: string, show = 'exported'): { stdout: string; stderr: string; status: number | null } {
  const worker = mkdtempSync(join(tmpdir(), 'rom-agent-loader-'));
  const script = join(worker, 'worker.mjs');
  writeFileSync(
    script,
    `import { loadApp } from ${JSON.stringify(module)};
    const { exported } = await loadApp(${JSON.stringify(path)});
    console.log(JSON.stringify(${show}));`,
  );
  try {
    return spawnSync(process.execPath, [script], { encoding: 'utf8' });
  } finally {
    rmSync(worker, { recursive: true });
  }
}

function shown(path: string, show?: string): unknown {
  const { stdout, stderr } = load(path, show);
  return stdout === '' ? stderr : JSON.parse(stdout);
}

test('CommonJS: module.exports', (t) => {
  const path = folder(t, {
    'a.cjs': 'module.exports = { kind: "cjs" };',
    'b.js': 'module.exports = { kind: "js" };',
  });
  assert.deepEqual(shown(join(path, 'a.cjs')), { kind: 'cjs' });
  assert.deepEqual(shown(join(path, 'b.js')), { kind: 'js' });
  assert.deepEqual(shown(join(path, 'b')), { kind: 'js' }, 'the extension may be left out, as for node');
});

test('ES modules: the default export, after every top-level await', (t) => {
  const path = folder(t, {
    'a.mjs': 'await new Promise((r) => setTimeout(r, 50)); export default { kind: "mjs" };',
    'package.json': '{ "type": "module" }',
    'b.js': 'export default { kind: "js" };',
    'none.js': 'export const app = 1;',
  });
  assert.deepEqual(shown(join(path, 'a.mjs')), { kind: 'mjs' });
  assert.deepEqual(shown(join(path, 'b.js')), { kind: 'js' });
  assert.deepEqual(shown(join(path, 'none.js'), 'typeof exported'), 'undefined');
});

test('CommonJS that a compiler made of ES modules: exports.default', (t) => {
  const mark = 'Object.defineProperty(exports, "__esModule", { value: true });';
  const path = folder(t, { 'a.cjs': `${mark} exports.default = { kind: "default" };` });
  assert.deepEqual(shown(join(path, 'a.cjs')), { kind: 'default' });
});

test('the module is loaded once, as the main module', (t) => {
  const path = folder(t, {
    'main.cjs': `globalThis.times = (globalThis.times ?? 0) + 1;
      module.exports = { main: require.main === module, times: globalThis.times, argv: process.argv.slice(1) };`,
    'main.mjs': `globalThis.times = (globalThis.times ?? 0) + 1;
      export default { times: globalThis.times, argv: process.argv.slice(1) };`,
  });
  const [cjs, mjs] = [join(path, 'main.cjs'), join(path, 'main.mjs')];
  assert.deepEqual(shown(cjs), { main: true, times: 1, argv: [cjs] });
  assert.deepEqual(shown(mjs), { times: 1, argv: [mjs] });
});

test('a folder: the main of its package.json, else its index.js', (t) => {
  const path = folder(t, {
    'with-main/package.json': '{ "main": "lib/server.js" }',
    'with-main/lib/server.js': 'module.exports = "main";',
    'with-index/index.js': 'module.exports = "index";',
    'esm/package.json': '{ "type": "module", "main": "app.js" }',
    'esm/app.js': 'export default "esm";',
  });
  assert.equal(shown(join(path, 'with-main')), 'main');
  assert.equal(shown(join(path, 'with-index')), 'index');
  assert.equal(shown(join(path, 'esm')), 'esm');
});

test('a link is followed: modules are found beside the real file', (t) => {
  const path = folder(t, {
    'releases/1/app.cjs': 'module.exports = require("./part.cjs");',
    'releases/1/part.cjs': 'module.exports = "part";',
  });
  symlinkSync(join(path, 'releases/1'), join(path, 'current'));
  assert.equal(resolveApp(join(path, 'current/app.cjs')), join(path, 'releases/1/app.cjs'));
  symlinkSync(join(path, 'releases/1/app.cjs'), join(path, 'link.cjs'));
  assert.equal(shown(join(path, 'link.cjs')), 'part');
});

test('a missing file or an empty folder is named, with exit 66', async (t) => {
  const path = folder(t, { 'empty/readme.txt': '' });
  const cases: [string, RegExp][] = [
    [join(path, 'nowhere.js'), /^module missing: app: there is no file .*nowhere\.js$/],
    [
      join(path, 'empty'),
      /the folder .*empty has neither a package\.json with a "main" that exists nor an index\.js$/,
    ],
  ];
  for (const [app, message] of cases) {
    await assert.rejects(loadApp(app), (error) => {
      assert.ok(error instanceof RomAgentError);
      assert.equal(error.exitCode, exitCodes.moduleMissing);
      assert.match(error.message, message);
      return true;
    });
  }
});

test('a package.json that is not JSON is reported as such', (t) => {
  const path = folder(t, { 'bad/package.json': '{ main', 'bad/index.js': '' });
  assert.throws(
    () => resolveApp(join(path, 'bad')),
    (error) => {
      assert.ok(error instanceof Error && !(error instanceof RomAgentError));
      assert.match(error.message, /package\.json/);
      return true;
    },
  );
});

test('what the module throws is passed on', (t) => {
  const path = folder(t, {
    'a.cjs': 'throw new Error("cjs is broken");',
    'b.mjs': 'await 1; throw new Error("esm is broken");',
    'c.cjs': 'require("not-installed");',
    'd.mjs': 'import "not-installed";',
  });
  assert.match(load(join(path, 'a.cjs')).stderr, /cjs is broken/);
  assert.match(load(join(path, 'b.mjs')).stderr, /esm is broken/);
  for (const name of ['c.cjs', 'd.mjs']) assert.match(load(join(path, name)).stderr, /MODULE_NOT_FOUND/);
});

test('TypeScript is loaded where this Node strips types, and refused by its extension where not', (t) => {
  const path = folder(t, {
    'a.ts': 'export default "typed" as string;',
    'package.json': '{ "type": "module" }',
  });
  const strips = 'typescript' in process.features && process.features.typescript;
  const { stdout, stderr } = load(join(path, 'a.ts'));
  if (strips) assert.equal(stdout.trim(), '"typed"');
  else assert.match(stderr, /ERR_UNKNOWN_FILE_EXTENSION/);
});

const read = (text: string, name = '') => ownStart('/app.js', name, () => text);

const starts: readonly [text: string, name: string][] = [
  ['if (require.main === module) start();\nmodule.exports = start;', 'start'],
  ['if (!module.parent) main()', ''],
  ['if (import.meta.main) await boot()', ''],
  ['if (process.argv[1] === fileURLToPath(import.meta.url)) boot()', ''],
  ['async function start() {}\nstart().catch(fail);\nmodule.exports = start;', 'start'],
];

for (const [text, name] of starts) {
  test(`it starts itself: ${text.split('\n')[0]}`, () => assert.equal(read(text, name).startsItself, true));
}

test('what is only defined and exported does not start itself', () => {
  assert.equal(
    read('async function start () { return app; }\nmodule.exports = start;', 'start').startsItself,
    false,
  );
  assert.equal(read('export default () => app', 'default').startsItself, false);
  assert.equal(read('const restart = () => restart2(); other.start();', 'start').startsItself, false);
});

test('a call of listen() anywhere is one', () => {
  assert.equal(read('connect().then(() => app.listen(port))').listens, true);
  assert.equal(read('module.exports = app').listens, false);
});

test('a file that cannot be read says nothing', () => {
  assert.deepEqual(ownStart('/nowhere/at/all.js', 'start'), { startsItself: false, listens: false });
});

const code = "require('node:worker_threads').parentPort.postMessage(process.execArgv)";

/** What a thread finds in process.execArgv. */
async function flagsOf(threads: Pick<typeof workerThreads, 'Worker'>, options = {}): Promise<unknown> {
  const [flags] = await once(new threads.Worker(code, { eval: true, ...options }), 'message');
  return flags;
}

function threadsWith(flags: readonly string[]) {
  const threads = { Worker: workerThreads.Worker };
  startThreadsWith(flags, threads);
  return threads;
}

describe('a thread of the app', () => {
  test('has the flags of plain Node where the app names none', async () => {
    assert.deepEqual(await flagsOf(threadsWith(['--no-warnings'])), ['--no-warnings']);
    assert.deepEqual(await flagsOf(threadsWith([])), []);
  });

  test('has the flags that the app names', async () => {
    const threads = threadsWith(['--no-warnings']);
    assert.deepEqual(await flagsOf(threads, { execArgv: ['--no-deprecation'] }), ['--no-deprecation']);
  });

  test('inherits as before where the flags are none that a thread can be given', async () => {
    assert.deepEqual(await flagsOf(threadsWith(['--stack-size=900'])), process.execArgv);
  });

  test('is one of the class that the app sees, also where the app has extended it', async () => {
    const { Worker } = threadsWith([]);
    class Own extends Worker {}
    const own = new Own('', { eval: true });
    assert.ok(own instanceof Own && own instanceof Worker);
    assert.equal(Worker.prototype.constructor, Worker);
    await once(own, 'exit');
  });
});
