import assert from 'node:assert/strict';
import { test } from 'node:test';
import { waitFor } from '../../support/wait.js';
import { needsMachine, sharedMachine } from './machine.js';
import { service } from './service.js';

test('a killed worker is replaced by the master, and systemd need not know', needsMachine(), async (t) => {
  const machine = await sharedMachine();
  const own = await service(machine, t, { name: 'crash' });
  await own.start();
  const [victim, ...others] = await own.workers();
  assert.ok(victim !== undefined);
  await own.kill(victim, 'SIGKILL');
  const after = await waitFor('another worker', () => own.workers(), {
    until: (pids) => pids.length === 2 && !pids.includes(victim),
  });
  assert.ok(others.every((pid) => after.includes(pid)));
  await own.becomes('StatusText', /^2 of 2 workers ready, generation 1, \d+ req\/s, 1 restart$/);
  assert.deepEqual(await own.show('ActiveState', 'NRestarts'), { ActiveState: 'active', NRestarts: '0' });
});

test('kill -9 of the master leaves nothing behind, and systemd starts it anew', needsMachine(), async (t) => {
  const machine = await sharedMachine();
  const own = await service(machine, t, { name: 'master', settings: ['RestartSec=500ms'] });
  await own.start();
  const before = (await own.processes()).map(({ pid }) => pid);
  await own.kill(await own.master(), 'SIGKILL');
  await own.becomes('NRestarts', '1');
  await own.becomes('ActiveState', 'active');
  const after = (await own.processes()).map(({ pid }) => pid);
  assert.deepEqual(
    after.filter((pid) => before.includes(pid)),
    [],
  );
  assert.equal((await own.get('/api/info')).status, 200);
});

test('a stopped master is noticed by the watchdog and started anew', needsMachine(), async (t) => {
  const machine = await sharedMachine();
  const own = await service(machine, t, {
    name: 'watchdog',
    settings: ['WatchdogSec=3', 'TimeoutAbortSec=2'],
  });
  await own.start();
  await own.kill(await own.master(), 'SIGSTOP');
  await own.becomes('NRestarts', '1');
  assert.equal((await own.systemdSaid(/Watchdog timeout/)).length, 1);
  await own.becomes('ActiveState', 'active');
});

test('the pings go on while a stopped worker is replaced', needsMachine(), async (t) => {
  const machine = await sharedMachine();
  const own = await service(machine, t, {
    name: 'hung',
    env: { ROM_AGENT_HANG_TIMEOUT: '2s' },
    settings: ['WatchdogSec=3'],
  });
  await own.start();
  const [victim] = await own.workers();
  assert.ok(victim !== undefined);
  await own.kill(victim, 'SIGSTOP');
  await waitFor('its replacement', () => own.workers(), {
    timeout: 120_000,
    until: (pids) => pids.length === 2 && !pids.includes(victim),
  });
  const entry = await own.logged(/worker \d hung: silent for [\d.]+ s, stopped by a signal/);
  assert.equal(entry.priority, 3);
  assert.deepEqual(await own.show('ActiveState', 'NRestarts'), { ActiveState: 'active', NRestarts: '0' });
});

test(
  'a worker that spins is in the journal with its stack and its request, and is replaced',
  needsMachine(),
  async (t) => {
    const machine = await sharedMachine();
    const own = await service(machine, t, {
      name: 'spins',
      app: 'misbehaves.cjs',
      env: { ROM_AGENT_HANG_TIMEOUT: '6s' },
      settings: ['WatchdogSec=3'],
    });
    await own.start();
    const before = await own.workers();
    own.get('/spin').catch(() => {});
    const entry = await own.logged(
      /worker \d hung: silent for [\d.]+ s in spinForEver \(.*misbehaves\.cjs:\d+:\d+\)/,
    );
    assert.equal(entry.priority, 3);
    assert.match(entry.message, /GET \/spin/);
    assert.match(entry.message, /^ {4}at spinForEver \(.*misbehaves\.cjs:\d+:\d+\)$/m);
    await waitFor('its replacement', () => own.workers(), {
      timeout: 120_000,
      until: (pids) => pids.length === 2 && pids.some((pid) => !before.includes(pid)),
    });
    const worse = await own.warnings();
    assert.deepEqual(
      worse.map(({ message }) => message),
      [entry.message],
      'the debugger said nothing of its own',
    );
    assert.deepEqual(await own.show('ActiveState', 'NRestarts'), { ActiveState: 'active', NRestarts: '0' });
  },
);

test(
  'a service without a network, and without traffic, proves itself all the same',
  needsMachine(),
  async (t) => {
    const machine = await sharedMachine();
    const own = await service(machine, t, {
      name: 'secluded',
      socket: [],
      settings: [
        'WatchdogSec=2',
        'PrivateNetwork=yes',
        'IPAddressDeny=any',
        'RestrictAddressFamilies=',
        'RestrictAddressFamilies=AF_UNIX',
      ],
    });
    await machine.must(['systemctl', 'start', own.socketUnit]);
    await own.start();
    const began = await own.show('WatchdogTimestampMonotonic');
    await waitFor('pings for longer than one proof holds', () => own.show('WatchdogTimestampMonotonic'), {
      timeout: 120_000,
      until: ({ WatchdogTimestampMonotonic: last }) =>
        Number(last) - Number(began.WatchdogTimestampMonotonic) > 6_000_000,
    });
    assert.deepEqual(await own.show('ActiveState', 'NRestarts'), { ActiveState: 'active', NRestarts: '0' });
    assert.deepEqual(await own.warnings(), []);
  },
);

test(
  'pings are sent while a quorum answers, and what withholds them is in the journal',
  needsMachine(),
  async (t) => {
    const machine = await sharedMachine();
    const own = await service(machine, t, {
      name: 'quorum',
      // Longer than the watchdog waits: nobody replaces them before.
      env: { ROM_AGENT_HANG_TIMEOUT: '60s', WORKERS: '3' },
      settings: ['WatchdogSec=3', 'TimeoutAbortSec=2'],
    });
    await own.start();
    const [first, second] = await own.workers();
    await own.kill(first ?? assert.fail(), 'SIGSTOP');
    const alive = await own.show('WatchdogTimestampMonotonic');
    await waitFor('three more pings', () => own.show('WatchdogTimestampMonotonic'), {
      timeout: 120_000,
      until: ({ WatchdogTimestampMonotonic: last }) =>
        Number(last) - Number(alive.WatchdogTimestampMonotonic) > 3_000_000,
    });
    assert.deepEqual(await own.show('ActiveState', 'NRestarts'), { ActiveState: 'active', NRestarts: '0' });
    await own.kill(second ?? assert.fail(), 'SIGSTOP');
    await own.logged(/watchdog pings are withheld: 1 of 3 workers/);
    await own.becomes('NRestarts', '1');
    await own.becomes('ActiveState', 'active');
  },
);

test(
  'when no worker can answer the pings stop, and systemd restarts the whole',
  needsMachine(),
  async (t) => {
    const machine = await sharedMachine();
    const spin = '/etc/rom-agent-test-spin';
    const own = await service(machine, t, {
      name: 'dead',
      app: 'misbehaves.cjs',
      env: { ROM_AGENT_HANG_TIMEOUT: '2s', ROM_AGENT_BOOT_TIMEOUT: '10s', SPIN_FILE: spin },
      settings: ['WatchdogSec=3', 'TimeoutAbortSec=2'],
    });
    await own.start();
    await machine.writeFile(spin, '');
    t.after(() => machine.must(['rm', '-f', spin]).then(() => {}));
    for (const pid of await own.workers()) await own.kill(pid, 'SIGSTOP');
    await own.becomes('NRestarts', /^[1-9]/);
    await machine.must(['rm', '-f', spin]);
    await own.becomes('ActiveState', 'active');
    assert.equal((await own.get('/pid')).status, 200);
  },
);

test(
  'a worker that is killed for memory is replaced and the unit stays active',
  needsMachine(),
  async (t) => {
    const machine = await sharedMachine();
    const own = await service(machine, t, {
      name: 'oom',
      app: 'misbehaves.cjs',
      settings: ['MemoryMax=400M'],
    });
    await own.start();
    const master = await own.master();
    const before = await own.workers();
    for (let i = 0; i < 40 && (await sameWorkers()); i++) await own.get('/eat').catch(() => null);
    const after = await waitFor('a full set of workers', () => own.workers(), {
      until: (pids) => pids.length === 2 && pids.some((pid) => !before.includes(pid)),
    });
    assert.equal(after.length, 2);
    assert.equal(await own.master(), master);
    await own.logged(/worker \d crashed: killed by the kernel for memory/);
    assert.deepEqual(await own.show('ActiveState', 'NRestarts'), { ActiveState: 'active', NRestarts: '0' });

    async function sameWorkers(): Promise<boolean> {
      const now = await own.workers();
      return now.length === 2 && now.every((pid) => before.includes(pid));
    }
  },
);
