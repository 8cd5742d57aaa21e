import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  createServer as createH2cServer,
  createSecureServer,
  type Http2ServerResponse,
} from 'node:http2';
import { createServer as createHttpsServer } from 'node:https';
import { createServer as createTcpServer } from 'node:net';
import type { Duplex } from 'node:stream';
import test, { type TestContext } from 'node:test';
import { waitFor } from '../../../support/wait.js';
import { type ByteClient, openBytes, openTls } from '../byte-client.js';
import { certificate } from '../certificate.js';
import { drain, listening, servers } from '../tracking.js';

const goingAway = Buffer.from([0x88, 0x02, 0x03, 0xe9]);
const upgrade = (protocol: string) =>
  `GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: ${protocol}\r\n\r\n`;
const switching = 'HTTP/1.1 101 Switching Protocols\r\n\r\n';
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** A server that upgrades every connection, at once or after `delay` ms. */
function upgrading(t: TestContext, delay = 0): Promise<number> {
  const server = createServer({ keepAliveTimeout: 60_000 }, (_req, res) => res.end('plain'));
  server.on('upgrade', (_req, socket) => {
    socket.on('error', () => {}).on('end', () => socket.end());
    if (delay === 0) socket.write(switching);
    else setTimeout(() => socket.write(switching), delay);
  });
  return listening(t, server);
}

async function upgraded(t: TestContext, port: number, protocol: string): Promise<ByteClient> {
  const client = await openBytes(t, port);
  client.socket.write(upgrade(protocol));
  await client.until('\r\n\r\n');
  return client;
}

test('a WebSocket is told 1001 and may finish by itself', async (t) => {
  const client = await upgraded(t, await upgrading(t), 'websocket');
  const draining = drain(t, { linger: 50 });
  await client.until(goingAway);
  await pause(150);
  assert.equal(draining.over(), false, 'its end is up to the app and the client');
  client.socket.end();
  await draining.done;
  assert.equal(client.bytes.indexOf(goingAway), client.bytes.lastIndexOf(goingAway), 'told once');
});

test('a WebSocket is told nothing while the drain is patient, and 1001 once it is not', async (t) => {
  const client = await upgraded(t, await upgrading(t), 'websocket');
  let patient = true;
  const draining = drain(t, { linger: 50, isPatient: () => patient });
  await pause(150);
  assert.deepEqual([client.text, client.end, draining.over()], [switching, null, false]);
  patient = false;
  await client.until(goingAway);
  client.socket.end();
  await draining.done;
});

test('a WebSocket is left to the app where that is configured', async (t) => {
  const client = await upgraded(t, await upgrading(t), 'websocket');
  const draining = drain(t, { linger: 50, closeWebSockets: false });
  await pause(150);
  assert.equal(client.text, switching);
  client.socket.end();
  await draining.done;
});

test('what is upgraded to another protocol is left alone', async (t) => {
  const client = await upgraded(t, await upgrading(t), 'my-protocol');
  const draining = drain(t, { linger: 50 });
  await pause(150);
  assert.deepEqual([client.text, client.end, draining.over()], [switching, null, false]);
  client.socket.end();
  await draining.done;
});

test('a WebSocket whose handshake the app has not answered yet is told after the answer', async (t) => {
  const port = await upgrading(t, 100);
  const client = await openBytes(t, port);
  client.socket.write(upgrade('websocket'));
  await waitFor('the upgrade', () => servers.all.some(({ upgraded }) => upgraded.size === 1));
  const draining = drain(t, { linger: 50 });
  await client.until(goingAway);
  assert.deepEqual(client.bytes, Buffer.concat([Buffer.from(switching), goingAway]));
  client.socket.end();
  await draining.done;
});

test('a WebSocket that begins during the drain, on a connection that was kept, is told too', async (t) => {
  const client = await openBytes(t, await upgrading(t));
  client.socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  await client.until('plain');
  const draining = drain(t, { linger: 5_000 });
  client.socket.write(upgrade('websocket'));
  await client.until(goingAway);
  client.socket.end();
  await draining.done;
});

test('at a stop a WebSocket is told once nobody is let in any more', async (t) => {
  const server = createServer((_req, res) => res.end('plain'));
  const app = new Promise<Duplex>((resolve) => {
    server.on('upgrade', (_req, socket) => {
      socket.on('error', () => {}).on('end', () => socket.end());
      socket.write(switching);
      resolve(socket);
    });
  });
  const client = await upgraded(t, await listening(t, server), 'websocket');
  const frame = Buffer.from([0x82, 0x01, 0x07]);
  const closed = async () => void (await app).write(frame);
  const draining = drain(t, { linger: 50, last: true, closed });
  await client.until(goingAway);
  assert.deepEqual(client.bytes, Buffer.concat([Buffer.from(switching), frame, goingAway]));
  client.socket.end();
  await draining.done;
});

test('a raw TCP connection is waited for', async (t) => {
  const server = createTcpServer((socket) => socket.on('error', () => {}).pipe(socket));
  const client = await openBytes(t, await listening(t, server));
  await waitFor('the connection', () => servers.counts().connections === 1);
  const draining = drain(t, { linger: 20 });
  await pause(100);
  client.socket.write('still there?');
  await client.until('still there?');
  assert.equal(draining.over(), false);
  client.socket.end();
  await draining.done;
});

test('over TLS an idle connection gets its linger, and its next request is told to close', async (t) => {
  const server = createHttpsServer({ ...(await certificate()), keepAliveTimeout: 60_000 }, (_req, res) => {
    res.end('secret');
  });
  const port = await listening(t, server);
  const [idle, busy] = [await openTls(t, port), await openTls(t, port)];
  for (const client of [idle, busy]) {
    client.socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    await client.until('secret');
  }
  const draining = drain(t, { linger: 150 });
  busy.socket.write('GET /2 HTTP/1.1\r\nHost: a\r\n\r\n');
  await busy.until('Connection: close');
  assert.ok((await draining.done) >= 150);
  assert.equal(await idle.ended(), 'fin');
});

test('a TLS handshake that is under way is waited for', async (t) => {
  const server = createHttpsServer(await certificate(), (_req, res) => res.end('secret'));
  const port = await listening(t, server);
  const raw = await openBytes(t, port);
  await waitFor('the connection', () => servers.counts().connections === 1);
  const draining = drain(t, { linger: 150 });
  await pause(30);
  assert.equal(draining.over(), false);
  raw.socket.destroy();
  await draining.done;
});

test('a connection on which no TLS handshake ever begins is closed after the linger', async (t) => {
  const server = createHttpsServer(await certificate(), (_req, res) => res.end('secret'));
  const raw = await openBytes(t, await listening(t, server));
  await waitFor('the connection', () => servers.counts().connections === 1);
  assert.ok((await drain(t, { linger: 150 }).done) >= 150);
  await raw.ended();
});

for (const kind of ['h2c', 'h2'] as const) {
  test(`an HTTP/2 session (${kind}) gets GOAWAY, and its streams finish`, async (t) => {
    const { session, answer } = await http2(t, kind);
    const goaway = new Promise<number>((resolve) => session.once('goaway', resolve));
    const stream = session.request({ ':path': '/' });
    const body = bodyOf(stream);
    const response = await answer();
    const draining = drain(t);
    assert.equal(await goaway, 0);
    assert.equal(draining.over(), false);
    response.end('finished');
    assert.equal(await body, 'finished');
    await draining.done;
  });

  test(`a request that a client sends before it hears of the drain is answered (${kind})`, async (t) => {
    const { session, answer } = await http2(t, kind);
    await waitFor('the session', () => servers.all.some(({ sessions }) => sessions.size === 1));
    const draining = drain(t, { linger: 1_000 });
    const body = bodyOf(session.request({ ':path': '/' }));
    (await answer()).end('not refused');
    assert.equal(await body, 'not refused');
    await draining.done;
  });

  test(`a client that asks again and again is told while it waits for an answer (${kind})`, async (t) => {
    const { session, answer } = await http2(t, kind);
    await waitFor('the session', () => servers.all.some(({ sessions }) => sessions.size === 1));
    let told = false;
    session.once('goaway', () => {
      told = true;
    });
    const draining = drain(t, { linger: 10_000 });
    await waitFor('the listener to close', () => servers.listening().length === 0);
    // Several sweeps, and what they write would be there.
    await pause(150);
    assert.equal(told, false, 'not while it may have a request of its own in its queue');
    const body = bodyOf(session.request({ ':path': '/' }));
    const response = await answer();
    await waitFor('GOAWAY', () => told);
    response.end('answered behind it');
    assert.equal(await body, 'answered behind it');
    await draining.done;
  });

  test(`an HTTP/2 session (${kind}) with nothing to do ends at once`, async (t) => {
    const { session } = await http2(t, kind);
    await waitFor('the session', () => servers.all.some(({ sessions }) => sessions.size === 1));
    const closed = new Promise((resolve) => session.once('close', resolve));
    await drain(t, { linger: 50 }).done;
    await closed;
  });
}

test('an HTTP/2 session that begins during the drain is told too', async (t) => {
  const server = createSecureServer(await certificate(), (_req, res) => res.end('ok'));
  const port = await listening(t, server);
  const session = connect(`https://127.0.0.1:${port}`, { rejectUnauthorized: false });
  session.on('error', () => {});
  t.after(() => session.destroy());
  await new Promise((resolve) => server.once('connection', resolve));
  const goaway = new Promise<number>((resolve) => session.once('goaway', resolve));
  const draining = drain(t, { linger: 1_000 });
  assert.equal(await goaway, 0);
  await draining.done;
});

test('an idle HTTP/1.1 connection of an HTTP/2 server is closed after the linger', async (t) => {
  const server = createSecureServer({ ...(await certificate()), allowHTTP1: true }, (_req, res) => {
    res.end('old');
  });
  const client = await openTls(t, await listening(t, server), ['http/1.1']);
  client.socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  await client.until('old');
  const took = await drain(t, { linger: 150 }).done;
  assert.ok(took >= 150, `${took} ms`);
  await client.ended();
});

test('at a stop HTTP/2 clients open streams until nobody is let in any more', async (t) => {
  const server = createH2cServer((_req, res) => res.end('ok'));
  const session = connect(`http://127.0.0.1:${await listening(t, server)}`);
  t.after(() => session.destroy());
  let gone = false;
  session
    .on('error', () => {})
    .on('goaway', () => {
      gone = true;
    });
  const ask = async () => {
    const stream = session.request({ ':path': '/' }).resume();
    const [headers] = await once(stream, 'response');
    await once(stream, 'close');
    return headers[':status'];
  };
  assert.equal(await ask(), 200);
  let before: unknown = null;
  const closed = async () => {
    // Two of them: the first one is the moment at which a client is told.
    before = [await ask(), await ask(), gone];
  };
  const draining = drain(t, { linger: 50, last: true, closed });
  await draining.done;
  assert.deepEqual(before, [200, 200, false]);
});

for (const answers of [true, false]) {
  const client = `a client that answers ${answers ? 'a' : 'no'} ping`;
  test(`${client} is told to open no more streams, and then which was the last`, async (t) => {
    const server = createH2cServer((_req, res) => res.end('ok'));
    const client = await openBytes(t, await listening(t, server));
    // The preface and empty SETTINGS (RFC 9113, section 3.4).
    client.socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
    client.socket.write(Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]));
    await client.until(Buffer.from([4]));
    const draining = drain(t, { linger: 50 });
    if (answers) {
      const ping = await waitFor('a ping', () => framesOf(client).find(({ type }) => type === 6));
      client.socket.write(
        Buffer.concat([Buffer.from([0, 0, 8, 6, 1, 0, 0, 0, 0]), ping?.payload ?? Buffer.of()]),
      );
    }
    await draining.done;
    const last = framesOf(client).flatMap(({ type, payload }) =>
      type === 7 ? [payload.readUInt32BE(0)] : [],
    );
    // Node says the second as it closes the session and once more as it ends it.
    assert.deepEqual([last[0], [...new Set(last.slice(1))]], [2 ** 31 - 1, [0]]);
    await client.ended();
  });
}

function framesOf({ bytes }: ByteClient): { type: number; payload: Buffer }[] {
  const frames: { type: number; payload: Buffer }[] = [];
  for (let at = 0; at + 9 <= bytes.length; ) {
    const end = at + 9 + bytes.readUIntBE(at, 3);
    frames.push({ type: bytes.readUInt8(at + 3), payload: bytes.subarray(at + 9, end) });
    at = end;
  }
  return frames;
}

interface Http2Setup {
  readonly session: ClientHttp2Session;
  /** The response that the server is to send. */
  answer(): Promise<Http2ServerResponse>;
}

async function http2(t: TestContext, kind: 'h2' | 'h2c'): Promise<Http2Setup> {
  const responses: Http2ServerResponse[] = [];
  const server = kind === 'h2c' ? createH2cServer() : createSecureServer(await certificate());
  server.on('request', (_req, res) => responses.push(res));
  const port = await listening(t, server);
  const scheme = kind === 'h2c' ? 'http' : 'https';
  const session = connect(`${scheme}://127.0.0.1:${port}`, { rejectUnauthorized: false });
  t.after(() => session.destroy());
  await new Promise((resolve, reject) => session.once('connect', resolve).once('error', reject));
  return {
    session,
    answer: async () => {
      await waitFor('a request', () => responses.length > 0);
      const [response] = responses;
      if (response === undefined) throw new Error('no request');
      return response;
    },
  };
}

function bodyOf(stream: ClientHttp2Stream): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    stream.setEncoding('utf8');
    stream.on('data', (chunk: string) => {
      text += chunk;
    });
    stream.on('end', () => resolve(text)).on('error', reject);
  });
}
