import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describeLoad, startLoad } from '../../support/load.js';
import { ask } from '../../support/net.js';
import { waitFor } from '../../support/wait.js';
import { type Machine, needsMachine, sharedMachine } from './machine.js';
import { type Service, service } from './service.js';

const clients = [
  { kind: 'keep-alive', count: 6, pauseMs: 10 },
  { kind: 'keep-alive', count: 2, pauseMs: 50 },
  { kind: 'per-connection', count: 6, pauseMs: 10 },
  { kind: 'slow-body', count: 2 },
  { kind: 'pipelining', count: 2, pauseMs: 10 },
] as const;

/** A client that gets no CPU for longer than the linger finds its idle connection closed under its hands. */
const patientLinger = { ROM_AGENT_LINGER: '20s' };

/** While it is there, a worker of the app throws at its start. */
const file = '/etc/rom-agent-reload/throw';

function breakable(env: Readonly<Record<string, string>> = {}) {
  return { app: 'throws-while.cjs', env: { THROW_FILE: file, ROM_AGENT_RELOAD_SOAK: '500ms', ...env } };
}

async function mend(machine: Machine): Promise<void> {
  await machine.must(['rm', '-f', file]);
}

/** Those of before are gone, once they have drained. */
async function replaced(own: Service, before: readonly number[]): Promise<void> {
  await waitFor('two other workers', () => own.workers(), {
    timeout: 120_000,
    until: (pids) => pids.length === 2 && !pids.some((pid) => before.includes(pid)),
  });
}

function loadOn({ port }: Service) {
  return startLoad({ url: `http://127.0.0.1:${port}/`, clients: [...clients] });
}

test('systemctl reload under load replaces every worker and fails no request', needsMachine(), async (t) => {
  const machine = await sharedMachine();
  const own = await service(machine, t, { name: 'reload', ...breakable(patientLinger) });
  await own.start();
  const load = loadOn(own);
  await load.reached(500, 120_000);
  for (let round = 1; round <= 3; round++) {
    const before = await own.workers();
    assert.equal((await own.systemctl('reload')).code, 0);
    await replaced(own, before);
    await load.reached(200, 120_000);
  }
  const report = await load.stop();
  assert.equal(report.failed, 0, describeLoad(report));
  assert.equal(report.refused, 0, describeLoad(report));
  const { StatusText, ActiveState, NRestarts } = await own.show('StatusText', 'ActiveState', 'NRestarts');
  assert.match(StatusText, /2 of 2 workers ready, generation 4, .*; reload to generation 4 done in/);
  assert.deepEqual([ActiveState, NRestarts], ['active', '0']);
  t.diagnostic(`3 reloads: ${report.ok} ok, ${report.failed} failed, ${report.refused} refused`);
});

test('systemctl reload returns when the new workers serve', needsMachine(), async (t) => {
  const machine = await sharedMachine();
  const own = await service(machine, t, {
    name: 'reload-blocks',
    app: 'slow-boot.cjs',
    env: { BOOT_MS: '800' },
  });
  await own.start();
  const before = await own.workers();
  assert.equal((await own.systemctl('reload')).code, 0);
  const answers = await Promise.all(Array.from({ length: 12 }, () => own.get('/')));
  assert.ok(answers.every(({ status }) => status === 200));
  await replaced(own, before);
});

test(
  'a broken release: reload fails, the old workers are the same, no request failed',
  needsMachine(),
  async (t) => {
    const machine = await sharedMachine();
    const own = await service(machine, t, { name: 'reload-broken', ...breakable(patientLinger) });
    t.after(() => mend(machine));
    await own.start();
    const before = await own.workers();
    const load = loadOn(own);
    await load.reached(200, 120_000);
    await machine.writeFile(file, '');
    assert.notEqual((await own.systemctl('reload')).code, 0);
    assert.deepEqual(await own.workers(), before);
    await load.reached(200, 120_000);
    const report = await load.stop();
    assert.equal(report.failed, 0, describeLoad(report));
    const { StatusText, ActiveState } = await own.show('StatusText', 'ActiveState');
    assert.match(StatusText, /generation 1, .*; reload to generation 2 rolled back after .* not yet/);
    assert.equal(ActiveState, 'active');
    const errors = (await own.log('err')).map(({ message }) => message.split('\n')[0]);
    assert.ok(
      errors.some((message) => /generation 2 is rolled back/.test(message ?? '')),
      errors.join('\n'),
    );
    await mend(machine);
    assert.equal((await own.systemctl('reload')).code, 0);
  },
);

test('the unit reloads while it reloads, and runs again with the verdict', needsMachine(), async (t) => {
  const machine = await sharedMachine();
  const own = await service(machine, t, {
    name: 'reload-state',
    ...breakable({ ROM_AGENT_RELOAD_SOAK: '3s' }),
  });
  await own.start();
  // Not by systemctl: what systemd knows of it, it knows by RELOADING=1 and READY=1 alone.
  await own.kill(await own.master(), 'SIGHUP');
  await own.becomes('ActiveState', 'reloading');
  await own.becomes('ActiveState', 'active');
  assert.match((await own.show('StatusText')).StatusText, /reload to generation 2 done/);
});

test('a reload during a reload is refused, SIGTERM during one ends cleanly', needsMachine(), async (t) => {
  const machine = await sharedMachine();
  const own = await service(machine, t, {
    name: 'reload-twice',
    // Longer than a client of the load is without CPU.
    ...breakable({ ROM_AGENT_RELOAD_SOAK: '20s', ROM_AGENT_LINGER: '20s' }),
  });
  await own.start();
  const first = own.systemctl('reload');
  await own.logged(/reload to generation 2/);
  const master = await own.master();
  await own.kill(master, 'SIGHUP');
  await own.logged(/refused: reload: a reload to generation 2 is under way/);
  const load = loadOn(own);
  await load.reached(200, 120_000);
  await own.kill(master, 'SIGTERM');
  await own.becomes('ActiveState', 'inactive');
  const report = await load.stop();
  assert.equal(report.failed, 0, describeLoad(report));
  // systemd drops the job of a unit that has ended, and calls that no failure.
  await first;
  assert.equal((await own.show('Result')).Result, 'success');
  assert.deepEqual(await own.processes(), []);
});

test('a worker with a long answer outlives reloads, within limits', needsMachine(), async (t) => {
  const machine = await sharedMachine();
  const own = await service(machine, t, {
    name: 'reload-old',
    app: 'misbehaves.cjs',
    env: { ROM_AGENT_RELOAD_SOAK: '0', ROM_AGENT_DRAIN_TIMEOUT: '12s' },
  });
  await own.start();
  const answer = ask({ port: own.port, path: '/trickle', timeout: 120_000 });
  await own.get('/pid');
  assert.equal((await own.systemctl('reload')).code, 0);
  assert.match((await answer).text, /^\.{24}done$/);
  const stuck: Promise<unknown>[] = [];
  for (let round = 1; round <= 6; round++) {
    for (let index = 0; index < 4; index++)
      stuck.push(ask({ port: own.port, path: '/never', timeout: 120_000 }).catch(() => 'cut'));
    await own.get('/pid');
    assert.equal((await own.systemctl('reload')).code, 0);
    // Two that serve, and two that drain for each slot at most.
    assert.ok((await own.workers()).length <= 6, `${(await own.workers()).length} workers`);
  }
  assert.equal((await own.systemctl('stop')).code, 0);
  await Promise.all(stuck);
});
