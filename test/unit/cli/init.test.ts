import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parse } from 'smol-toml';
import { planInit } from '../../../src/cli/start/init.js';
import { RomAgentError } from '../../../src/errors.js';

/** The plan for a folder /srv/shop with these files. */
function plan(files: Readonly<Record<string, string>>) {
  const readFile = (path: string): string => {
    const text = files[path.replace('/srv/shop/', '')];
    if (text === undefined) throw Object.assign(new Error(`ENOENT: ${path}`), { code: 'ENOENT' });
    return text;
  };
  const exists = (path: string): boolean => path.replace('/srv/shop/', '') in files;
  const { text, notes } = planInit({ folder: '/srv/shop', readFile, exists });
  return { text, notes, values: { ...parse(text) } };
}

const pkg = (value: object): string => JSON.stringify(value);

describe('rom-agent init', () => {
  test('takes the app, its arguments and the flags of Node from the script "start"', () => {
    const start = 'NODE_ENV=staging PORT=8080 node --import ./tracing.mjs server.js --verbose';
    const { values, notes } = plan({ 'package.json': pkg({ scripts: { start } }), 'server.js': '' });
    assert.deepEqual(values, {
      app: 'server.js',
      args: ['--verbose'],
      node_args: ['--import=./tracing.mjs'],
      port: 8080,
      node_env: 'staging',
    });
    assert.deepEqual(notes, []);
  });

  test('takes a command of one of the packages', () => {
    const { values, notes } = plan({
      'package.json': pkg({ scripts: { start: 'next start -p 3000' } }),
      'node_modules/next/package.json': pkg({ bin: { next: 'dist/bin/next' } }),
    });
    assert.deepEqual(values, { app: 'next', args: ['start', '-p', '3000'] });
    assert.match(notes.join(), /port from an argument/);
  });

  test('takes "main", or a file with a usual name, where the script is more than one command', () => {
    const scripts = { start: 'npm run build && node dist/main' };
    const byMain = plan({ 'package.json': pkg({ main: 'lib/web.js', scripts }), 'lib/web.js': '' });
    assert.equal(byMain.values.app, 'lib/web.js');
    assert.match(byMain.notes[0] ?? '', /npm run build/);
    const byName = plan({ 'package.json': pkg({ scripts, engines: { node: '>=22' } }), 'app.mjs': '' });
    assert.equal(byName.values.app, 'app.mjs');
    assert.match(byName.notes[1] ?? '', /Node >=22/);
    assert.equal(plan({ 'index.ts': '' }).values.app, 'index.ts');
  });

  test('names the variables that the script sets, and leaves their values to the operator', () => {
    const start = 'DB_PASSWORD=secret node server.js';
    const { text, notes } = plan({ 'package.json': pkg({ scripts: { start } }), 'server.js': '' });
    assert.match(notes.join(), /DB_PASSWORD/);
    assert.ok(!text.includes('secret'), text);
  });

  test('explains settings that are not set, each with a value that would be right', () => {
    const { text } = plan({ 'server.js': '' });
    const lines = text.split('\n').filter((line) => /^# (\[?[\w.]+\]?$|\w+ = )/.test(line));
    const enabled = parse(lines.map((line) => line.slice(2)).join('\n'));
    assert.equal(enabled.port, 3000);
    assert.deepEqual({ ...(enabled.memory as object) }, { max_rss: 768 });
    assert.ok(
      text.split('\n').every((line) => line.length <= 110),
      text,
    );
  });

  test('says where there is no app, and where package.json is no JSON', () => {
    const because = (pattern: RegExp, exitCode: number) => (error: unknown) => {
      assert.ok(error instanceof RomAgentError);
      assert.match(error.message, pattern);
      return error.exitCode === exitCode;
    };
    assert.throws(() => plan({}), because(/no app in \/srv\/shop/, 66));
    assert.throws(() => plan({ 'package.json': '{' }), because(/package\.json cannot be read/, 78));
  });
});
