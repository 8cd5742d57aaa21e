import assert from 'node:assert/strict';
import { test } from 'node:test';
import { holdReadyUntilOpen } from '../../../src/master/control-door.js';
import type { Notification, ServiceManager } from '../../../src/service-manager/service-manager.js';

function watched() {
  const told: Notification[] = [];
  let isOpen = (): void => {};
  const opening = new Promise<void>((resolve) => {
    isOpen = resolve;
  });
  const door = { resolve: () => isOpen() };
  const timers: (() => void)[] = [];
  const silent = {
    kind: 'systemd',
    notify: (notification: Notification) => void told.push(notification),
  } as unknown as ServiceManager;
  const seam = {
    open: () => opening,
    after: (_delay: number, act: () => void) => void timers.push(act),
  };
  const serviceManager = holdReadyUntilOpen(silent, seam);
  return { told, door, serviceManager, patienceEnds: () => timers.shift()?.() };
}

const tick = () => new Promise((resolve) => setImmediate(resolve));

test('READY=1 waits for the control socket, and what is told after it waits behind it', async () => {
  const { told, door, serviceManager } = watched();
  serviceManager.notify({ status: 'starting' });
  serviceManager.notify({ ready: true });
  serviceManager.notify({ stopping: true });
  assert.deepEqual(told, [{ status: 'starting' }]);
  door.resolve();
  await tick();
  assert.deepEqual(told, [{ status: 'starting' }, { ready: true }, { stopping: true }]);
});

test('a later READY=1, at the end of a reload, is passed on at once', async () => {
  const { told, door, serviceManager } = watched();
  serviceManager.notify({ ready: true });
  door.resolve();
  await tick();
  serviceManager.notify({ ready: true, status: 'reloaded' });
  assert.deepEqual(told, [{ ready: true }, { ready: true, status: 'reloaded' }]);
});

test('a control socket that is not there in time keeps nobody waiting, and READY=1 is told once', async () => {
  const { told, door, serviceManager, patienceEnds } = watched();
  serviceManager.notify({ ready: true });
  patienceEnds();
  assert.deepEqual(told, [{ ready: true }]);
  door.resolve();
  await tick();
  assert.deepEqual(told, [{ ready: true }]);
});
