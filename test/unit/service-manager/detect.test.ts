import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { detectServiceManager, type Surroundings } from '../../../src/service-manager/detect.js';
import { withoutOwnVariables } from '../../../src/service-manager/service-manager.js';

function detect(surroundings: Partial<Surroundings> = {}) {
  return detectServiceManager({
    env: {},
    pid: 42,
    ppid: 7,
    platform: 'linux',
    onProblem: (problem) => assert.fail(problem),
    loadAddon: () => assert.fail('nobody asked for the addon'),
    ...surroundings,
  });
}

describe('detectServiceManager', () => {
  test('finds nobody in a terminal: whatever is notified goes nowhere', () => {
    const serviceManager = detect();
    assert.equal(serviceManager.kind, 'none');
    assert.equal(serviceManager.pingInterval, null);
    assert.deepEqual(serviceManager.sockets, []);
    assert.equal(serviceManager.reapsOrphans, false);
    serviceManager.notify({ ready: true, status: 'serving' });
  });

  test('finds systemd by NOTIFY_SOCKET', () => {
    const sent: string[] = [];
    const serviceManager = detect({
      env: { NOTIFY_SOCKET: '@/org/freedesktop/systemd1/notify', WATCHDOG_USEC: '9000000' },
      loadAddon: () => ({ sendState: (state) => sent.push(state) }),
    });
    serviceManager.notify({ ready: true });
    assert.deepEqual(
      [serviceManager.kind, serviceManager.pingInterval, sent],
      ['systemd', 3_000, ['READY=1']],
    );
    assert.equal(serviceManager.reapsOrphans, true);
    assert.equal(serviceManager.loopsOnFatalErrors, false);
  });

  test('finds no watchdog without NOTIFY_SOCKET: there is nobody to ping', () => {
    assert.equal(detect({ env: { WATCHDOG_USEC: '9000000' } }).pingInterval, null);
  });

  test('takes sockets that were passed in, whoever did it', () => {
    const { kind, sockets } = detect({ env: { LISTEN_PID: '42', LISTEN_FDS: '1', LISTEN_FDNAMES: 'http' } });
    assert.equal(kind, 'none');
    assert.deepEqual(sockets, [{ fd: 3, name: 'http' }]);
  });

  test('finds launchd where it is the parent and names the service', () => {
    const launchd = detect({ platform: 'darwin', ppid: 1, env: { XPC_SERVICE_NAME: 'org.rom-agent' } });
    assert.deepEqual(
      [launchd.kind, launchd.reapsOrphans, launchd.loopsOnFatalErrors],
      ['launchd', false, true],
    );
  });

  test('finds launchd where our plist says so, on any platform', () => {
    assert.equal(detect({ env: { ROM_AGENT_SUPERVISOR: 'launchd' } }).kind, 'launchd');
  });

  for (const [where, surroundings] of [
    ['in a terminal', { platform: 'darwin', ppid: 1, env: { XPC_SERVICE_NAME: '0' } }],
    ['without a name', { platform: 'darwin', ppid: 1, env: {} }],
    ['under another parent', { platform: 'darwin', ppid: 99, env: { XPC_SERVICE_NAME: 'org.rom-agent' } }],
    ['on Linux', { platform: 'linux', ppid: 1, env: { XPC_SERVICE_NAME: 'org.rom-agent' } }],
  ] satisfies [string, Partial<Surroundings>][]) {
    test(`does not find launchd ${where}`, () => {
      assert.equal(detect(surroundings).kind, 'none');
    });
  }

  test('finds PM2 where there is a channel to it, and tells it of readiness alone', () => {
    const sent: string[] = [];
    const pm2 = detect({ env: { pm_id: '0' }, send: (message) => sent.push(message) });
    pm2.notify({ status: 'starting: 0 of 2 workers ready', extend: 15_000 });
    pm2.notify({ ready: true, status: '2 of 2 workers ready' });
    pm2.notify({ stopping: true });
    assert.deepEqual([pm2.kind, sent], ['pm2', ['ready']]);
    assert.equal(detect({ env: { pm_id: '0' }, send: undefined }).kind, 'none');
    assert.equal(detect({ send: (message) => sent.push(message) }).kind, 'none');
  });

  test('prefers systemd where several could be meant', () => {
    const env = { NOTIFY_SOCKET: '/run/notify', pm_id: '0', ROM_AGENT_SUPERVISOR: 'launchd' };
    assert.equal(detect({ env, send: () => {} }).kind, 'systemd');
  });
});

test('the workers get nothing of what is meant for the master alone, and all of the rest', () => {
  const env = {
    NOTIFY_SOCKET: '/run/notify',
    WATCHDOG_USEC: '1',
    WATCHDOG_PID: '42',
    LISTEN_PID: '42',
    LISTEN_FDS: '1',
    LISTEN_FDNAMES: 'http',
  };
  const rest = { PATH: '/bin', JOURNAL_STREAM: '8:1', INVOCATION_ID: 'abc', LISTEN: 'yes' };
  assert.deepEqual(withoutOwnVariables({ ...env, ...rest }), rest);
  assert.equal(Object.keys(env).length, 6, 'the environment itself is left alone');
});
