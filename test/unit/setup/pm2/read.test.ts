import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { RomAgentError } from '../../../../src/errors.js';
import { executeFile, type FileSeam, type Identity, readEcosystem } from '../../../../src/setup/pm2/read.js';

interface File {
  readonly text?: string;
  readonly uid?: number;
  readonly mode?: number;
}

function seamOf(files: Readonly<Record<string, File>>, uid: number) {
  const ran: (Identity | null)[] = [];
  const at = (path: string): File => {
    const found = files[path] ?? (Object.keys(files).some((each) => each.startsWith(path)) ? {} : undefined);
    if (found === undefined)
      throw Object.assign(new Error(`ENOENT: no such file, open '${path}'`), { code: 'ENOENT' });
    return found;
  };
  const seam: FileSeam = {
    uid,
    readFile: (path) => at(path).text ?? '',
    stat: (path) => ({ uid: at(path).uid ?? 0, gid: at(path).uid ?? 0, mode: at(path).mode ?? 0o755 }),
    execute: async (path, as) => {
      ran.push(as);
      return at(path).text ?? '';
    },
  };
  return { seam, ran };
}

const text = JSON.stringify({ apps: [{ name: 'a', script: 'a.js' }] });

describe('a file with code', () => {
  test('runs as who calls, where that is not root', async () => {
    const { seam, ran } = seamOf({ '/a/e.config.cjs': { text, uid: 7, mode: 0o777 } }, 1000);
    assert.deepEqual(
      (await readEcosystem('/a/e.config.cjs', seam)).apps.map(({ name }) => name),
      ['a'],
    );
    assert.deepEqual(ran, [null]);
  });

  test('runs as its owner, where root calls', async () => {
    const { seam, ran } = seamOf({ '/a/e.config.js': { text, uid: 7, mode: 0o664 } }, 0);
    await readEcosystem('/a/e.config.js', seam);
    assert.deepEqual(ran, [{ uid: 7, gid: 7 }]);
  });

  test("runs as root, where it is root's and nobody else may write it", async () => {
    const { seam, ran } = seamOf({ '/a/e.config.js': { text, uid: 0, mode: 0o644 } }, 0);
    await readEcosystem('/a/e.config.js', seam);
    assert.deepEqual(ran, [null]);
  });

  for (const [what, files] of [
    ['others may write it', { '/a/e.config.js': { text, mode: 0o666 } }],
    ['others may write its folder', { '/a/e.config.js': { text, mode: 0o644 }, '/a': { mode: 0o777 } }],
    ["its folder is somebody's", { '/a/e.config.js': { text, mode: 0o644 }, '/a': { uid: 7 } }],
  ] as const)
    test(`does not run as root where ${what}`, async () => {
      const { seam, ran } = seamOf(files, 0);
      await assert.rejects(readEcosystem('/a/e.config.js', seam), (error) => {
        assert.ok(error instanceof RomAgentError);
        assert.equal(error.exitCode, 77);
        assert.match(error.message, /not run as root: \/a\/e\.config\.js is code/);
        return true;
      });
      assert.deepEqual(ran, []);
    });
});

describe('a file that cannot be read', () => {
  for (const [path, content, message] of [
    ['/a/e.yaml', '', /YAML, which rom-agent does not read: .*without a file/],
    ['/a/e.json', '{apps: []}', /is not JSON: .*ecosystem\.config\.cjs/],
    ['/a/e.json', '{"apps": []}', /holds no apps/],
    ['/a/e.txt', '', /expected ecosystem\.config\.js/],
    ['/a/dump.pm2', '{}', /holds no apps/],
  ] as const)
    test(`says why: ${path} with ${content}`, async () => {
      await assert.rejects(readEcosystem(path, seamOf({ [path]: { text: content } }, 1000).seam), message);
    });

  test('says that it is not there', async () => {
    await assert.rejects(
      readEcosystem('/b/e.json', seamOf({}, 1000).seam),
      /cannot read \/b\/e\.json: ENOENT/,
    );
  });
});

describe('the process that runs a file', () => {
  const folder = mkdtempSync(join(tmpdir(), 'rom-agent-import-'));
  const write = (name: string, code: string): string => {
    const path = join(folder, name);
    writeFileSync(path, code);
    return path;
  };
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));

  test('gives what a CommonJS or an ES module exports, whatever that prints', async () => {
    const cjs = write(
      'a.config.cjs',
      'console.log("noise"); module.exports = {apps: [{name: require("path").basename(process.cwd())}]}',
    );
    assert.match(await executeFile(cjs, null), /^\{"apps":\[\{"name":"rom-agent-import-/);
    const esm = write('a.config.mjs', 'setInterval(() => {}, 1e6); export default [{name: "b"}]');
    assert.equal(await executeFile(esm, null), '[{"name":"b"}]');
  });

  test('gives the error that it throws', async () => {
    const path = write('b.config.cjs', 'throw new TypeError("no database url")');
    await assert.rejects(executeFile(path, null), /b\.config\.cjs cannot be run: TypeError: no database url/);
  });
});
