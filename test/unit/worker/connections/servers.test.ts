import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import { connect as connectHttp2, createServer as createH2cServer, createSecureServer } from 'node:http2';
import { createServer as createHttpsServer } from 'node:https';
import { type AddressInfo, createServer as createTcpServer, type Server } from 'node:net';
import { Duplex } from 'node:stream';
import test, { type TestContext } from 'node:test';
import { createServer as createTlsServer } from 'node:tls';
import { trackServers, urlOf } from '../../../../src/worker/connections/servers.js';
import { ask } from '../../../support/net.js';
import { waitFor } from '../../../support/wait.js';
import { type ByteClient, openBytes, openTls } from '../byte-client.js';
import { certificate } from '../certificate.js';
import { listening, servers } from '../tracking.js';

const get = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';
const upgrade = 'GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\n\r\n';

function nothingLeft(): Promise<unknown> {
  return waitFor('the counts to fall to zero', servers.counts, {
    until: ({ inFlight, connections }) => inFlight === 0 && connections === 0,
  });
}

function entryOf(server: Server) {
  const entry = servers.all.find((tracked) => tracked.server === server);
  if (entry === undefined) throw new Error('the server is not tracked');
  return entry;
}

test('a server is found when it listens, and forgotten when it is closed', async (t) => {
  const server = createServer();
  assert.deepEqual(servers.all, []);
  await listening(t, server);
  assert.deepEqual(servers.listening(), [server]);
  server.close();
  await once(server, 'close');
  assert.deepEqual(servers.all, [], 'an app that opens and closes servers all day would fill the memory');
});

test('a server that listens again after it was closed is found again, once', async (t) => {
  const server = createServer((_req, res) => res.end('again'));
  await listening(t, server);
  server.close();
  await once(server, 'close');
  const port = await listening(t, server);
  const client = await openBytes(t, port);
  client.socket.write(get);
  await client.until('again');
  assert.equal(servers.all.length, 1);
  assert.equal(servers.counts().connections, 1);
  client.socket.destroy();
  await nothingLeft();
});

test('several servers are counted together', async (t) => {
  const waiting: ServerResponse[] = [];
  const ports = [
    await listening(
      t,
      createServer((_req, res) => void waiting.push(res)),
    ),
    await listening(
      t,
      createServer((_req, res) => void waiting.push(res)),
    ),
  ];
  const before = servers.counts();
  const answers = ports.map((port) => ask({ port, path: '/' }));
  await waitFor('both requests', () => waiting.length === 2);
  const { requests, accepted, inFlight, connections } = servers.counts();
  assert.deepEqual([requests - before.requests, accepted - before.accepted], [2, 2]);
  assert.deepEqual([inFlight, connections], [2, 2]);
  for (const response of waiting) response.end();
  await Promise.all(answers);
  await nothingLeft();
});

test('the counts fall to zero after requests that the client aborted', async (t) => {
  const waiting: ServerResponse[] = [];
  const port = await listening(
    t,
    createServer((_req, res) => void waiting.push(res)),
  );
  const clients = [await openBytes(t, port), await openBytes(t, port)];
  for (const { socket } of clients) socket.write(get + get);
  await waitFor('four requests', () => servers.counts().inFlight === 4);
  clients[0]?.socket.destroy();
  clients[1]?.socket.resetAndDestroy();
  await nothingLeft();
});

test('https, http2 and raw servers are counted', async (t) => {
  const tls = await certificate();
  const cases: [Server, string[]][] = [
    [createHttpsServer(tls, (_req, res) => res.end('ok')), []],
    [createSecureServer({ ...tls, allowHTTP1: true }, (_req, res) => res.end('ok')), ['http/1.1']],
    [createTlsServer(tls, (socket) => socket.on('error', () => {}).pipe(socket)), []],
  ];
  for (const [server, protocols] of cases) {
    const client = await openTls(t, await listening(t, server), protocols);
    client.socket.write(get);
    await client.until('\r\n\r\n');
    assert.equal(servers.counts().connections, 1, server.constructor.name);
    client.socket.destroy();
    await nothingLeft();
  }
  const client = await openBytes(t, await listening(t, createTcpServer()));
  await waitFor('the connection', () => servers.counts().connections === 1);
  client.socket.destroy();
  await nothingLeft();
});

test('the streams of http2 are requests, h2c and over TLS', async (t) => {
  for (const server of [createH2cServer(), createSecureServer(await certificate())]) {
    let answer = (): void => {};
    server.on('stream', (stream) => {
      answer = () => stream.end('ok');
    });
    const port = await listening(t, server);
    const scheme = 'setSecureContext' in server ? 'https' : 'http';
    const session = connectHttp2(`${scheme}://127.0.0.1:${port}`, { rejectUnauthorized: false });
    const before = servers.counts().requests;
    const stream = session.request({ ':path': '/' });
    await waitFor('the stream', () => servers.counts().inFlight === 1);
    assert.equal(servers.counts().requests, before + 1);
    const other = session.request({ ':path': '/aborted' });
    await waitFor('the other', () => servers.counts().inFlight === 2);
    other.on('error', () => {}).close();
    await waitFor('its end', () => servers.counts().inFlight === 1);
    answer();
    stream.destroy();
    session.destroy();
    await nothingLeft();
  }
});

test('requests of a server that never listens but is handed connections are counted', async (t) => {
  const waiting: ServerResponse[] = [];
  const http = createServer((_req, res) => void waiting.push(res));
  const front = createTcpServer((socket) => void http.emit('connection', socket));
  const client = await openBytes(t, await listening(t, front));
  for (const count of [1, 2]) {
    client.socket.write(get);
    await waitFor('the request', () => waiting.length === count);
    assert.equal(servers.counts().inFlight, 1);
    assert.equal(servers.counts().connections, 1, 'counted once, although two servers know it');
    waiting[count - 1]?.end(`through ${count}`);
    await client.until(`through ${count}`);
  }
  client.socket.destroy();
  await nothingLeft();
});

for (const when of ['before', 'after'] as const) {
  test(`an upgrade is noted where its listener was added ${when} listen()`, async (t) => {
    const server = createServer();
    const accept = () => {
      server.on('upgrade', (_req, socket) => {
        socket.on('error', () => {}).on('end', () => socket.end());
        socket.resume().write('HTTP/1.1 101 Switching Protocols\r\n\r\n');
      });
    };
    if (when === 'before') accept();
    const port = await listening(t, server);
    if (when === 'after') accept();
    const client = await upgraded(t, port);
    assert.deepEqual(protocolsOf(server), ['websocket']);
    client.socket.destroy();
    await waitFor('it to be forgotten', () => entryOf(server).upgraded.size === 0);
  });
}

test('an app without a listener for upgrades goes on answering them as plain requests', async (t) => {
  const server = createServer((_req, res) => res.end('no WebSockets here'));
  const port = await listening(t, server);
  const listener = () => {};
  assert.equal(server.listenerCount('upgrade'), 0);
  server.on('upgrade', listener);
  server.removeListener('upgrade', listener);
  assert.equal(server.listenerCount('upgrade'), 0);
  const client = await openBytes(t, port);
  client.socket.write(upgrade);
  await client.until('no WebSockets here');
});

test('CONNECT is noted as an upgrade', async (t) => {
  const server = createServer().on('connect', (_req, socket) => socket.write('HTTP/1.1 200 OK\r\n\r\n'));
  const client = await openBytes(t, await listening(t, server));
  client.socket.write('CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n');
  await client.until('200 OK');
  assert.deepEqual(protocolsOf(server), ['connect']);
});

test('bytes of connections that are over still count', async (t) => {
  const port = await listening(
    t,
    createServer((_req, res) => res.end('x'.repeat(1_000))),
  );
  const before = servers.bytesWritten();
  await ask({ port, path: '/' });
  await nothingLeft();
  assert.ok(servers.bytesWritten() - before >= 1_000);
});

test('a listen() that fails is over, and says why, although the app kept the error to itself', async (t) => {
  const port = await listening(t, createServer());
  const server = createServer();
  const failed = once(server, 'error');
  server.listen(port, '127.0.0.1');
  await failed;
  assert.equal(servers.pending(), 0);
  assert.equal((servers.listenError() as NodeJS.ErrnoException | null)?.code, 'EADDRINUSE');
});

test('an app without a listener for the errors of its server has none afterwards', async (t) => {
  const server = createServer();
  await listening(t, server);
  assert.equal(server.listenerCount('error'), 0, 'or an error would no longer be thrown');
});

test('how many listeners are being opened is told, also where the server is closed before', async (t) => {
  const server = createServer();
  const told: number[] = [];
  trackServers({ onPending: (count) => told.push(count) });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  assert.deepEqual(told, [1, 0]);
  const early = createServer();
  early.listen({ port: 0, host: 'localhost' }).close();
  await once(early, 'close');
  assert.deepEqual(told, [1, 0, 1, 0]);
});

test('a server is named by its URL', async (t) => {
  const tls = await certificate();
  const cases: [Server, string][] = [
    [createServer(), 'http'],
    [createHttpsServer(tls), 'https'],
    [createH2cServer(), 'http'],
    [createSecureServer(tls), 'https'],
    [createTcpServer(), 'tcp'],
    [createTlsServer(tls), 'tls'],
  ];
  for (const [server, scheme] of cases) {
    const port = await listening(t, server);
    assert.equal(urlOf(server), `${scheme}://127.0.0.1:${port}`);
  }
  const everywhere = createServer().listen(0);
  await once(everywhere, 'listening');
  t.after(() => everywhere.close());
  assert.equal(urlOf(everywhere), `http://localhost:${(everywhere.address() as AddressInfo).port}`);
});

function protocolsOf(server: Server): string[] {
  return [...entryOf(server).upgraded.values()].map(({ protocol }) => protocol);
}

async function upgraded(t: TestContext, port: number): Promise<ByteClient> {
  const client = await openBytes(t, port);
  client.socket.write(upgrade);
  await client.until('\r\n\r\n');
  return client;
}

test('a stream without counts, given to a server for a connection, leaves the count of bytes a number', async (t) => {
  const server = createServer((_request, response) => response.end('x'));
  await listening(t, server);
  const { clientSide, serverSide } = duplexPair();
  server.emit('connection', serverSide);
  clientSide.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  await once(clientSide, 'data');
  assert.ok(Number.isFinite(servers.bytesWritten()));
  serverSide.destroy();
  await nothingLeft();
  assert.ok(Number.isFinite(servers.bytesWritten()));
});

/** Two streams, each of which reads what is written to the other; no sockets. */
function duplexPair(): { readonly clientSide: Duplex; readonly serverSide: Duplex } {
  const make = (other: () => Duplex): Duplex =>
    new Duplex({
      read: () => {},
      write: (chunk, _encoding, done) => {
        other().push(chunk);
        done();
      },
    });
  const clientSide: Duplex = make(() => serverSide);
  const serverSide: Duplex = make(() => clientSide);
  return { clientSide, serverSide };
}
