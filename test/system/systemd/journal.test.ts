import assert from 'node:assert/strict';
import { test } from 'node:test';
import { waitFor } from '../../support/wait.js';
import { needsMachine, sharedMachine } from './machine.js';
import { service } from './service.js';

test(
  'a quiet life leaves no warning, and every line has the PID of its writer',
  needsMachine(),
  async (t) => {
    const machine = await sharedMachine();
    const own = await service(machine, t, { name: 'quiet', app: 'misbehaves.cjs' });
    await own.start();
    const master = await own.master();
    const speaker = Number((await own.get('/say')).text);
    const said = await own.logged(/the app says hello/);
    assert.equal(said.pid, speaker);
    await own.systemctl('stop');
    assert.deepEqual(await own.log('warning'), []);
    const entries = await own.log();
    const serving = entries.find(({ message }) => message.startsWith('serving with 2 workers'));
    assert.deepEqual([serving?.pid, serving?.priority], [master, 6]);
  },
);

test('journalctl -p warning shows a crash, with its stack in one entry', needsMachine(), async (t) => {
  const machine = await sharedMachine();
  const own = await service(machine, t, { name: 'crashlog', app: 'misbehaves.cjs' });
  await own.start();
  await own.get('/boom').catch(() => null);
  const crash = await own.logged(/worker \d crashed: Error: boom in a request/);
  assert.equal(crash.priority, 3);
  assert.match(crash.message, /misbehaves\.cjs:\d+/);
  await waitFor('two workers', () => own.workers(), { until: (pids) => pids.length === 2 });
  await own.systemctl('stop');
  const warnings = (await own.log('warning')).map(({ message }) => message);
  assert.equal(warnings.length, 1, warnings.join('\n'));
});
