import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer as createHttpServer, type RequestListener } from 'node:http';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { describeLoad, type LoadReport, type Loss, startLoad } from './load.js';
import { freePort } from './net.js';

const okHead = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n';

test('every kind of client is served without a failure by a plain server', async (t) => {
  const port = await httpServer(t, (req, res) => {
    req.resume().on('end', () => res.end(JSON.stringify({ pid: 4711 })));
  });
  const load = startLoad({
    t,
    url: `http://127.0.0.1:${port}/x`,
    clients: [
      { kind: 'keep-alive', count: 2 },
      { kind: 'keep-alive', count: 2, pauseMs: 5 },
      { kind: 'per-connection', count: 2 },
      { kind: 'slow-body', count: 2, pauseMs: 2 },
      { kind: 'pipelining', count: 2 },
    ],
  });
  await load.until(({ ok }) => ok > 300);
  const report = await load.stop();
  assert.equal(report.failed, 0, describeLoad(report));
  assert.equal(report.refused + report.unanswered + report.idleCloses + report.idleResets, 0);
  assert.equal(report.byPid.get(4711), report.ok);
  for (const kind of ['keep-alive', 'per-connection', 'slow-body', 'pipelining'] as const) {
    assert.ok((report.byClient[kind]?.ok ?? 0) > 0, kind);
  }
  assert.ok(report.latency.p50 > 0 && report.latency.p50 <= report.latency.p99);
  balanced(report);
});

test('a request that is answered with a reset has failed', async (t) => {
  const port = await rawServer(t, (socket) => socket.on('data', () => socket.resetAndDestroy()));
  const report = await some({ t, port, failed: 5 });
  assert.equal(report.ok, 0);
  assert.equal(report.failures.reset, report.failed, describeLoad(report));
});

test('a watcher hears of each loss with the connection that it was on, and of each answer', async (t) => {
  const ports = new Set<number>();
  const port = await rawServer(t, (socket) => {
    ports.add(socket.remotePort ?? 0);
    let asked = 0;
    socket.on('data', () => {
      asked += 1;
      if (asked === 1) socket.write(`${okHead}\r\nok`);
      else socket.resetAndDestroy();
    });
  });
  const losses: Loss[] = [];
  const answers: string[] = [];
  const watch = {
    lost: (loss: Loss) => void losses.push(loss),
    answered: (body: string) => void answers.push(body),
  };
  const load = startLoad({ t, port, watch, clients: [{ kind: 'keep-alive', count: 2 }] });
  await load.until(({ ok, failed }) => ok >= 5 && failed >= 5);
  const report = await load.stop();
  assert.deepEqual([losses.length, answers.length], [report.failed, report.ok], describeLoad(report));
  assert.deepEqual(new Set(answers), new Set(['ok']));
  for (const { kind, client, connection } of losses) {
    assert.deepEqual([kind, client], ['reset', 'keep-alive']);
    assert.ok(connection?.port && ports.has(connection.port));
    assert.ok(connection.opened <= Date.now());
  }
});

test('an answer that is cut off has failed', async (t) => {
  const cut = 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf';
  const port = await rawServer(t, (socket) => socket.once('data', () => socket.end(cut)));
  const report = await some({ t, port, failed: 5 });
  assert.equal(report.ok, 0);
  assert.equal(report.failures.eof, report.failed);
  assert.match(report.examples[0] ?? '', /in the middle of an answer/);
});

test('a chunked answer that is cut off has failed, a whole one has not', async (t) => {
  const head = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n';
  let nth = 0;
  const port = await rawServer(t, (socket) =>
    socket.once('data', () => socket.end(nth++ % 2 === 0 ? head : `${head}0\r\n\r\n`)),
  );
  const load = startLoad({ t, port, clients: [{ kind: 'per-connection', count: 1 }] });
  await load.until(({ ok, failed }) => ok >= 3 && failed >= 3);
  const report = await load.stop();
  assert.ok(Math.abs(report.ok - report.failed) <= 1, describeLoad(report));
});

test('a connection that is closed with the request on it has failed', async (t) => {
  const port = await rawServer(t, (socket) => socket.on('data', () => socket.end()));
  const report = await some({ t, port, failed: 5 });
  assert.equal(report.failures.eof, report.failed);
  assert.match(report.examples[0] ?? '', /nothing came/);
});

test('a request that gets no answer has failed after its time', async (t) => {
  const port = await rawServer(t, () => {});
  // Long enough to connect on a busy machine: a request that could not be sent fails in another way.
  const report = await some({ t, port, failed: 2, requestTimeout: 1_000 });
  assert.equal(report.failures.timeout, report.failed);
});

test('another status than the wanted one has failed', async (t) => {
  const port = await httpServer(t, (_, res) => res.writeHead(503).end('draining'));
  const report = await some({ t, port, failed: 5 });
  assert.equal(report.failures.status, report.failed);
  assert.match(report.examples[0] ?? '', /503 draining/);
});

test('what is not HTTP has failed', async (t) => {
  const port = await rawServer(t, (socket) => socket.on('data', () => socket.write('hello\r\n\r\n')));
  const report = await some({ t, port, failed: 3 });
  assert.equal(report.failures.malformed, report.failed);
});

test('an answer that nobody asked for has failed', async (t) => {
  const twice = `${okHead}\r\nok${okHead}\r\nok`;
  const port = await rawServer(t, (socket) => socket.on('data', () => socket.write(twice)));
  const report = await some({ t, port, failed: 3 });
  assert.equal(report.failures.malformed, report.failed);
});

test('a connection announced as closing is not used again, and nothing fails', async (t) => {
  const port = await rawServer(t, (socket) => {
    let requests = 0;
    socket.on('data', () => {
      requests += 1;
      if (requests > 3) socket.resetAndDestroy();
      else if (requests === 3) socket.end(`${okHead}Connection: close\r\n\r\nok`);
      else socket.write(`${okHead}\r\nok`);
    });
  });
  const report = await some({ t, port, ok: 30 });
  assert.equal(report.failed, 0, describeLoad(report));
  assert.ok(report.announcedCloses >= 9);
});

test('a connection announced as closing is left alone also while the server keeps it open', async (t) => {
  const port = await rawServer(t, (socket) => {
    let requests = 0;
    socket.on('data', () => {
      requests += 1;
      if (requests > 1) socket.resetAndDestroy();
      else socket.write(`${okHead}Connection: close\r\n\r\nok`);
    });
  });
  const report = await some({ t, port, ok: 10 });
  assert.equal(report.failed, 0, describeLoad(report));
});

test('an answer whose body ends with the connection is complete', async (t) => {
  const port = await rawServer(t, (socket) =>
    socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\n\r\nbody')),
  );
  const report = await some({ t, port, ok: 5 });
  assert.equal(report.failed, 0, describeLoad(report));
});

test('a connection that the server closes or resets while it is idle is not a failure', async (t) => {
  let nth = 0;
  const port = await rawServer(t, (socket) => {
    const end = () => (nth++ % 2 === 0 ? socket.end() : socket.resetAndDestroy());
    socket.once('data', () => socket.write(`${okHead}\r\nok`, () => setTimeout(end, 5)));
  });
  const load = startLoad({ t, port, clients: [{ kind: 'keep-alive', count: 2, pauseMs: 40 }] });
  await load.reached(8);
  const report = await load.stop();
  assert.equal(report.failed, 0, describeLoad(report));
  assert.ok(report.idleCloses > 0 && report.idleResets > 0, describeLoad(report));
});

test('a FIN that is there before the next request is written keeps the connection from being used', async (t) => {
  const port = await rawServer(t, (socket) => socket.once('data', () => socket.end(`${okHead}\r\nok`)));
  const report = await some({ t, port, ok: 50 });
  assert.equal(report.failed, 0, describeLoad(report));
});

test('nobody listening is refused, not failed, and the load goes on when somebody does', async (t) => {
  const port = await freePort();
  const load = startLoad({ t, port, clients: [{ kind: 'per-connection', count: 3 }] });
  await load.until(({ refused }) => refused >= 6);
  assert.equal(load.counts().failed, 0);
  await httpServer(t, (_, res) => res.end('ok'), port);
  await load.reached(10);
  const report = await load.stop();
  assert.equal(report.failed, 0, describeLoad(report));
});

test('requests pipelined behind an announced close are unanswered, not failed', async (t) => {
  const port = await rawServer(t, (socket) =>
    socket.once('data', () => socket.end(`${okHead}\r\nok${okHead}Connection: close\r\n\r\nok`)),
  );
  const report = await some({ t, port, ok: 10, kind: 'pipelining' });
  assert.equal(report.failed, 0, describeLoad(report));
  assert.equal(report.unanswered, report.ok);
});

test('requests pipelined behind an unannounced close have failed', async (t) => {
  const port = await rawServer(t, (socket) => socket.once('data', () => socket.end(`${okHead}\r\nok`)));
  const report = await some({ t, port, failed: 9, kind: 'pipelining' });
  assert.equal(report.failed, 3 * report.ok);
});

test('a slow body that is cut by a reset has failed', async (t) => {
  const port = await rawServer(t, (socket) => {
    let bytes = 0;
    socket.on('data', (chunk) => {
      bytes += chunk.length;
      if (bytes > 150) socket.resetAndDestroy();
    });
  });
  const load = startLoad({ t, port, clients: [{ kind: 'slow-body', count: 2, pauseMs: 2, pieces: 20 }] });
  await load.until(({ failed }) => failed >= 4);
  const report = await load.stop();
  assert.equal(report.failures.reset, report.failed, describeLoad(report));
});

test('a slow body arrives whole, also after an answer that came early', async (t) => {
  const bodies: number[] = [];
  const port = await httpServer(t, (req, res) => {
    let bytes = 0;
    req.on('data', (chunk: Buffer) => (bytes += chunk.length)).on('end', () => bodies.push(bytes));
    res.end('early');
  });
  const load = startLoad({ t, port, clients: [{ kind: 'slow-body', count: 1, pauseMs: 1, pieces: 5 }] });
  await load.reached(5);
  const report = await load.stop();
  assert.equal(report.failed, 0, describeLoad(report));
  assert.deepEqual(new Set(bodies), new Set([80]));
});

test('a load ends at its bound on requests and on time', async (t) => {
  const port = await httpServer(t, (_, res) => res.end('ok'));
  const clients = [{ kind: 'keep-alive' as const, count: 2 }];
  const counted = startLoad({ t, port, clients, maxRequests: 20 });
  await counted.until(({ ok }) => ok >= 20);
  assert.equal((await counted.stop()).cutShort, 'count');
  assert.ok(counted.counts().sent < 25);
  const timed = await startLoad({ t, port, clients, maxMs: 30 }).ended();
  assert.equal(timed.cutShort, 'time');
});

test('waiting for a count that does not come ends with the counts and the failures', async (t) => {
  const port = await rawServer(t, (socket) => socket.on('data', () => socket.resetAndDestroy()));
  const load = startLoad({ t, port, clients: [{ kind: 'keep-alive', count: 1 }] });
  await load.until(({ failed }) => failed > 0);
  await assert.rejects(
    load.reached(1, 60),
    /within 60 ms: .*"ok":0.*\n {2}reset \(keep-alive, at \d+ ms\): ECONN/,
  );
  await load.stop();
});

test('another machine than this one is refused', () => {
  assert.throws(() => startLoad({ url: 'http://192.0.2.1/', clients: [] }), /not this machine: 192\.0\.2\.1/);
});

interface Some {
  readonly t: TestContext;
  readonly port: number;
  readonly ok?: number;
  readonly failed?: number;
  readonly kind?: 'keep-alive' | 'pipelining';
  readonly requestTimeout?: number;
}

/** Two clients until there are this many of what is expected. */
async function some({ t, port, ok = 0, failed = 0, kind = 'keep-alive', requestTimeout = 5000 }: Some) {
  const load = startLoad({ t, port, requestTimeout, clients: [{ kind, count: 2 }] });
  await load.until((counts) => counts.ok >= ok && counts.failed >= failed);
  const report = await load.stop();
  if (report.failures.malformed === undefined) balanced(report);
  return report;
}

function balanced({ sent, ok, failed, unanswered }: LoadReport): void {
  assert.equal(sent, ok + failed + unanswered);
}

async function httpServer(t: TestContext, listener: RequestListener, port = 0): Promise<number> {
  const server = createHttpServer(listener);
  t.after(() => server.closeAllConnections());
  return listen(t, server, port);
}

async function rawServer(t: TestContext, onSocket: (socket: Socket) => void): Promise<number> {
  const sockets = new Set<Socket>();
  t.after(() => {
    for (const socket of sockets) socket.destroy();
  });
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    onSocket(socket);
  });
  return listen(t, server, 0);
}

async function listen(t: TestContext, server: Server, port: number): Promise<number> {
  t.after(() => server.close());
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}
