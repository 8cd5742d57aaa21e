import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, test } from 'node:test';
import { waitFor } from '../../support/wait.js';
import { inside, needsMachine, sharedMachine } from './machine.js';
import { service } from './service.js';

test(
  'systemctl start returns when both workers serve, and systemctl status says so',
  needsMachine(),
  async (t) => {
    const machine = await sharedMachine();
    const own = await service(machine, t, { name: 'start' });
    await own.start();
    const { ActiveState, StatusText, NRestarts } = await own.show('ActiveState', 'StatusText', 'NRestarts');
    assert.deepEqual(
      { ActiveState, StatusText, NRestarts },
      {
        ActiveState: 'active',
        StatusText: '2 of 2 workers ready, generation 1, 0 req/s, 0 restarts',
        NRestarts: '0',
      },
    );
    const status = await own.systemctl('status');
    assert.match(status.stdout, /Status: "2 of 2 workers ready/);
    assert.equal((await own.get('/api/info')).status, 200);
  },
);

test('READY comes only after every worker listens', needsMachine(), async (t) => {
  const machine = await sharedMachine();
  const own = await service(machine, t, { name: 'ready', app: 'slow-boot.cjs', env: { BOOT_MS: '1500' } });
  await own.start();
  const times = await own.show('ExecMainStartTimestampMonotonic', 'ActiveEnterTimestampMonotonic');
  const took = Number(times.ActiveEnterTimestampMonotonic) - Number(times.ExecMainStartTimestampMonotonic);
  assert.ok(took >= 1_500_000, `READY after ${took} us`);
  assert.equal((await own.get('/')).status, 200);
});

describe('TimeoutStartSec=', { concurrency: true }, () => {
  test('is extended while a start gets on', needsMachine(), async (t) => {
    const machine = await sharedMachine();
    const own = await service(machine, t, {
      name: 'slow-start',
      app: 'slow-boot.cjs',
      env: { BOOT_MS: '10000' },
      settings: ['TimeoutStartSec=8'],
    });
    await own.start();
    assert.equal((await own.show('ActiveState')).ActiveState, 'active');
  });

  test('ends a start whose workers crash at load for ever', needsMachine(), async (t) => {
    const machine = await sharedMachine();
    const own = await service(machine, t, {
      name: 'never-loads',
      app: 'crashes-at-load.cjs',
      env: { ROM_AGENT_RESTART_INTENSITY: '1000000' },
      settings: ['TimeoutStartSec=3', 'Restart=no'],
    });
    assert.notEqual((await own.systemctl('start')).code, 0);
    assert.deepEqual(await own.show('ActiveState', 'Result'), { ActiveState: 'failed', Result: 'timeout' });
  });
});

test(
  'an app that throws ends the start by itself, with the reason in the status',
  needsMachine(),
  async (t) => {
    const machine = await sharedMachine();
    const own = await service(machine, t, { name: 'throws', app: 'throws.cjs', settings: ['Restart=no'] });
    assert.notEqual((await own.systemctl('start')).code, 0);
    assert.deepEqual(await own.show('ActiveState', 'Result', 'ExecMainStatus', 'StatusText'), {
      ActiveState: 'failed',
      // Not timeout, as of a start that TimeoutStartSec= has ended.
      Result: 'exit-code',
      ExecMainStatus: '70',
      StatusText: 'Error: no database configured',
    });
  },
);

test('a missing module has its own exit status', needsMachine(), async (t) => {
  const machine = await sharedMachine();
  const own = await service(machine, t, { name: 'missing', app: 'not-there.cjs', settings: ['Restart=no'] });
  assert.notEqual((await own.systemctl('start')).code, 0);
  const { ExecMainStatus, StatusText } = await own.show('ExecMainStatus', 'StatusText');
  assert.equal(ExecMainStatus, '66');
  assert.match(StatusText, /not-there\.cjs/);
});

test('a configuration error exits 78 and is not tried again', needsMachine(), async (t) => {
  const machine = await sharedMachine();
  const own = await service(machine, t, { name: 'config', env: { PORT: 'abc', WORKERS: 'none' } });
  assert.notEqual((await own.systemctl('start')).code, 0);
  await own.becomes('ActiveState', 'failed');
  const { NRestarts, ExecMainStatus, StatusText } = await own.show(
    'NRestarts',
    'ExecMainStatus',
    'StatusText',
  );
  assert.deepEqual([NRestarts, ExecMainStatus], ['0', '78']);
  assert.match(StatusText, /port: "abc".*workers: "none"|workers: "none".*port: "abc"/);
  const errors = (await own.log('err')).map(({ message }) => message);
  assert.equal(errors.length, 2, errors.join('\n'));
});

test('a busy port is named, with ERRNO and an exit status of its own', needsMachine(), async (t) => {
  const machine = await sharedMachine();
  const other = createServer().listen(0, '127.0.0.1');
  t.after(() => void other.close());
  await waitFor('the other server', () => other.listening);
  const { port } = other.address() as AddressInfo;
  const own = await service(machine, t, { name: 'busy', env: { PORT: `${port}` }, settings: ['Restart=no'] });
  assert.notEqual((await own.systemctl('start')).code, 0);
  const { ExecMainStatus, StatusErrno, StatusText } = await own.show(
    'ExecMainStatus',
    'StatusErrno',
    'StatusText',
  );
  assert.deepEqual([ExecMainStatus, StatusErrno], ['69', '98']);
  assert.match(StatusText, new RegExp(`port ${port} is in use`));
});

test('workers see neither the notification socket nor the watchdog', needsMachine(), async (t) => {
  const machine = await sharedMachine();
  const own = await service(machine, t, { name: 'env', app: 'misbehaves.cjs' });
  await own.start();
  const env = JSON.parse((await own.get('/env')).text) as Record<string, string>;
  const leaked = Object.keys(env).filter((name) =>
    /^(NOTIFY_SOCKET|WATCHDOG_|LISTEN_|ROM_AGENT_WORKER)/.test(name),
  );
  assert.deepEqual(leaked, []);
  assert.equal(env.PORT, `${own.port}`);
});

/** Where the master itself fails, before or beside what a worker tells. */
const failures = [
  {
    what: 'an unknown option',
    settings: ['ExecStart=', `ExecStart=${inside.node} ${inside.repo}/dist/cli/main.js serve --bogus`],
    env: {},
    exitStatus: '64',
    reason: /unknown option '--bogus'/,
    tells: true,
  },
  {
    what: 'a bug',
    settings: [],
    env: { NODE_OPTIONS: `--require=${inside.repo}/test/fixtures/systemd/breaks-os.cjs` },
    exitStatus: '1',
    reason: /a bug in rom-agent: TypeError: no CPUs/,
    tells: true,
  },
  {
    what: 'an addon that is missing, and what would stand in for it',
    settings: [`InaccessiblePaths=${inside.repo}/node_modules/sd-notify ${inside.repo}/node_modules/koffi`],
    env: {},
    exitStatus: '78',
    reason: /neither sd-notify .* nor koffi can be loaded.*Install libsystemd-dev/,
    // Without the addon there is nothing to tell with.
    tells: false,
  },
];

for (const { what, settings, env, exitStatus, reason, tells } of failures)
  test(
    `${what} ends the start at once, with the reason at priority err${tells ? ' and in the status' : ''}`,
    needsMachine(),
    async (t) => {
      const machine = await sharedMachine();
      const own = await service(machine, t, { name: 'fails', env, settings: ['Restart=no', ...settings] });
      assert.notEqual((await own.systemctl('start')).code, 0);
      const shown = await own.show('Result', 'ExecMainStatus', 'StatusText');
      // Not `timeout`.
      assert.deepEqual([shown.Result, shown.ExecMainStatus], ['exit-code', exitStatus]);
      const errors = (await own.log('err')).map(({ message }) => message);
      assert.match(errors.join('\n'), reason);
      if (tells) assert.match(shown.StatusText, reason);
    },
  );

test(
  'who waits for the start finds the control socket: it is there before READY',
  needsMachine(),
  async (t) => {
    const machine = await sharedMachine();
    const status = `${inside.node} ${inside.repo}/dist/cli/main.js status`;
    // systemd runs it at once when it hears READY=1, and the start fails with it.
    const own = await service(machine, t, {
      name: 'ready-last',
      settings: ['ExecStartPost=/usr/bin/test -S /run/rom-agent/control.sock', `ExecStartPost=${status}`],
    });
    await own.start();
  },
);
