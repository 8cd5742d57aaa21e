import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { test } from 'node:test';
import { describeLoad, startLoad } from '../../support/load.js';
import { ask } from '../../support/net.js';
import { needsMachine, sharedMachine } from './machine.js';
import { service } from './service.js';

test('systemctl stop under load fails no request', needsMachine(), async (t) => {
  const machine = await sharedMachine();
  const own = await service(machine, t, { name: 'stop-load', env: { ROM_AGENT_LINGER: '20s' } });
  for (let round = 1; round <= 3; round++) {
    await own.start();
    const load = startLoad({
      url: `http://127.0.0.1:${own.port}/api/info`,
      clients: [
        { kind: 'keep-alive', count: 8, pauseMs: 10 },
        { kind: 'per-connection', count: 8, pauseMs: 10 },
        { kind: 'pipelining', count: 2, pauseMs: 10 },
      ],
    });
    await load.reached(1_000, 120_000);
    assert.equal((await own.systemctl('stop')).code, 0);
    const report = await load.stop();
    assert.equal(report.failed, 0, describeLoad(report));
    assert.deepEqual(await own.show('Result', 'ExecMainStatus'), {
      Result: 'success',
      ExecMainStatus: '0',
    });
    assert.deepEqual(await own.processes(), []);
    t.diagnostic(
      `round ${round}: ${report.ok} ok, ${report.failed} failed, ${report.refused} refused after the stop`,
    );
  }
});

test('workers ignore SIGTERM and SIGINT; the unit stays as it is', needsMachine(), async (t) => {
  const machine = await sharedMachine();
  const own = await service(machine, t, { name: 'ignore' });
  await own.start();
  const before = await own.workers();
  for (const pid of before) for (const signal of ['SIGTERM', 'SIGINT'] as const) await own.kill(pid, signal);
  const answers = await Promise.all(Array.from({ length: 20 }, () => own.get('/api/info')));
  assert.ok(answers.every(({ status }) => status === 200));
  assert.deepEqual(await own.workers(), before);
});

test('a drain that makes progress outlasts TimeoutStopSec', needsMachine(), async (t) => {
  const machine = await sharedMachine();
  const own = await service(machine, t, {
    name: 'slow-stop',
    app: 'misbehaves.cjs',
    settings: ['TimeoutStopSec=2'],
  });
  await own.start();
  const answer = ask({ port: own.port, path: '/trickle', timeout: 120_000 });
  await own.get('/pid');
  assert.equal((await own.systemctl('stop')).code, 0);
  assert.match((await answer).text, /^\.{24}done$/);
  assert.equal((await own.show('Result')).Result, 'success');
});

test(
  'a slow client cannot hold the stop past the deadline, and the journal says what was cut',
  needsMachine(),
  async (t) => {
    const machine = await sharedMachine();
    const own = await service(machine, t, {
      name: 'cut',
      app: 'misbehaves.cjs',
      env: { ROM_AGENT_DRAIN_TIMEOUT: '2s' },
    });
    await own.start();
    const hanging = ask({ port: own.port, path: '/never', timeout: 120_000 }).catch(() => 'cut');
    await own.get('/pid');
    assert.equal((await own.systemctl('stop')).code, 0);
    assert.equal(await hanging, 'cut');
    assert.equal((await own.show('Result')).Result, 'success');
    const [warning, ...rest] = await own.warnings();
    assert.match(warning?.message ?? '', /cut what was left.*requests=1/);
    assert.deepEqual(rest, []);
  },
);

test('a second SIGTERM is harmless', needsMachine(), async (t) => {
  const machine = await sharedMachine();
  const own = await service(machine, t, { name: 'twice', app: 'misbehaves.cjs' });
  await own.start();
  const answer = ask({ port: own.port, path: '/trickle', timeout: 120_000 });
  await own.get('/pid');
  const master = await own.master();
  await own.kill(master, 'SIGTERM');
  await own.logged(/stopping/);
  await own.kill(master, 'SIGTERM');
  assert.match((await answer).text, /done$/);
  await own.becomes('ActiveState', 'inactive');
  assert.equal((await own.show('Result')).Result, 'success');
});

test('an idle keep-alive client is told to close by its next answer', needsMachine(), async (t) => {
  const machine = await sharedMachine();
  const own = await service(machine, t, { name: 'linger', env: { ROM_AGENT_LINGER: '5s' } });
  await own.start();
  const client = connect(own.port, '127.0.0.1').setEncoding('utf8');
  t.after(() => void client.destroy());
  let received = '';
  client.on('data', (text) => {
    received += text;
  });
  const request = 'GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n';
  client.write(request);
  await until(() => received.includes('"ok"'), client);
  assert.match(received, /Connection: keep-alive/);
  const stopped = own.systemctl('stop');
  await own.logged(/stopping/);
  received = '';
  client.write(request);
  await until(() => received.includes('"ok"'), client);
  assert.match(received, /Connection: close/);
  assert.equal((await stopped).code, 0);
});

/** Looks again whenever something has come. */
async function until(done: () => boolean, client: NodeJS.EventEmitter): Promise<void> {
  while (!done()) await new Promise((resolve) => client.once('data', resolve));
}
