import assert from 'node:assert/strict';
import { test } from 'node:test';
import { unitInCgroup } from '../../../src/config/cgroup.js';

for (const [text, unit, ofUser] of [
  ['0::/system.slice/rom-agent.service\n', 'rom-agent.service', false],
  ['0::/system.slice/rom-agent@shop.service\n', 'rom-agent@shop.service', false],
  ['12:pids:/system.slice/shop.service\n0::/\n', 'shop.service', false],
  ['0::/machine.slice/box.service/payload/system.slice/shop.service\n', 'shop.service', false],
  ['0::/user.slice/user-1000.slice/user@1000.service/app.slice/shop.service\n', 'shop.service', true],
  ['0::/user.slice/user-1000.slice/user@1000.service/app.slice/shop.service/worker\n', 'shop.service', true],
  ['0::/user.slice/user-1000.slice/user@1000.service/init.scope\n', 'user@1000.service', false],
  ['0::/user.slice/user-0.slice/session-1.scope\n', null, false],
  ['0::/\n', null, false],
  ['', null, false],
] as const) {
  const whose = unit === null ? 'no service' : `${unit}${ofUser ? ' of a user' : ''}`;
  test(`a process in the cgroup ${JSON.stringify(text)} belongs to ${whose}`, () => {
    assert.deepEqual(unitInCgroup(text), { unit, ofUser });
  });
}
