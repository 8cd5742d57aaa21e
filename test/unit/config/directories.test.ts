import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findDirectories } from '../../../src/config/directories.js';

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

test('a run from a checkout has its own, and shares neither the configuration nor the history of a service', () => {
  const of = (more: object) => findDirectories({ ...machine, checkout: '/home/ann/rom-agent', ...more });
  const own = of({});
  const other = of({ checkout: '/home/ann/other' });
  const root = of({ uid: 0, home: '/root' });
  assert.equal(own.config, '/home/ann/rom-agent/rom-agent.toml');
  assert.match(own.runtime, /^\/tmp\/rom-agent-[0-9a-f]{8}-1000$/);
  assert.match(own.state, /^\/home\/ann\/\.local\/state\/rom-agent-[0-9a-f]{8}$/);
  assert.equal(own.stateFrom, 'the checkout /home/ann/rom-agent');
  assert.notEqual(other.state, own.state);
  assert.match(root.runtime, /^\/run\/rom-agent-[0-9a-f]{8}-0$/);
  assert.match(root.state, /^\/root\/\.local\/state\/rom-agent-/);
});

test('a service that runs from a checkout is a service', () => {
  const env = { RUNTIME_DIRECTORY: '/run/rom-agent', STATE_DIRECTORY: '/var/lib/rom-agent' };
  const { runtime, config } = findDirectories({ ...machine, env, checkout: '/opt/rom-agent' });
  assert.deepEqual([runtime, config], ['/run/rom-agent', '/etc/rom-agent/rom-agent.toml']);
});

test('who has no home and no directories from systemd keeps its state in the temporary directory', () => {
  const { state, stateFrom } = findDirectories({ ...machine, home: null });
  assert.deepEqual([state, stateFrom], ['/tmp/rom-agent-1000/state', 'neither STATE_DIRECTORY nor a home']);
});
