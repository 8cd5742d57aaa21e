import assert from 'node:assert/strict';
import { createServer, type ServerOptions } from 'node:http';
import { describe, type TestContext, test } from 'node:test';
import type { WorkerMessage } from '../../../../src/protocol/messages.js';
import { connectionOf } from '../../../../src/worker/connections/connections.js';
import { listenHandleOf } from '../../../../src/worker/node-internals/listening.js';
import type { Placed } from '../../../../src/worker/transfer/hand-on.js';
import { createHeadReader, createHeadScan, mostHeads } from '../../../../src/worker/transfer/read-head.js';
import { createSticky } from '../../../../src/worker/transfer/sticky.js';
import { waitFor } from '../../../support/wait.js';
import { openBytes } from '../byte-client.js';
import { desk, echo, get } from './hand-on-desk.js';

interface Place {
  readonly port: number;
  /** What was said to the master. */
  readonly sent: WorkerMessage[];
}

/** A server of worker 1, beside worker 2, with sticky sessions by the cookie `w`. */
async function sticky(t: TestContext, options: ServerOptions = {}): Promise<Place> {
  const place = await echo(t, createServer(options));
  const { handOn, sent } = desk(place, true);
  const seam = createSticky({ settings: { sticky: 'cookie', stickyCookie: 'w' }, handOn });
  seam.onListening(place.server);
  place.server.prependListener('request', ({ socket }, response) => {
    seam.onRequest(response, connectionOf(socket).socket);
  });
  seam.onWorkers({
    type: 'workers',
    own: 1,
    ready: [
      { key: 1, slot: 1 },
      { key: 2, slot: 2 },
    ],
  });
  t.after(() => seam.stop());
  return { port: place.port, sent };
}

/** All that a server says to this, and how it ends. */
async function answerTo(t: TestContext, port: number, parts: readonly (string | null)[]): Promise<string> {
  const client = await openBytes(t, port);
  client.socket.allowHalfOpen = true;
  for (const part of parts) {
    if (part === null) client.socket.end();
    else await new Promise((resolve) => client.socket.write(part, 'latin1', resolve));
  }
  const end = await client.ended();
  client.socket.destroy();
  return `${client.text.replace(/Date: .*/g, '')} ${end}`;
}

const own = 'Cookie: w=1.1\r\n';
const tooLong = `GET / HTTP/1.1\r\nX: ${'h'.repeat(20_000)}`;

const wrong: readonly [string, readonly (string | null)[]][] = [
  ['a line that is no request', ['GARBAGE\r\n']],
  ["the beginning of TLS's hello", ['\x16\x03\x01\x02\x00\x01\x00']],
  ['small letters', ['get / HTTP/1.1\r\n']],
  ['bare line feeds', ['GET / HTTP/1.1\nHost: x\n\n']],
  ['a field without a name', ['GET / HTTP/1.1\r\n: x\r\n']],
  ['a head that is too long', [tooLong]],
  ['an end within the head', ['GET / HTTP/1.1\r\nHo', null]],
  ['an end at once', [null]],
  ['an end behind a request', [`GET / HTTP/1.1\r\nHost: a\r\n${own}Connection: close\r\n\r\n`, null]],
];

describe('sticky sessions by cookie', { timeout: 60_000 }, () => {
  for (const [what, parts] of wrong) {
    test(`${what}: the server answers as it does without them`, async (t) => {
      const plain = await answerTo(t, (await echo(t)).port, parts);
      assert.equal(await answerTo(t, (await sticky(t)).port, parts), plain);
    });
  }

  for (const [what, text] of [
    ['half a head', 'GET / HTTP/1.1\r\nHo'],
    ['nothing', ''],
  ] as const) {
    test(`${what}, and no more: the server's own headersTimeout holds, from when the client came`, async (t) => {
      const { port } = await sticky(t, {
        headersTimeout: 300,
        requestTimeout: 60_000,
        connectionsCheckingInterval: 60_000,
      });
      const begun = performance.now();
      assert.match(await answerTo(t, port, [text]), /^HTTP\/1\.1 408 Request Timeout\r\n/);
      assert.ok(performance.now() - begun >= 300);
    });
  }

  test('a head in two halves is answered, and brings its client to its worker', async (t) => {
    const { port, sent } = await sticky(t);
    const client = await openBytes(t, port);
    client.socket.write('GET /mine HTTP/1.1\r\nHo');
    client.socket.write(`st: a\r\n${own}\r\n`);
    await client.until('[/mine]');
    const other = await openBytes(t, port);
    other.socket.write('POST /yours HTTP/1.1\r\nHost: a\r\nCook');
    other.socket.write('ie: w=2.2\r\nContent-Length: 4\r\n\r\nab');
    await waitFor('the connection to go', () => sent.length);
    const [message] = sent;
    assert.ok(message?.type === 'hand-on' && message.head !== null);
    assert.deepEqual([message.to, message.silence], [2, null]);
    assert.match(
      Buffer.from(message.head, 'base64').toString(),
      /^POST \/yours HTTP.*\r\nCookie: w=2\.2\r\n.*\r\n\r\nab$/s,
    );
  });

  test('half a head goes on in time to where its cookie says, with what is left of its time', async (t) => {
    const { port, sent } = await sticky(t, { headersTimeout: 60_000 });
    const client = await openBytes(t, port);
    client.socket.write('GET / HTTP/1.1\r\nCookie: w=2.2\r\nHo');
    await waitFor('the connection to go', () => sent.length);
    const [message] = sent;
    assert.ok(message?.type === 'hand-on' && message.silence !== null);
    assert.ok(message.silence <= 58_100 && message.silence > 0, `${message.silence}`);
  });

  test('a half head that was handed on is answered once the rest has come', async (t) => {
    const { port } = await sticky(t, { headersTimeout: 60_000 });
    const client = await openBytes(t, port);
    client.socket.write(`GET /slow HTTP/1.1\r\n${own}`);
    // Longer than it is read.
    const begun = performance.now();
    await waitFor('its time', () => performance.now() - begun, { until: (ms) => ms > 2_200 });
    client.socket.write('Host: a\r\n\r\n');
    await client.until('[/slow]');
    client.socket.write(get('/again'));
    await client.until('[/again]');
  });
});

describe('createHeadReader', { timeout: 60_000 }, () => {
  test('leaves most of the file descriptors to others', () => {
    assert.deepEqual([null, 1_048_576, 256].map(mostHeads), [1_000, 1_000, 64]);
  });

  test('reads so many at a time, and has the oldest placed beyond that', async (t) => {
    const { server, port } = await echo(t);
    const placed: Placed[] = [];
    const reader = createHeadReader((_server, each) => void placed.push(each), 2);
    const handle = listenHandleOf(server) ?? assert.fail();
    let came = 0;
    handle.onconnection = (_error, client) => {
      came++;
      if (client !== undefined) reader.read(server, client);
    };
    for (const count of [1, 2, 3]) {
      await openBytes(t, port);
      await waitFor('the connection', () => came, { until: (seen) => seen === count });
      assert.equal(placed.length, Math.max(0, count - 2));
    }
    reader.stop();
    assert.equal(placed.length, 3);
    for (const each of placed) each.handle.close();
  });
});

describe('createHeadScan', () => {
  const scan = (text: string, size = text.length): string => {
    const head = createHeadScan();
    for (let at = 0; at < text.length; at += size) head.add(Buffer.from(text.slice(at, at + size), 'latin1'));
    return head.result();
  };

  test('tells heads from what is none, in whatever pieces they come', () => {
    const heads = [
      get('/'),
      `\r\n\r\n${get('/')}body`,
      'M-SEARCH * HTTP/1.1\r\nX:\r\nY: \xff\r\n\r\n',
      'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
    ];
    const others = [
      'GARBAGE\r\n',
      '\x16\x03\x01',
      'GET / HTTP/1.1\n',
      'GET  / HTTP/1.1\r\n',
      'GET / HTTP/1.1\r\nX : y\r\n',
      'GET / HTTP/1.1\r\nX: y\r\n z\r\n',
      'GET / HTTP/1.1\r\nX: \0\r\n',
      'PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n',
    ];
    for (const size of [1, 3, 1_000]) {
      for (const text of heads) assert.equal(scan(text, size), 'complete', JSON.stringify(text));
      for (const text of others) assert.equal(scan(text, size), 'none', JSON.stringify(text));
      for (const text of ['', '\r', 'G', 'GET /', 'GET / HTTP/1.1\r\nHost: a\r\n', 'GET / HTTP/1.1\r\n\r'])
        assert.equal(scan(text, size), 'unfinished', JSON.stringify(text));
    }
  });
});
