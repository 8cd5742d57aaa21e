import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { closeSync, copyFileSync, fstatSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { repoRoot } from '../../support/process.js';
import { folder } from '../control/place.js';

interface Started {
  /** What stands in for the rest of rom-agent. */
  readonly start: string;
  /** Said by process.versions.node. */
  readonly node?: string;
  readonly journal?: boolean;
}

/** Runs src/cli/entry.cjs as the build puts it: main.js beside start.js. */
function enter(t: TestContext, { start, node, journal = false }: Started) {
  const place = folder(t);
  copyFileSync(join(repoRoot, 'src', 'cli', 'entry.cjs'), join(place, 'main.js'));
  writeFileSync(join(place, 'start.js'), start);
  writeFileSync(join(place, 'package.json'), '{"type": "commonjs"}');
  const older = `Object.defineProperty(process, 'versions', {value: {...process.versions, node: '${node}'}});`;
  writeFileSync(join(place, 'older.js'), node === undefined ? '' : older);
  const stderr = openSync(join(place, 'stderr'), 'w+');
  const { dev, ino } = fstatSync(stderr);
  const { status, stdout } = spawnSync(
    process.execPath,
    ['-r', join(place, 'older.js'), join(place, 'main.js')],
    {
      stdio: ['ignore', 'pipe', stderr],
      env: journal ? { JOURNAL_STREAM: `${dev}:${ino}` } : {},
      encoding: 'utf8',
    },
  );
  closeSync(stderr);
  return { status, stdout, stderr: readFileSync(join(place, 'stderr'), 'utf8') };
}

describe('the file that is started', () => {
  test('starts the rest', (t) => {
    assert.deepEqual(enter(t, { start: "console.log('started')" }), {
      status: 0,
      stdout: 'started\n',
      stderr: '',
    });
  });

  test('ends with 75 where a file is missing, and says each line at priority err', (t) => {
    const { status, stderr } = enter(t, { start: "require('../chunks/gone.js')", journal: true });
    assert.equal(status, 75);
    const [first = '', ...rest] = stderr.trimEnd().split('\n');
    assert.match(
      first,
      /^<3>rom-agent cannot be loaded; .* in progress: Cannot find module '..\/chunks\/gone.js'/,
    );
    assert.ok(rest.length > 0 && rest.every((line) => line.startsWith('<3>')), stderr);
  });

  test('says where an unfinished file breaks off, and without a priority where no journal listens', (t) => {
    const { status, stderr } = enter(t, { start: 'const half = {' });
    assert.equal(status, 75);
    assert.match(stderr, /^rom-agent cannot be loaded; .*start\.js:1$/m);
    assert.match(stderr, /^SyntaxError/m);
  });

  for (const version of ['10.24.1', '18.20.8', '20.18.3'])
    test(`ends with 78 under Node.js ${version}, and names what it needs`, (t) => {
      const { status, stdout, stderr } = enter(t, { start: "console.log('started')", node: version });
      assert.deepEqual({ status, stdout }, { status: 78, stdout: '' });
      const said = `rom-agent needs Node.js ${oldest} or later; ${process.execPath} is ${version}\n`;
      assert.equal(stderr, said);
    });

  test('needs what package.json says', () => {
    const { engines } = JSON.parse(readFileSync(join(repoRoot, 'package.json'), 'utf8'));
    assert.equal(engines.node, `>=${oldest}.0`);
  });
});

const oldest = '20.19';
