import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { planWatch } from '../../../src/cli/start/watch.js';
import type { Key } from '../../../src/settings/settings.js';

function plan(words: readonly string[], { given = [] as readonly Key[], isTerminal = true } = {}) {
  return planWatch({
    argv: ['/usr/bin/node', '/lib/main.js', 'serve', ...words],
    execArgv: ['--no-warnings'],
    env: { HOME: '/home/me' },
    isGiven: (key) => given.includes(key),
    isTerminal,
  });
}

describe('serve --watch', () => {
  test('has node watch a daemon with one worker', () => {
    const { args } = plan(['server.js', '--watch', '--port', '80', '--', '--watch']);
    assert.deepEqual(args, [
      ...['--no-warnings', '--watch', '--watch-preserve-output', '/lib/main.js', 'serve'],
      ...['server.js', '--port', '80', '--workers=1', '--', '--watch'],
    ]);
  });

  test('sets what suits development, but for settings that somebody has set', () => {
    const { env } = plan(['server.js', '--watch'], { given: ['node_env', 'drain_timeout'] });
    assert.equal(env.HOME, '/home/me');
    assert.equal(env.NODE_ENV, undefined);
    assert.equal(env.ROM_AGENT_DRAIN_TIMEOUT, undefined);
    assert.equal(env.ROM_AGENT_HANG_TIMEOUT, '1h');
    assert.equal(plan(['server.js']).env.NODE_ENV, 'development');
  });

  test('writes lines for people also where their reader is a program', () => {
    assert.ok(plan([], { isTerminal: false }).args.includes('--log-format=pretty'));
    assert.ok(
      !plan([], { isTerminal: false, given: ['log.format'] })
        .args.join()
        .includes('log-format'),
    );
  });

  test('has no spare', () => {
    assert.ok(plan([], { given: ['spares'] }).args.includes('--spares=0'));
  });
});
