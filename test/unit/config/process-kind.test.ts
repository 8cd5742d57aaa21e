import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { foreignProgram } from '../../../src/config/checks.js';
import { inspectConfig, type LoadInput, loadConfig } from '../../../src/config/load.js';
import { fakeFiles, loadInput } from '../../support/load-input.js';

const flags = { app: '/srv/bot.js', kind: 'process' };

async function problemsOf(input: Partial<LoadInput>) {
  const { problems } = await inspectConfig(loadInput(input));
  return problems;
}

describe('an app that is no server', () => {
  test('has one worker unless told, and no probe', async () => {
    const { config, origins } = await loadConfig(loadInput({ flags }));
    assert.equal(config.workers, 1);
    assert.equal(origins.workers, 'default: kind process');
    assert.equal(config.reload.probe, null);
  });

  test('has as many workers as somebody asks for, but not as many as a platform suggests for the web', async () => {
    const asked = await loadConfig(loadInput({ flags: { ...flags, workers: '3' } }));
    assert.equal(asked.config.workers, 3);
    const hinted = await loadConfig(loadInput({ flags, env: { WEB_CONCURRENCY: '8' } }));
    assert.equal(hinted.config.workers, 1);
    assert.equal(hinted.origins.workers, 'kind process, over WEB_CONCURRENCY in the environment');
  });

  for (const [key, value] of Object.entries({
    dispatch: 'reuseport',
    sticky: 'cookie',
    balance: 'on',
    spares: '1',
    routesPrefix: '/_ops',
    healthProbe: '/healthz',
    reloadProbe: '/healthz',
    linger: '1s',
    socketMode: '0660',
    websockets: 'leave',
    poisonBlock: '1m',
    reloadMaxErrors: '1',
  }))
    test(`has nothing to do with the setting ${key}`, async () => {
      const nodeVersion = '22.12.0';
      const [problem, ...others] = await problemsOf({ flags: { ...flags, [key]: value }, nodeVersion });
      assert.deepEqual(others, []);
      assert.match(
        problem?.expected ?? '',
        /^nothing with kind process \(from --kind\), which is for apps that are no server$/,
      );
      assert.deepEqual(await problemsOf({ flags: { [key]: value }, nodeVersion }), [], 'a server has');
    });

  test('may be told what is so anyhow, and what it finds in PORT and HOST', async () => {
    const more = { dispatch: 'shared', reloadProbe: 'none', port: '9100', host: '127.0.0.1' };
    assert.deepEqual(await problemsOf({ flags: { ...flags, ...more } }), []);
  });

  test('has an app: the built-in one is a server', async () => {
    const [problem] = await problemsOf({ flags: { kind: 'process' } });
    assert.equal(problem?.field, 'kind');
    assert.match(problem?.expected ?? '', /the built-in app is a server/);
  });

  test('alone may say that it is ready', async () => {
    assert.deepEqual(await problemsOf({ flags: { ...flags, waitReady: 'on' } }), []);
    const [problem] = await problemsOf({ flags: { app: '/srv/server.js', waitReady: 'on' } });
    assert.equal(problem?.field, 'wait_ready');
    assert.match(problem?.expected ?? '', /^"off" with kind server \(from default\)/);
  });
});

describe('a program that Node does not run', () => {
  for (const [path, text, command] of [
    ['/srv/bot.py', '', '/usr/bin/python3 /srv/bot.py'],
    ['/srv/bot.rb', '', '/usr/bin/ruby /srv/bot.rb'],
    ['/srv/run.sh', '#!/bin/sh\n', '/bin/sh /srv/run.sh'],
    ['/srv/bot', '#!/usr/bin/env python3\n', '/srv/bot'],
    ['/srv/bot', '\x7fELF\x02\x01', '/srv/bot'],
  ] as const)
    test(`is told by ${text === '' ? path : JSON.stringify(text)}, with what to start it by`, () => {
      assert.equal(foreignProgram(path, fakeFiles({ [path]: text }))?.command, command);
    });

  for (const [path, text] of [
    ['/srv/bot.js', '#!/usr/bin/env python3\n'],
    ['/srv/bot.ts', ''],
    ['/srv/cli', '#!/usr/bin/env node\n'],
    ['/srv/cli', '#!/bin/sh\n":" //; exec node "$0" "$@"\n'],
    ['/srv/missing', undefined],
  ] as const)
    test(`is none of ${path} with ${JSON.stringify(text)}`, () => {
      assert.equal(foreignProgram(path, fakeFiles(text === undefined ? {} : { [path]: text })), null);
    });

  test('is refused as an app', async () => {
    const [problem] = await problemsOf({ flags: { app: '/srv/bot.py' } });
    assert.equal(
      problem?.expected,
      'a JavaScript or TypeScript module; a systemd unit of its own runs Python: ExecStart=/usr/bin/python3 /srv/bot.py',
    );
  });
});
