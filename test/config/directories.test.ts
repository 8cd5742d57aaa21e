import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findDirectories } from '../../src/config/directories.js';

const machine = { env: {}, uid: 1000, platform: 'linux', home: '/home/ann', tmpdir: '/tmp' } as const;

test('root has the directories of the system', () => {
  const { runtime, state } = findDirectories({ ...machine, uid: 0 });
  assert.deepEqual([runtime, state], ['/run/rom-agent', '/var/lib/rom-agent']);
  const mac = findDirectories({ ...machine, uid: 0, platform: 'darwin' });
  assert.deepEqual([mac.runtime, mac.state], ['/var/run/rom-agent', '/var/db/rom-agent']);
});

test('what systemd made for the service comes first, the first of several', () => {
  const env = {
    RUNTIME_DIRECTORY: '/run/shop:/run/other',
    STATE_DIRECTORY: '/var/lib/shop',
    XDG_RUNTIME_DIR: '/x',
  };
  for (const uid of [0, 1000]) {
    const { runtime, state, runtimeFrom } = findDirectories({ ...machine, uid, env });
    assert.deepEqual([runtime, state, runtimeFrom], ['/run/shop', '/var/lib/shop', 'RUNTIME_DIRECTORY']);
  }
});

test('other users have those of XDG, or their home and a temporary directory with their number', () => {
  const env = { XDG_RUNTIME_DIR: '/run/user/1000', XDG_STATE_HOME: '/home/ann/state' };
  const xdg = findDirectories({ ...machine, env });
  assert.deepEqual([xdg.runtime, xdg.state], ['/run/user/1000/rom-agent', '/home/ann/state/rom-agent']);
  const bare = findDirectories(machine);
  assert.deepEqual([bare.runtime, bare.state], ['/tmp/rom-agent-1000', '/home/ann/.local/state/rom-agent']);
});

test('a relative path is none', () => {
  const env = { RUNTIME_DIRECTORY: 'run', XDG_RUNTIME_DIR: 'xdg', XDG_STATE_HOME: '' };
  const { runtime, state } = findDirectories({ ...machine, env });
  assert.deepEqual([runtime, state], ['/tmp/rom-agent-1000', '/home/ann/.local/state/rom-agent']);
});
