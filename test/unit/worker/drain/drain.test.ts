import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp } from 'node:fs/promises';
import { createServer, type RequestListener, type ServerResponse } from 'node:http';
import { Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { ConnectFailed, type Connection, openConnection } from '../../../support/http-connection.js';
import { waitFor } from '../../../support/wait.js';
import { openBytes } from '../byte-client.js';
import { drain, listening, servers } from '../tracking.js';

const get = (path = '/', version = '1.1') => `GET ${path} HTTP/${version}\r\nHost: localhost\r\n\r\n`;
const timeout = 60_000;
/** Nobody waits for the end of a linger like this, ms. */
const long = 600_000;

/** Requests wait until the test answers them. */
async function holding(t: TestContext): Promise<{ port: number; waiting: ServerResponse[] }> {
  const waiting: ServerResponse[] = [];
  return { port: await serving(t, (_req, res) => void waiting.push(res)), waiting };
}

function serving(t: TestContext, listener: RequestListener): Promise<number> {
  return listening(t, createServer({ keepAliveTimeout: 60_000 }, listener));
}

async function open(t: TestContext, port: number): Promise<Connection> {
  const connection = await openConnection({ port }, timeout);
  t.after(() => connection.close());
  return connection;
}

function requests(waiting: ServerResponse[], count: number): Promise<number> {
  return waitFor(`${count} requests`, () => waiting.length, { until: (length) => length === count });
}

test('the next request of an idle keep-alive connection is answered, with Connection: close', async (t) => {
  const port = await serving(t, (_req, res) => res.end('fine'));
  const client = await open(t, port);
  assert.equal((await client.request(get(), timeout)).closing, false);
  const draining = drain(t, { linger: long });
  const last = await client.request(get(), timeout);
  assert.deepEqual([last.status, last.body, last.closing], [200, 'fine', true]);
  assert.ok((await draining.done) < long, 'nobody is left to linger for');
});

test('while the drain is patient an idle connection outlives the linger, and is told to close with its next answer', async (t) => {
  const port = await serving(t, (_req, res) => res.end('fine'));
  const client = await open(t, port);
  await client.request(get(), timeout);
  const draining = drain(t, { linger: 50, isPatient: () => true });
  await waitFor('three times the linger', () => sleep(150).then(() => true));
  const last = await client.request(get(), timeout);
  assert.deepEqual([last.status, last.closing], [200, true]);
  await draining.done;
});

test('so is one that an app answers after it has waited for promises', async (t) => {
  const port = await serving(t, async (_req, res) => {
    for (let turn = 0; turn < 5; turn++) await null;
    res.end('fine');
  });
  const client = await open(t, port);
  await client.request(get(), timeout);
  const draining = drain(t, { linger: long });
  assert.equal((await client.request(get(), timeout)).closing, true);
  assert.ok((await draining.done) < long);
});

test('a connection that stays idle is closed after the linger, not before', async (t) => {
  const port = await serving(t, (_req, res) => res.end('fine'));
  const client = await open(t, port);
  await client.request(get(), timeout);
  const took = await drain(t, { linger: 200 }).done;
  assert.ok(took >= 200, `${took} ms`);
  await waitFor('the end', () => client.idle === 'fin');
});

test('a connection that stays idle goes to another worker instead, and the drain waits for it', async (t) => {
  const port = await serving(t, (_req, res) => res.end('fine'));
  const client = await open(t, port);
  await client.request(get(), timeout);
  const left = new Set<Socket>();
  let underWay = 0;
  const leave = (socket: Socket): boolean => {
    left.add(socket);
    underWay = 1;
    // As it goes, it is no connection of this server any more.
    socket.emit('close');
    return true;
  };
  const draining = drain(t, { linger: 50, elsewhere: { leave, underWay: () => underWay } });
  await waitFor('the connection to leave', () => left.size === 1);
  await waitFor('no connection', () => servers.counts().connections === 0);
  assert.deepEqual([draining.over(), client.idle], [false, null]);
  underWay = 0;
  await draining.done;
});

test('a request that came while the worker had no CPU is answered, however long that was', async (t) => {
  const port = await serving(t, (_req, res) => res.end('fine'));
  const [kept, fresh] = [await openBytes(t, port), await openBytes(t, port)];
  kept.socket.write(get());
  await kept.until('fine');
  await waitFor('both connections', () => servers.counts().connections === 2);
  const draining = drain(t, { linger: 100 });
  await waitFor('the listener to close', () => servers.listening().length === 0);
  for (const { socket } of [kept, fresh]) socket.write(get());
  // Neither a timer nor a request is looked at for so long, ms.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 300);
  assert.deepEqual([await kept.ended(), await fresh.ended()], ['fin', 'fin']);
  for (const { text } of [kept, fresh]) assert.match(text, /Connection: close.*fine$/s);
  await draining.done;
});

test('a connection on which nothing ever came is closed after the linger', async (t) => {
  const port = await serving(t, (_req, res) => res.end('fine'));
  const client = await open(t, port);
  await waitFor('the connection', () => servers.counts().connections === 1);
  const took = await drain(t, { linger: 200 }).done;
  assert.ok(took >= 200, `${took} ms`);
  await waitFor('the end', () => client.idle === 'fin');
});

test('a connection on which nothing came yet may still send its first request within the linger', async (t) => {
  const port = await serving(t, (_req, res) => res.end('fine'));
  const client = await open(t, port);
  await waitFor('the connection', () => servers.counts().connections === 1);
  const draining = drain(t, { linger: long });
  assert.equal((await client.request(get(), timeout)).closing, true);
  await draining.done;
});

test('a new connection is refused', async (t) => {
  const { port } = await holding(t);
  await drain(t).done;
  await assert.rejects(openConnection({ port }, timeout), (error) => {
    assert.ok(error instanceof ConnectFailed && error.refused);
    return true;
  });
});

test('a request under way is answered, with Connection: close', async (t) => {
  const { port, waiting } = await holding(t);
  const client = await open(t, port);
  const answer = client.request(get(), timeout);
  await requests(waiting, 1);
  const draining = drain(t);
  await waitFor('the listener to close', () => servers.listening().length === 0);
  waiting[0]?.end('late');
  assert.deepEqual([(await answer).body, (await answer).closing], ['late', true]);
  await draining.done;
});

test('after an answer that began before the drain, the connection lingers for its next request', async (t) => {
  const { port, waiting } = await holding(t);
  const client = await open(t, port);
  const answer = client.request(get(), timeout);
  await requests(waiting, 1);
  waiting[0]?.writeHead(200, { 'Content-Length': 4 }).write('be');
  const draining = drain(t, { linger: 1_000 });
  await waitFor('the listener to close', () => servers.listening().length === 0);
  waiting[0]?.end('en');
  assert.deepEqual([(await answer).body, (await answer).closing], ['been', false]);
  const next = client.request(get(), timeout);
  await requests(waiting, 2);
  waiting[1]?.end('next');
  assert.deepEqual([(await next).body, (await next).closing], ['next', true]);
  await draining.done;
});

test('the linger counts from the end of an answer that could not say close', async (t) => {
  const { port, waiting } = await holding(t);
  const client = await open(t, port);
  const answer = client.request(get(), timeout);
  await requests(waiting, 1);
  waiting[0]?.writeHead(200, { 'Content-Length': 2 }).flushHeaders();
  const draining = drain(t, { linger: 200 });
  await new Promise((resolve) => setTimeout(resolve, 300));
  assert.equal(draining.over(), false);
  const ended = performance.now();
  waiting[0]?.end('ok');
  await answer;
  await draining.done;
  assert.ok(performance.now() - ended >= 200);
});

test('of requests that were pipelined before the drain all are answered, and the last alone says close', async (t) => {
  const { port, waiting } = await holding(t);
  const client = await open(t, port);
  const answers = [1, 2, 3].map((n) => client.request(get(`/${n}`), timeout));
  await requests(waiting, 3);
  const draining = drain(t);
  // The order in which an app answers is its own affair.
  for (const [index, response] of [...waiting.entries()].reverse()) response.end(`answer ${index}`);
  const seen = (await Promise.all(answers)).map(({ body, closing }) => [body, closing]);
  assert.deepEqual(seen, [
    ['answer 0', false],
    ['answer 1', false],
    ['answer 2', true],
  ]);
  await draining.done;
});

test('requests that come in one piece are answered at once, all of them, and the last alone says close', async (t) => {
  const port = await serving(t, (req, res) => res.end(req.url));
  const client = await openBytes(t, port);
  client.socket.write(get('/before'));
  await client.until('/before');
  const draining = drain(t, { linger: long });
  client.socket.write(['/a', '/b', '/c'].map((path) => get(path)).join(''));
  assert.equal(await client.ended(), 'fin');
  await draining.done;
  const [, , ...answers] = client.text.split('HTTP/1.1 200 OK');
  assert.deepEqual(
    answers.map((answer) => [answer.at(-1), /connection: close/i.test(answer)]),
    [
      ['a', false],
      ['b', false],
      ['c', true],
    ],
  );
});

test('a client that is answered before it has sent its body is not cut off while it sends', async (t) => {
  const port = await serving(t, (req, res) => res.end(req.url));
  const client = await openBytes(t, port);
  client.socket.write(get('/before'));
  await client.until('/before');
  const draining = drain(t, { linger: 50 });
  client.socket.write('POST /early HTTP/1.1\r\nHost: a\r\nContent-Length: 300000\r\n\r\n');
  await client.until('/early');
  for (let left = 3; left > 0; left--) {
    await new Promise((resolve) => client.socket.write(Buffer.alloc(100_000), resolve));
    assert.equal(client.end, null);
  }
  assert.equal(await client.ended(), 'fin');
  await draining.done;
});

test('a client that pipelines on behind its last answer, in pieces, is not cut off while it has yet to read it', async (t) => {
  const urls: string[] = [];
  const port = await serving(t, (req, res) => {
    urls.push(req.url ?? '');
    res.end(req.url?.padEnd(50_000));
  });
  const client = await openBytes(t, port);
  client.socket.write(get('/before'));
  await client.until('/before');
  const draining = drain(t, { linger: 5_000 });
  client.socket.pause();
  client.socket.write(get('/last'));
  await waitFor('the answer', () => servers.counts().inFlight === 0 && urls.length === 2);
  for (const piece of get('/behind')) {
    await new Promise((resolve) => client.socket.write(piece, resolve));
    assert.equal(client.end, null);
  }
  client.socket.resume();
  assert.equal(await client.ended(), 'fin');
  assert.match(client.text, /\/last *$/);
  await draining.done;
  assert.deepEqual(urls, ['/before', '/last'], 'what it sent behind that is not executed');
});

test('what is pipelined behind an answer that said close, and is still being written, is not executed', async (t) => {
  const { port, waiting } = await holding(t);
  const client = await openBytes(t, port);
  client.socket.write(get('/last'));
  await requests(waiting, 1);
  const draining = drain(t, { linger: 3_600_000 });
  waiting[0]?.write('be');
  await client.until('be');
  const [entry] = servers.all;
  const read = (): number => [...(entry?.sockets ?? [])][0]?.bytesRead ?? 0;
  client.socket.write(get('/behind'));
  await waitFor('the other request', read, { until: (bytes) => bytes > get('/last').length });
  waiting[0]?.end('en');
  assert.equal(await client.ended(), 'fin');
  assert.equal(waiting.length, 1);
  // A client that closes at once is not waited for.
  await draining.done;
});

test('what is pipelined behind a body, in one piece with its end, is not executed where the answer said close', async (t) => {
  const urls: string[] = [];
  const port = await serving(t, (req, res) => {
    urls.push(req.url ?? '');
    res.end(req.url);
  });
  const client = await openBytes(t, port);
  client.socket.write(get('/before'));
  await client.until('/before');
  const draining = drain(t, { linger: 5_000 });
  client.socket.write('POST /early HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n01234');
  await client.until('/early');
  client.socket.write(`56789${get('/behind')}${get('/further')}`);
  assert.equal(await client.ended(), 'fin');
  await draining.done;
  assert.match(client.text, /\/early$/);
  assert.deepEqual(urls, ['/before', '/early']);
});

test('a client that does not close its half is waited for as long as an idle one', async (t) => {
  const port = await serving(t, (_req, res) => res.end('fine'));
  const client = await openBytes(t, port, { allowHalfOpen: true });
  client.socket.write(get());
  await client.until('fine');
  const draining = drain(t, { linger: 200 });
  client.socket.write(get());
  assert.equal(await client.ended(), 'fin');
  const took = await draining.done;
  assert.ok(took >= 200, `${took} ms`);
});

test('a client that reads slowly gets all of its answer', async (t) => {
  const length = 8_000_000;
  const port = await serving(t, (_req, res) => res.end(Buffer.alloc(length)));
  const client = await openBytes(t, port);
  const [entry] = servers.all;
  client.socket.pause();
  client.socket.write(get('/'));
  const written = (): number => [...(entry?.sockets ?? [])][0]?.writableLength ?? 0;
  await waitFor('an answer that cannot be sent at once', written, { until: (bytes) => bytes > 0 });
  const draining = drain(t, { linger: 20 });
  // Several looks at what is idle.
  const until = performance.now() + 200;
  await waitFor('the linger to be over', () => performance.now() > until);
  assert.equal(draining.over(), false);
  client.socket.resume();
  assert.equal(await client.ended(), 'fin');
  assert.ok(client.bytes.length > length);
  await draining.done;
});

test('a request that is pipelined during the drain takes the close from the one before it', async (t) => {
  const { port, waiting } = await holding(t);
  const client = await open(t, port);
  const first = client.request(get('/1'), timeout);
  await requests(waiting, 1);
  const draining = drain(t);
  const second = client.request(get('/2'), timeout);
  await requests(waiting, 2);
  for (const response of waiting) response.end('ok');
  assert.deepEqual([(await first).closing, (await second).closing], [false, true]);
  await draining.done;
});

test('an upload goes on to its end', async (t) => {
  const bodies: number[] = [];
  const port = await serving(t, (req, res) => {
    let length = 0;
    req.on('data', (chunk: Buffer) => {
      length += chunk.length;
    });
    req.on('end', () => {
      bodies.push(length);
      res.end(`${length} bytes`);
    });
  });
  const client = await open(t, port);
  const answer = client.request('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 40\r\n\r\n', timeout);
  client.write('x'.repeat(10));
  await waitFor('the request', () => servers.counts().inFlight === 1);
  const draining = drain(t, { linger: 50 });
  for (let part = 0; part < 3; part++) {
    await new Promise((resolve) => setTimeout(resolve, 60));
    client.write('x'.repeat(10));
  }
  assert.deepEqual([(await answer).body, (await answer).closing], ['40 bytes', true]);
  await draining.done;
});

test('a request whose head is still arriving is waited for', async (t) => {
  const port = await serving(t, (_req, res) => res.end('fine'));
  const client = await open(t, port);
  const answer = client.request('GET / HTTP/1.1\r\nHost: a\r\n', timeout);
  await waitFor('the connection', () =>
    servers.all.some(({ sockets }) => [...sockets].some((s) => s.bytesRead > 0)),
  );
  const draining = drain(t, { linger: 50 });
  await new Promise((resolve) => setTimeout(resolve, 150));
  assert.equal(draining.over(), false);
  client.write('X-Slow: yes\r\n\r\n');
  assert.equal((await answer).closing, true);
  await draining.done;
});

test('a stream of chunks goes on to its end', async (t) => {
  const { port, waiting } = await holding(t);
  const client = await open(t, port);
  const answer = client.request(get(), timeout);
  await requests(waiting, 1);
  waiting[0]?.write('one ');
  const draining = drain(t, { linger: 50 });
  for (const part of ['two ', 'three']) {
    await new Promise((resolve) => setTimeout(resolve, 60));
    waiting[0]?.write(part);
  }
  assert.equal(draining.over(), false);
  waiting[0]?.end();
  assert.equal((await answer).body, 'one two three');
  await draining.done;
});

test('HTTP/1.0 is drained, with keep-alive and without', async (t) => {
  const { port, waiting } = await holding(t);
  const [plain, kept] = [await openBytes(t, port), await openBytes(t, port)];
  plain.socket.write('GET / HTTP/1.0\r\n\r\n');
  kept.socket.write('GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n');
  await requests(waiting, 2);
  const draining = drain(t);
  for (const response of waiting) response.setHeader('Content-Length', 2).end('ok');
  for (const client of [plain, kept]) {
    assert.equal(await client.ended(), 'fin');
    assert.match(client.text, /Connection: close[\s\S]*ok$/i);
  }
  await draining.done;
});

test('a client that aborts does not hold the drain', async (t) => {
  const { port, waiting } = await holding(t);
  const client = await openBytes(t, port);
  client.socket.write(get());
  await requests(waiting, 1);
  const draining = drain(t);
  client.socket.destroy();
  await draining.done;
  assert.deepEqual(servers.counts().inFlight, 0);
});

test('a server of which nothing is left ends the drain at once', async (t) => {
  await serving(t, (_req, res) => res.end());
  assert.ok((await drain(t, { linger: long }).done) < long);
});

test('the last worker keeps newcomers waiting until every listener is closed, then serves them', async (t) => {
  let release = (): void => {};
  const closed = new Promise<void>((resolve) => {
    release = resolve;
  });
  const seen: string[] = [];
  const port = await serving(t, (req, res) => {
    seen.push(req.url ?? '');
    res.end('served');
  });
  let said = false;
  const draining = drain(t, {
    last: true,
    closed: () => {
      said = true;
      return closed;
    },
  });
  const client = await open(t, port);
  const answer = client.request(get('/newcomer'), timeout);
  await waitFor('the listener to close', () => said);
  assert.deepEqual(seen, [], 'not before the others have closed');
  release();
  assert.deepEqual([(await answer).body, (await answer).closing], ['served', true]);
  await draining.done;
});

test('a worker that never says that it has closed holds the others up for a moment only', async (t) => {
  const port = await serving(t, (_req, res) => res.end('served'));
  const draining = drain(t, { linger: 0, last: true, closed: () => new Promise(() => {}) });
  const client = await open(t, port);
  assert.equal((await client.request(get(), timeout)).body, 'served', 'even where nobody is to linger');
  await draining.done;
});

test('a server that the app closed itself drains too', async (t) => {
  const { waiting, port } = await holding(t);
  const client = await open(t, port);
  const answer = client.request(get(), timeout);
  await requests(waiting, 1);
  for (const server of servers.listening()) server.close();
  const draining = drain(t);
  waiting[0]?.end('ok');
  assert.equal((await answer).closing, true);
  await draining.done;
});

test('the app closes its server after the drain as if nobody had touched it', async (t) => {
  const server = createServer((_req, res) => res.end('ok'));
  // As graceful-shutdown libraries do it: before the drain, and past the instance.
  const close = Server.prototype.close.bind(server);
  const port = await listening(t, server);
  const address = server.address();
  const client = await open(t, port);
  await client.request(get(), timeout);
  let closes = 0;
  server.on('close', () => closes++);
  await drain(t).done;
  assert.deepEqual([server.listening, server.address(), closes], [true, address, 0]);
  const error = await new Promise((resolve) => close(resolve));
  assert.deepEqual([error, server.listening, server.address()], [undefined, false, null]);
  assert.equal(closes, 1);
  await assert.rejects(promisify(close)(), { code: 'ERR_SERVER_NOT_RUNNING' });
});

test('the app that closes its server during the drain hears of it once the connections are gone', async (t) => {
  const server = createServer({ keepAliveTimeout: 60_000 }, (_req, res) => res.end('ok'));
  const client = await open(t, await listening(t, server));
  await client.request(get(), timeout);
  const draining = drain(t, { linger: long });
  await waitFor('the listener to close', () => servers.listening().length === 0);
  const closed = promisify(Server.prototype.close).call(server);
  assert.equal(servers.counts().connections, 1);
  await client.request(get(), timeout);
  await closed;
  await draining.done;
});

test('a server that is disposed of after the drain closes without an error', async (t) => {
  const server = createServer((_req, res) => res.end('ok'));
  await listening(t, server);
  await drain(t).done;
  await server[Symbol.asyncDispose]();
  assert.equal(server.listening, false);
});

test('a server on a unix socket says the same address until the app closes it', async (t) => {
  const server = createServer((_req, res) => res.end('ok'));
  const path = join(await mkdtemp(join(tmpdir(), 'drain-')), 's');
  server.listen(path);
  await once(server, 'listening');
  await drain(t).done;
  assert.deepEqual([server.listening, server.address()], [true, path]);
  await promisify(server.close.bind(server))();
});
