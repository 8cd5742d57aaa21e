import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { guarded, plain, toJson } from '../../../src/cli/output.js';
import { examples } from '../../../src/control/openapi.js';
import type { ControlEvent } from '../../../src/protocol/control-api.js';
import { plainEnvironment, repoRoot } from '../../support/process.js';
import { waitFor } from '../../support/wait.js';
import { opened } from '../control/place.js';
import { runHere } from './in-process.js';

/** Clears the screen, forges a line, rings, turns the direction, speaks C1, and breaks lines as Unicode does. */
const evil = '\x1b[2J\x1b]0;root\x07\r\nok\x08\x7f\u009b31m\u202ecod.exe\u2066\u2028\u200f\t';
/** All that a terminal may act on but the line break. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what it looks for
const raw = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/;
const foreign = new Set([
  ...['by', 'release', 'reason', 'detail', 'cause', 'path', 'route', 'method', 'stack', 'at', 'from', 'node'],
  ...['version', 'message', 'value'],
]);

/** The same with something evil at the end of every string that comes from elsewhere. */
function poisoned<T>(value: T, key = ''): T {
  if (typeof value === 'string') return (foreign.has(key) ? `${value}${evil}` : value) as T;
  if (Array.isArray(value)) return value.map((item) => poisoned(item, key)) as T;
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, poisoned(inner, name)])) as T;
}

/** What a command writes, byte by byte, at a daemon all of whose strings are evil. */
async function output(t: TestContext, ...args: readonly string[]): Promise<{ out: string; err: string }> {
  const daemon = await opened(t);
  const refused = { accepted: false, reason: `no${evil}` } as const;
  Object.assign(daemon.commands, {
    status: () => poisoned(examples.Status),
    history: () => poisoned(examples.History),
    config: () => poisoned(examples.Config),
    stack: async () => ({ accepted: true, ...poisoned(examples.Stack) }),
    profile: async () => ({ accepted: true, ...poisoned(examples.EvidenceFile) }),
    restart: async () => refused,
    abort: async () => ({ accepted: true, message: `so${evil}` }),
  });
  const env = { ...plainEnvironment(), ROM_AGENT_CONTROL_SOCKET: daemon.path, SUDO_USER: 'alice' };
  const { ended } = runHere(t, args, env);
  if (args[0] === 'reload' || args[0] === 'events') {
    await waitFor('the command to listen', () => daemon.listeners.size === 1);
    const events: readonly ControlEvent[] = [
      examples.Event.worker,
      examples.Event.step,
      examples.Event.record,
    ];
    for (const event of events) daemon.emit(poisoned(event));
    if (args[0] === 'events') await daemon.server.close();
  }
  return ended;
}

describe('a daemon whose strings are evil', () => {
  for (const args of [
    ['status'],
    ['reload'],
    ['abort'],
    ['history'],
    ['history', '12'],
    ['events'],
    ['config'],
    ['stack', '1'],
    ['profile', '1', '--seconds', '1'],
    ['restart', '1'],
  ]) {
    test(`does not reach the terminal by rom-agent ${args.join(' ')}`, async (t) => {
      const { out, err } = await output(t, ...args);
      assert.doesNotMatch(out, raw);
      assert.doesNotMatch(err, raw);
      // It was there.
      assert.match(out + err, /\\u001b\[2J/);
      assert.doesNotMatch(out + err, /^ok/m);
    });
  }

  for (const args of [['status'], ['history'], ['config'], ['stack', '1'], ['reload'], ['events']]) {
    test(`is JSON as it came, and harmless, by rom-agent ${args.join(' ')} --json`, async (t) => {
      const { out } = await output(t, ...args, '--json');
      assert.doesNotMatch(out, raw);
      const whole = args[0] === 'reload' || args[0] === 'events' ? out.trimEnd().split('\n') : [out];
      for (const text of whole) JSON.parse(text);
      assert.ok(
        JSON.stringify(whole.map((text) => JSON.parse(text))).includes(JSON.stringify(evil).slice(1, -1)),
      );
    });
  }

  test('does not reach it by check, whose values come from files and variables', async (t) => {
    for (const args of [['check'], ['check', '--json']]) {
      const env = { ...plainEnvironment(), LOG_DIR: `/tmp/${evil}`, ROM_AGENT_APP: `/srv/${evil}` };
      const { out, err } = await runHere(t, args, env).ended;
      const text = out + err;
      assert.doesNotMatch(text, raw);
      assert.match(text, /\\u001b\[2J/);
    }
  });
});

describe('what is foreign', () => {
  test('has one way out: nothing but the output module writes to standard output and standard error', () => {
    const cli = join(repoRoot, 'src/cli');
    const files = readdirSync(cli, { recursive: true, encoding: 'utf8' }).filter((name) =>
      name.endsWith('.ts'),
    );
    assert.ok(files.some((name) => name.includes('/')));
    const writers = files.filter((name) =>
      /\b(stdout|stderr)\.write\(|console\./.test(readFileSync(join(cli, name), 'utf8')),
    );
    assert.deepEqual(writers, ['output.ts']);
  });

  test('is one line, but for a stack', () => {
    assert.deepEqual(plain({ cause: 'a\nb', stack: 'a\n\x1bb', list: ['\r'] }), {
      cause: 'a\\nb',
      stack: 'a\n\\u001bb',
      list: ['\\r'],
    });
  });

  test('is the same document as JSON', () => {
    const value = { a: evil, [evil]: 1 };
    assert.deepEqual(JSON.parse(toJson(value, 2)), value);
    assert.doesNotMatch(toJson(value, 2), raw);
  });

  test('is stopped at the last moment where nobody has thought of it, and colours of ours are not', () => {
    assert.equal(guarded('\x1b[32mok\x1b[39m\n', { colours: true }), '\x1b[32mok\x1b[39m\n');
    assert.equal(guarded('\x1b[32mok'), '\\u001b[32mok');
    assert.equal(guarded('\x1b[2J\x1b[31m', { colours: true }), '\\u001b[2J\x1b[31m');
  });
});
