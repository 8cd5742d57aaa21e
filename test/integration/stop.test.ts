import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { pathToFileURL } from 'node:url';
import type { Connection } from '../support/http-connection.js';
import { type ClientGroup, startLoad } from '../support/load.js';
import { signalPid } from '../support/process.js';
import { waitFor } from '../support/wait.js';
import {
  begin,
  begun,
  connectTo,
  connectToEach,
  type Entry,
  ended,
  fixture,
  lostNothing,
  nothingLeft,
  patience,
  patientLinger,
  problems,
  readyPids,
  refused,
  request,
  type Service,
  say,
  serve,
  stats,
  stopped,
  temporaryDirectory,
  warnings,
  workbench,
} from './service.js';

const clients: Record<string, ClientGroup[]> = {
  'keep-alive': [{ kind: 'keep-alive', count: 16 }],
  'a connection for each request': [{ kind: 'per-connection', count: 16 }],
  pipelining: [{ kind: 'pipelining', count: 8 }],
  // Two seconds each: none of them is over when the listeners close, so that nobody comes again at that very moment.
  'slow bodies': [{ kind: 'slow-body', count: 16, pauseMs: 250 }],
};

const everyClient: readonly ClientGroup[] = Object.values(clients).flat();

/** Requests after which every client is in the middle of something. */
const underWay = 200;

describe('SIGTERM under load', { timeout: 1_800_000 }, () => {
  for (const [name, group] of Object.entries(clients)) {
    it(`loses no request of clients with ${name}`, async (t) => {
      await stopUnderLoad(await serve(t, { app: workbench, env: patientLinger }), group);
    });
  }

  it('loses no request of all of them together, three times over', async (t) => {
    for (let round = 1; round <= 3; round += 1) {
      const service = await serve(t, { app: workbench, env: patientLinger });
      await stopUnderLoad(service, everyClient);
    }
  });

  it('loses no request where the master is slow to close its copy of the listening socket', async (t) => {
    const env = {
      ...patientLinger,
      NODE_OPTIONS: `--import=${pathToFileURL(fixture('integration/slow-close.mjs'))}`,
    };
    const service = await serve(t, { app: workbench, env });
    const load = startLoad({
      port: service.port,
      clients: [{ kind: 'per-connection', count: 8, pauseMs: 20 }],
    });
    await load.reached(100, patience);
    service.daemon.kill();
    await ended(service.daemon, 0);
    await lostNothing(load);
  });

  it('loses no request of the built-in app', async (t) => {
    await stopUnderLoad(await serve(t, { env: patientLinger }), [
      { kind: 'keep-alive', count: 8, path: '/api/info' },
      { kind: 'per-connection', count: 8, path: '/api/info' },
    ]);
  });
});

describe('a Ctrl-C', { timeout: 1_800_000 }, () => {
  it('that reaches every process of the terminal loses no request', async (t) => {
    const service = await serve(t, { app: workbench, env: patientLinger });
    await stopUnderLoad(service, everyClient, ({ daemon }) => daemon.killGroup('SIGINT'));
  });

  it('a second time ends requests that hang, at once', async (t) => {
    // Far longer than this test waits.
    const service = await serve(t, { app: workbench, env: { ROM_AGENT_DRAIN_TIMEOUT: '10m' } });
    await begun(service, '/hang');
    service.daemon.kill('SIGINT');
    await refused(service);
    // Those within half a second of the first are one press.
    const press = setInterval(() => service.daemon.kill('SIGINT'), 50);
    t.after(() => clearInterval(press));
    await service.daemon.waitForLine(/SIGINT: killing the workers/, patience);
    clearInterval(press);
    await ended(service.daemon, 0);
    assert.deepEqual(problems(service.daemon), ['SIGINT: killing the workers that are left']);
  });
});

describe('a signal to the workers themselves', { timeout: 1_800_000 }, () => {
  it('is ignored: they obey the master alone', async (t) => {
    const service = await serve(t, { app: workbench });
    const pids = await readyPids(service);
    const load = startLoad({ port: service.port, clients: everyClient });
    await load.reached(underWay);
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
      for (const pid of pids) assert.equal(signalPid(pid, signal), true);
      await load.reached(underWay);
    }
    await lostNothing(load);
    assert.deepEqual(await readyPids(service), pids);
    assert.equal((await stats(service)).restarts, 0);
    await stopped(service);
  });
});

describe('an idle connection', { timeout: 1_800_000 }, () => {
  it('is closed without a reset once the linger is over, not before', async (t) => {
    const linger = 1_000;
    const service = await serve(t, { app: workbench, env: { ROM_AGENT_LINGER: `${linger}ms` } });
    const workers = await connectToEach(t, service);
    const fresh = await open(t, service);
    const before = performance.now();
    service.daemon.kill();
    const ends = [...workers.values(), fresh].map(async (connection) => {
      await waitFor('the end of the connection', () => !connection.usable, { timeout: patience });
      return { how: connection.idle, late: performance.now() - before >= linger - 50 };
    });
    for (const end of await Promise.all(ends)) assert.deepEqual(end, { how: 'fin', late: true });
    await ended(service.daemon, 0);
    assert.deepEqual(problems(service.daemon), []);
  });

  it('gets an answer to its next request, with Connection: close', async (t) => {
    const service = await serve(t, { app: workbench, env: { ROM_AGENT_LINGER: '20s' } });
    const workers = await connectToEach(t, service);
    service.daemon.kill();
    await refused(service);
    for (const [pid, connection] of workers) {
      const { status, body, closing, headers } = await say(connection, '/');
      assert.deepEqual(
        { status, closing, pid: JSON.parse(body).pid, header: headers.get('connection') },
        { status: 200, closing: true, pid, header: 'close' },
      );
    }
    // With its connections the reason to wait is gone: long before the linger.
    await ended(service.daemon, 0);
  });
});

describe('a request that is under way', { timeout: 1_800_000 }, () => {
  it('is finished, however often SIGTERM comes', async (t) => {
    const service = await serve(t, { app: workbench });
    const file = join(temporaryDirectory(t), 'enough');
    const { pid, whole } = await begun(service, `/until?file=${file}`);
    service.daemon.kill();
    await refused(service);
    service.daemon.kill();
    await service.daemon.waitForLine(/already stopping/, patience);
    service.daemon.kill('SIGHUP');
    await service.daemon.waitForLine(/refused: reload: the service is stopping/, patience);
    service.daemon.kill();
    writeFileSync(file, '');
    assert.equal(await whole, `${pid}\ndone\n`);
    await ended(service.daemon, 0);
    assert.deepEqual(problems(service.daemon), ['refused: reload: the service is stopping']);
  });

  it('and never ends is cut at the deadline, with a warning and status 0', async (t) => {
    const service = await serve(t, { app: workbench, env: { ROM_AGENT_DRAIN_TIMEOUT: '1s' } });
    const { whole } = await begun(service, '/hang');
    const before = performance.now();
    service.daemon.kill();
    await assert.rejects(whole, /aborted/);
    assert.ok(performance.now() - before >= 950, 'not before the deadline');
    await ended(service.daemon, 0);
    // A worker that gets no CPU for a second after its deadline is killed, whether it has cut by then or not.
    const isKill = ({ msg }: Entry) => /: killing the workers that are left$/.test(msg);
    const all = warnings(service.daemon);
    const [warning = all.find(isKill), ...others] = all.filter((each) => !isKill(each));
    assert.deepEqual(others, []);
    assert.match(warning?.msg ?? '', /^worker \d cut what was left at the end of its drain$|: killing the/);
    assert.equal(warning?.requests ?? warning?.inFlight, 1);
  });
});

describe('a WebSocket', { timeout: 1_800_000 }, () => {
  /** FIN and opcode 8, two bytes: 1001, going away (RFC 6455, section 7.4.1). */
  const goingAway = Buffer.from([0x88, 0x02, 0x03, 0xe9]);

  it('is sent a Close frame, and the daemon ends when the client answers it', async (t) => {
    const service = await serve(t, { app: workbench });
    const { socket, frames } = await webSocket(t, service);
    service.daemon.kill();
    await waitFor('the Close frame', () => frames().length >= goingAway.length, { timeout: patience });
    assert.deepEqual(frames(), goingAway);
    socket.write(Buffer.from([0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe9]));
    await ended(service.daemon, 0);
    assert.deepEqual(problems(service.daemon), []);
  });

  it('whose client ignores that is cut at the deadline', async (t) => {
    const service = await serve(t, {
      app: workbench,
      env: { ROM_AGENT_DRAIN_TIMEOUT: '1s', IGNORES_CLOSE: '1' },
    });
    const { socket, frames } = await webSocket(t, service);
    const before = performance.now();
    service.daemon.kill();
    await once(socket, 'close');
    assert.ok(performance.now() - before >= 950, 'not before the deadline');
    assert.deepEqual(frames(), goingAway);
    await ended(service.daemon, 0);
    assert.match(problems(service.daemon).join('\n'), /^worker \d cut what was left|killing the workers/);
  });
});

describe('SIGTERM in bad times', { timeout: 1_800_000 }, () => {
  it('ends a start whose workers do not listen yet', async (t) => {
    const { daemon } = await begin(t, { app: fixture('apps/never-listens.mjs') });
    await waitFor('both workers', async () => (await daemon.descendants()).length >= 2);
    daemon.kill();
    await ended(daemon, 0);
    assert.deepEqual(problems(daemon), []);
  });

  it('right after the exec ends it too, at whatever point of the start', async (t) => {
    for (const delay of [50, 100, 150, 200, 250]) {
      const { daemon } = await begin(t);
      await new Promise((resolve) => setTimeout(resolve, delay));
      daemon.kill();
      const { code, signal } = await daemon.waitForExit(patience);
      // Before the handlers are in place it is Node that ends.
      assert.ok(
        code === 0 || signal === 'SIGTERM',
        `after ${delay} ms: ${code} ${signal}\n${daemon.output()}`,
      );
      await nothingLeft(daemon);
    }
  });

  it('ends within the hang limit although a worker is stopped, and the others drain', async (t) => {
    const env = { ROM_AGENT_HANG_TIMEOUT: '4s', ROM_AGENT_DRAIN_TIMEOUT: '10m' };
    await stopWithHung(t, env);
  });

  it('ends within the drain limit although a worker is stopped', async (t) => {
    const env = { ROM_AGENT_HANG_TIMEOUT: '10m', ROM_AGENT_DRAIN_TIMEOUT: '4s' };
    await stopWithHung(t, env);
  });
});

async function stopUnderLoad(
  service: Service,
  clients: readonly ClientGroup[],
  stop = ({ daemon }: Service) => daemon.kill(),
): Promise<void> {
  const load = startLoad({ port: service.port, clients });
  const slowOnly = clients.every(({ kind }) => kind === 'slow-body');
  const busy = () => (slowOnly ? load.counts().sent >= 16 : load.counts().ok >= underWay);
  await waitFor('a busy service', busy, { timeout: patience });
  stop(service);
  await ended(service.daemon, 0);
  // All of the clients have met the closed door: nobody was left waiting.
  await load.until(({ refused }) => refused > 0);
  const report = await lostNothing(load);
  for (const { kind } of clients) assert.ok((report.byClient[kind]?.ok ?? 0) > 0, `${kind} was served`);
  assert.deepEqual(problems(service.daemon), []);
}

/** One worker is stopped; a slow request that the other has is answered all the same. */
async function stopWithHung(t: TestContext, env: Record<string, string>): Promise<void> {
  const service = await serve(t, { app: workbench, env });
  const { pid, whole } = await begun(service, '/slow?ms=700');
  for (const other of await readyPids(service)) if (other !== pid) process.kill(other, 'SIGSTOP');
  service.daemon.kill();
  assert.equal(await whole, `${pid}\ndone\n`);
  await ended(service.daemon, 0);
  assert.ok(problems(service.daemon).some((problem) => /hung|killing/.test(problem)));
}

async function open(t: TestContext, service: Service): Promise<Connection> {
  const connection = await connectTo(service);
  t.after(() => connection.close());
  return connection;
}

async function webSocket(
  t: TestContext,
  { port }: Service,
): Promise<{ socket: Socket; frames: () => Buffer }> {
  const socket = connect({ host: '127.0.0.1', port });
  t.after(() => socket.destroy());
  let received = Buffer.alloc(0);
  socket.on('error', () => {});
  socket.on('data', (chunk: Buffer) => {
    received = Buffer.concat([received, chunk]);
  });
  const key = 'dGhlIHNhbXBsZSBub25jZQ==';
  socket.write(
    request(
      '/',
      `Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${key}\r\n`,
    ),
  );
  const head = () => received.indexOf('\r\n\r\n');
  await waitFor('the handshake', () => head() >= 0, { timeout: patience });
  // RFC 6455, section 1.3
  assert.match(received.toString('latin1'), /101 .*s3pPLMBiTxaQ9kYGzzhZRbK\+xOo=/s);
  return { socket, frames: () => received.subarray(head() + 4) };
}
