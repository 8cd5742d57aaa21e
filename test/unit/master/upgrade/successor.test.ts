import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { whyNever } from '../../../../src/master/upgrade/service.js';
import { createGate, takeOverFrom } from '../../../../src/master/upgrade/successor.js';
import type { Notification } from '../../../../src/service-manager/service-manager.js';

function manager(heard: Notification[]) {
  return {
    kind: 'systemd' as const,
    notify: (notification: Notification) => void heard.push(notification),
    pingInterval: 1_000,
    sockets: [],
    reapsOrphans: true,
    loopsOnFatalErrors: false,
  };
}

describe('the gate between a master and systemd', () => {
  test('is shut until the master has taken over, and then says all at once', () => {
    const heard: Notification[] = [];
    const gate = createGate(manager(heard), false);
    gate.serviceManager.notify({ ready: true, status: '2 of 2 workers ready' });
    gate.serviceManager.notify({ watchdog: true });
    assert.deepEqual(heard, []);
    gate.open();
    assert.deepEqual(heard, [{ ready: true, watchdog: true, status: '2 of 2 workers ready' }]);
    gate.serviceManager.notify({ watchdog: true });
    assert.equal(heard.length, 2);
  });

  test('is shut behind the word on the next main process', () => {
    const heard: Notification[] = [];
    const gate = createGate(manager(heard), true);
    gate.serviceManager.notify({ mainPid: 42 });
    gate.shut();
    gate.serviceManager.notify({ stopping: true });
    assert.deepEqual(heard, [{ mainPid: 42 }]);
  });
});

describe('a master that is given the sockets of another', () => {
  test('takes the variable away, and is the main process', () => {
    const env: NodeJS.ProcessEnv = { ROM_AGENT_TAKE_OVER: '{"channel":3,"listeners":[],"passed":[]}' };
    assert.deepEqual(takeOverFrom(env, 7), { channel: 3, listeners: [], passed: [] });
    assert.deepEqual(env, { SYSTEMD_EXEC_PID: '7' });
    assert.equal(takeOverFrom(env, 7), null);
  });
});

describe('an upgrade', () => {
  const here = { platform: 'linux', pid: 7, env: { SYSTEMD_EXEC_PID: '7' } } as const;
  const refused = (
    kind: 'systemd' | 'launchd' | 'pm2' | 'none',
    dispatch: 'shared' | 'reuseport',
    more = {},
  ) => whyNever({ kind }, { dispatch }, { ...here, ...more });

  test('is possible where systemd started this process and the workers share their sockets', () => {
    assert.equal(refused('systemd', 'shared'), null);
  });

  test('is refused elsewhere, with what would be right', () => {
    assert.match(refused('none', 'shared') ?? '', /no service manager started this process/);
    assert.match(refused('launchd', 'shared') ?? '', /launchd started this process/);
    assert.match(refused('systemd', 'reuseport') ?? '', /dispatch is "reuseport"; expected "shared"/);
    assert.match(refused('systemd', 'shared', { pid: 1 }) ?? '', /process 1/);
    assert.match(
      refused('systemd', 'shared', { env: { SYSTEMD_EXEC_PID: '6' } }) ?? '',
      /systemd started process 6/,
    );
  });
});
