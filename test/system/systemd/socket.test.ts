import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ClientGroup, describeLoad, type LoadReport, startLoad } from '../../support/load.js';
import { ask, freePort } from '../../support/net.js';
import { waitFor } from '../../support/wait.js';
import { inside, needsMachine, sharedMachine } from './machine.js';
import { type Service, service } from './service.js';
import { withoutNetwork } from './shipped-unit.js';

const clients: readonly ClientGroup[] = [
  { kind: 'keep-alive', count: 8, pauseMs: 10 },
  { kind: 'keep-alive', count: 4, pauseMs: 30 },
  { kind: 'per-connection', count: 8, pauseMs: 10 },
  { kind: 'pipelining', count: 2, pauseMs: 10 },
  { kind: 'slow-body', count: 2, path: '/echo', expectStatus: 404 },
];

test('systemctl restart under load refuses and resets nothing', needsMachine(), async (t) => {
  const machine = await sharedMachine();
  const own = await service(machine, t, { name: 'held', socket: [] });
  await machine.must(['systemctl', 'start', own.socketUnit]);
  await own.start();
  for (let round = 1; round <= 3; round++) {
    const load = startLoad({ t, port: own.port, path: '/api/info', clients });
    await load.reached(1_000, 120_000);
    const began = performance.now();
    assert.equal((await own.systemctl('restart')).code, 0);
    const took = Math.round(performance.now() - began);
    await load.reached(1_000, 120_000);
    const report = await load.stop();
    const { failed, refused, idleResets } = report;
    assert.deepEqual({ failed, refused, idleResets }, nothing, describeLoad(report));
    t.diagnostic(`restart ${round} in ${took} ms: ${figures(report)}`);
  }
});

const nothing = { failed: 0, refused: 0, idleResets: 0 };

test('kill -9 of the master under load refuses nothing: connections wait', needsMachine(), async (t) => {
  const machine = await sharedMachine();
  const own = await service(machine, t, { name: 'killed', socket: [] });
  await machine.must(['systemctl', 'start', own.socketUnit]);
  await own.start();
  for (let round = 1; round <= 3; round++) {
    const load = startLoad({ t, port: own.port, path: '/api/info', clients });
    await load.reached(1_000, 120_000);
    const before = await own.master();
    await own.kill(before, 'SIGKILL');
    await waitFor('another master', () => own.master(), { until: (pid) => pid !== 0 && pid !== before });
    await load.reached(1_000, 120_000);
    const report = await load.stop();
    const { connect = 0, timeout = 0, malformed = 0, status = 0 } = report.failures;
    assert.equal(report.refused, 0, describeLoad(report));
    assert.deepEqual(
      { connect, timeout, malformed, status },
      { connect: 0, timeout: 0, malformed: 0, status: 0 },
    );
    // What failed was inside the killed processes.
    t.diagnostic(`kill ${round}: ${figures(report)}`);
  }
  await socketIsWell(own);
});

test('when all workers are killed at once, the next ones find the socket', needsMachine(), async (t) => {
  const machine = await sharedMachine();
  const own = await service(machine, t, { name: 'both', socket: [] });
  await machine.must(['systemctl', 'start', own.socketUnit]);
  await own.start();
  const master = await own.master();
  const load = startLoad({ t, port: own.port, path: '/api/info', clients });
  await load.reached(1_000, 120_000);
  for (const pid of await own.workers()) await own.kill(pid, 'SIGKILL');
  await load.reached(2_000, 120_000);
  const report = await load.stop();
  assert.equal(report.refused, 0, describeLoad(report));
  assert.equal(report.failures.connect, undefined, describeLoad(report));
  assert.equal(await own.master(), master);
  t.diagnostic(`both workers killed: ${figures(report)}`);
});

test(
  'a crash loop does not fail the socket, and who waits is served in the end',
  needsMachine(),
  async (t) => {
    const machine = await sharedMachine();
    const file = '/etc/rom-agent-test-throw';
    await machine.writeFile(file, '');
    t.after(() => machine.must(['rm', '-f', file]).then(() => {}));
    const own = await service(machine, t, {
      name: 'loop',
      app: 'throws-while.cjs',
      env: { THROW_FILE: file },
      settings: ['RestartSec=50ms'],
      socket: [],
    });
    await machine.must(['systemctl', 'start', own.socketUnit]);
    const waiting = Array.from({ length: 4 }, () => ask({ port: own.port, path: '/', timeout: 120_000 }));
    t.diagnostic(await manyStarts(own, 15));
    await machine.must(['rm', '-f', file]);
    for (const answer of await Promise.all(waiting)) assert.equal(answer.status, 200);
    await socketIsWell(own);
  },
);

test('a service that fails at once does not run into a limit of the socket', needsMachine(), async (t) => {
  const machine = await sharedMachine();
  const broken = ['ExecStart=', 'ExecStart=/bin/sh -c "exit 78"'];
  const own = await service(machine, t, { name: 'faulty', settings: broken, socket: [] });
  await machine.must(['systemctl', 'start', own.socketUnit]);
  const waiting = ask({ port: own.port, path: '/healthz', timeout: 120_000 });
  // A socket may start its service 20 times in 2 s unless told.
  t.diagnostic(await manyStarts(own, 60));
  const mended = `[Service]\nExecStart=\nExecStart=${inside.node} ${inside.repo}/dist/cli/main.js serve\n`;
  await machine.unit(`${own.unit}.d/zz-mended.conf`, mended);
  assert.equal((await waiting).status, 200);
  await socketIsWell(own);
});

/** Resolves to how many there were, in words. */
async function manyStarts(own: Service, least: number): Promise<string> {
  const began = performance.now();
  const starts = async () => (await own.systemdSaid(/^Starting /)).length;
  const until = (seen: number) => seen >= least;
  const count = await waitFor(`${least} starts`, starts, { until, timeout: 120_000, interval: 200 });
  return `${count} starts in ${Math.round(performance.now() - began)} ms while clients waited`;
}

async function socketIsWell({ socketUnit }: Service): Promise<void> {
  const found = await (await sharedMachine()).show(socketUnit, ['ActiveState', 'Result']);
  assert.deepEqual(found, { ActiveState: 'active', Result: 'success' });
}

test('TCP and unix sockets are served, named in the log, and never unlinked', needsMachine(), async (t) => {
  const machine = await sharedMachine();
  const path = '/run/rom-agent-passed.sock';
  const own = await service(machine, t, {
    name: 'passed',
    socket: [`ListenStream=${path}`, 'SocketMode=0666'],
  });
  await servesBoth(own, path);
  await own.logged(new RegExp(`serving with 2 workers.*http://127\\.0\\.0\\.1:${own.port}.*${path}`));
});

test('an app that listens by itself is served on every socket too', needsMachine(), async (t) => {
  const machine = await sharedMachine();
  const path = '/run/rom-agent-own.sock';
  const socket = [`ListenStream=${path}`, 'SocketMode=0666'];
  const own = await service(machine, t, { name: 'own', app: 'slow-boot.cjs', env: { BOOT_MS: '0' }, socket });
  await servesBoth(own, path);
});

async function servesBoth(own: Service, path: string): Promise<void> {
  const machine = await sharedMachine();
  await machine.must(['systemctl', 'start', own.socketUnit]);
  // The first request starts the service.
  assert.equal((await ask({ port: own.port, path: '/healthz', timeout: 120_000 })).status, 200);
  await own.becomes('ActiveState', 'active');
  const curl = [
    'curl',
    '-s',
    '-m',
    '120',
    '-w',
    '%{http_code}',
    '--unix-socket',
    path,
    'http://localhost/healthz',
  ];
  assert.match(await machine.must(curl), /200$/);
  await machine.must(['systemctl', 'stop', own.unit]);
  assert.equal((await machine.run(['test', '-S', path])).code, 0);
  assert.match(await machine.must(curl), /200$/, 'it starts again with the next request');
  await own.becomes('ActiveState', 'active');
}

test('a socket that the app comes for late is its own from then on', needsMachine(), async (t) => {
  const machine = await sharedMachine();
  const second = await freePort();
  const own = await service(machine, t, {
    name: 'late',
    app: 'two-ports.cjs',
    env: { PORT2: `${second}`, WORKERS: '1' },
    socket: [`ListenStream=127.0.0.1:${second}`],
  });
  await machine.must(['systemctl', 'start', own.socketUnit]);
  assert.equal(
    (await ask({ port: second, path: '/', timeout: 120_000 })).text,
    'listening',
    'by the first server',
  );
  const answers = await Promise.all(Array.from({ length: 20 }, () => ask({ port: second, path: '/' })));
  assert.ok(answers.every(({ text }) => text === 'second'));
  assert.equal((await own.get('/')).text, 'first');
});

test(
  'a service without a network of its own serves the socket that it is given',
  needsMachine(),
  async (t) => {
    const machine = await sharedMachine();
    const own = await service(machine, t, { name: 'closed', settings: withoutNetwork, socket: [] });
    await machine.must(['systemctl', 'start', own.socketUnit]);
    assert.equal((await ask({ port: own.port, path: '/healthz', timeout: 120_000 })).status, 200);
    const [worker] = await own.workers();
    const [machines, its] = await Promise.all(
      [1, worker].map((pid) => machine.must(['readlink', `/proc/${pid}/ns/net`])),
    );
    assert.notEqual(its, machines);
  },
);

test('a socket with the name control is for the commands and not for the app', needsMachine(), async (t) => {
  const machine = await sharedMachine();
  const path = '/run/rom-agent-door.sock';
  const own = await service(machine, t, {
    name: 'door',
    env: { ROM_AGENT_CONTROL_SOCKET: path },
    socket: [],
  });
  const door = 'rom-agent-door-control.socket';
  const lines = ['[Socket]', `Service=${own.unit}`, `ListenStream=${path}`, 'FileDescriptorName=control', ''];
  await machine.unit(door, lines.join('\n'));
  t.after(() => machine.removeUnit(door));
  await machine.must(['systemctl', 'start', own.socketUnit, door]);
  const command = [
    inside.node,
    `${inside.repo}/dist/cli/main.js`,
    'status',
    '--json',
    '--control-socket',
    path,
  ];
  // It starts the service, as a request would.
  const status = await machine.must(command, { timeout: 120_000 });
  assert.equal(JSON.parse(status).master.pid, await own.master());
  assert.equal((await own.get('/healthz')).status, 200);
  await machine.must(['systemctl', 'stop', own.unit]);
  assert.equal((await machine.run(['test', '-S', path])).code, 0);
});

test('sockets that are for another process are left alone', needsMachine(), async (t) => {
  const machine = await sharedMachine();
  const own = await service(machine, t, {
    name: 'foreign',
    settings: ['ExecStart=', 'ExecStart=/bin/sh -c "LISTEN_PID=1 exec $COMMAND"'],
    env: { COMMAND: `${inside.node} ${inside.repo}/dist/cli/main.js serve` },
    socket: ['ListenStream=', 'ListenStream=/run/rom-agent-foreign.sock'],
  });
  await machine.must(['systemctl', 'start', own.socketUnit]);
  await own.start();
  assert.equal((await own.get('/healthz')).status, 200, 'on the configured port');
});

test('a socket that cannot be served is named with what would be right', needsMachine(), async (t) => {
  const machine = await sharedMachine();
  const own = await service(machine, t, {
    name: 'datagram',
    socket: ['ListenDatagram=/run/rom-agent-dgram.sock'],
  });
  await machine.must(['systemctl', 'start', own.socketUnit]);
  assert.notEqual((await own.systemctl('start')).code, 0);
  const { ExecMainStatus, StatusText } = await own.show('ExecMainStatus', 'StatusText');
  assert.equal(ExecMainStatus, '78');
  assert.match(
    StatusText,
    /^LISTEN_FDS: descriptor \d, named "http", is a unix datagram socket; expected a listening/,
  );
});

function figures({ ok, failed, refused, failures, latency }: LoadReport): string {
  const longest = Math.round(latency.max);
  return `${ok} ok, ${failed} failed ${JSON.stringify(failures)}, ${refused} refused, longest wait ${longest} ms`;
}
