import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { waitFor } from '../../support/wait.js';
import { inside, needsMachine, sharedMachine } from './machine.js';

const sleeper = `[Service]
ExecStart=/bin/sh -c 'echo "<4>tired"; echo "<6>resting"; sleep 1000 & wait'
`;

test('a unit is started, seen, signalled and removed', needsMachine(), async () => {
  const machine = await sharedMachine();
  const unit = 'harness-sleep.service';
  await machine.unit(unit, sleeper);
  assert.equal((await machine.systemctl('start', unit)).code, 0);
  assert.deepEqual(await machine.show(unit, ['ActiveState', 'NRestarts']), {
    ActiveState: 'active',
    NRestarts: '0',
  });
  const found = await waitFor('two processes', () => machine.pids(unit), {
    until: (list) => list.map(({ name }) => name).join() === 'sh,sleep',
  });
  const [shell, sleep] = found;
  assert.ok(shell !== undefined && sleep !== undefined);
  assert.deepEqual([shell.pid, sleep.parent], [await machine.mainPid(unit), shell.pid]);
  assert.notEqual(shell.pid, shell.hostPid);
  assert.ok(await machine.kill(shell.pid, 'SIGSTOP'));
  await waitFor('the stop', async () => (await machine.pids(unit))[0]?.state, {
    until: (state) => state === 'T',
  });
  process.kill(shell.hostPid, 'SIGKILL');
  await machine.waitForProperty({ unit, property: 'ActiveState', value: 'failed' });
  assert.deepEqual(await machine.pids(unit), []);
  await machine.removeUnit(unit);
  assert.deepEqual(await machine.show(unit, ['LoadState']), { LoadState: 'not-found' });
});

test('the journal tells the priority and the PID of each entry', needsMachine(), async () => {
  const machine = await sharedMachine();
  const unit = 'harness-journal.service';
  await machine.unit(unit, sleeper);
  await machine.must(['systemctl', 'start', unit]);
  const mine = async (priority: string) =>
    (await machine.journal(unit, { priority })).filter((entry) => entry.transport === 'stdout');
  await waitFor('both lines', () => mine('debug'), { until: (entries) => entries.length === 2 });
  const [warning, ...rest] = await mine('warning');
  assert.deepEqual([warning?.message, warning?.priority, rest.length], ['tired', 4, 0]);
  assert.equal(warning?.pid, await machine.mainPid(unit));
  const later = await machine.journal(unit, { after: warning?.cursor ?? '' });
  assert.equal(later[0]?.message, 'resting');
  await machine.removeUnit(unit);
});

test(
  'a service with a strict sandbox sees the repository and the node of this test run',
  needsMachine(),
  async () => {
    const machine = await sharedMachine();
    const unit = 'harness-node.service';
    const script = `require('${inside.repo}/package.json').name + process.version`;
    await machine.unit(
      unit,
      `[Service]
Type=oneshot
DynamicUser=yes
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateUsers=yes
ExecStart=${inside.node} -p "${script}"
`,
    );
    const { code } = await machine.systemctl('start', unit);
    const entries = await machine.journal(unit);
    assert.equal(code, 0, entries.map(({ message }) => message).join('\n'));
    assert.ok(entries.some(({ message }) => message === `rom-agent${process.version}`));
    await machine.removeUnit(unit);
  },
);

test('loopback is shared: what is inside reaches a server outside', needsMachine(), async (t) => {
  const machine = await sharedMachine();
  const server = createServer((_, res) => res.end('outside')).listen(0, '127.0.0.1');
  t.after(() => server.close());
  await waitFor('the port', () => server.listening);
  const { port } = server.address() as AddressInfo;
  const script = `fetch('http://127.0.0.1:${port}').then(async (res) => console.log(await res.text()))`;
  assert.equal(await machine.must([inside.node, '-e', script]), 'outside\n');
});

test('a memory limit holds inside', needsMachine(), async () => {
  const machine = await sharedMachine();
  const unit = 'harness-memory.service';
  // It ends well at 300 MB, so that a limit that does not hold harms nobody.
  const script = `const all = []; while (all.length < 300) all.push(Buffer.alloc(1 << 20, 1))`;
  await machine.unit(unit, `[Service]\nMemoryMax=96M\nExecStart=${inside.node} -e "${script}"\n`);
  await machine.must(['systemctl', 'start', unit]);
  await machine.waitForProperty({ unit, property: 'SubState', value: /^(dead|failed)$/ });
  // cgroup v1 tells systemd of the signal only, v2 of the reason too.
  assert.match((await machine.show(unit, ['Result'])).Result, /^(oom-kill|signal)$/);
  await machine.removeUnit(unit);
});

test(
  'what is written inside is gone with the machine, and a failing program says why',
  needsMachine(),
  async () => {
    const machine = await sharedMachine();
    await machine.writeFile('/etc/rom-agent-harness/file', 'text', '600');
    const there = await machine.run(['stat', '-c', '%a %s', '/etc/rom-agent-harness/file']);
    assert.deepEqual([there.code, there.stdout], [0, '600 4\n']);
    await assert.rejects(machine.must(['ls', '/no/such']), /ls \/no\/such: exit 2\n.*No such file/);
  },
);
