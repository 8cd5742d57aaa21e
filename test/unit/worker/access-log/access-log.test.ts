import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import { connect as connectH2, createServer as createH2, type Http2Server } from 'node:http2';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { describe, type TestContext, test } from 'node:test';
import {
  type AccessLog,
  type AccessLogSeam,
  startAccessLog,
} from '../../../../src/worker/access-log/access-log.js';
import { trackServers } from '../../../../src/worker/connections/servers.js';
import { waitFor } from '../../../support/wait.js';

type Line = Parameters<AccessLogSeam['write']>[0];

/** Diagnostics channels are the process's: one log for all tests, whose settings and lines change. */
let lines: Line[] = [];
const settings = {
  format: 'json',
  file: null,
  sample: 100,
  errors: 'on',
  slow: 0,
  requestId: 'on',
  trustedProxies: [],
  redact: 'on',
} as const;
const servers = trackServers({});
let drawn = 0;
const log: AccessLog = startAccessLog({
  settings: { ...settings, sample: 50 },
  write: (line) => lines.push(line),
  random: () => drawn,
});
servers.observe({
  onListen: log.onListen,
  onUpgraded: (socket, request) => request !== undefined && log.onUpgraded(socket, request),
});

async function listening<S extends Server | Http2Server>(t: TestContext, server: S): Promise<number> {
  lines = [];
  drawn = 0;
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  return (server.address() as AddressInfo).port;
}

function written(count: number): Promise<readonly Line['fields'][]> {
  return waitFor(`${count} entries`, async () => lines.map(({ fields }) => fields), {
    until: (fields) => fields.length >= count,
    timeout: 60_000,
  });
}

/** Sends bytes, and resolves to all that comes until the server closes. */
function raw(port: number, text: string, { half = true } = {}): { socket: Socket; answer: Promise<string> } {
  const socket = connect(port, '127.0.0.1');
  let answer = '';
  socket.setEncoding('latin1').on('data', (chunk) => {
    answer += chunk;
  });
  socket.on('error', () => {});
  if (half) socket.end(text);
  else socket.write(text);
  return { socket, answer: once(socket, 'close').then(() => answer) };
}

const hello: RequestListener = (_req, res) => void res.end('hello');

describe('the access log', () => {
  test('has each request of a connection that is kept and pipelined, with the bytes of its body', async (t) => {
    const port = await listening(
      t,
      createServer((req, res) => res.end(req.url)),
    );
    const { answer } = raw(
      port,
      'GET /a?secret=1 HTTP/1.1\r\nHost: x\r\nReferer: http://y/?secret=1\r\n\r\nHEAD /bb HTTP/1.1\r\nHost: x\r\n\r\nGET /ccc HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n',
    );
    await answer;
    const entries = await written(3);
    assert.deepEqual(
      entries.map(({ method, path, status, bodyBytes, httpVersion }) => [
        method,
        path,
        status,
        bodyBytes,
        httpVersion,
      ]),
      [
        ['GET', '/a', 200, '/a?secret=1'.length, '1.1'],
        ['HEAD', '/bb', 200, 0, '1.1'],
        ['GET', '/ccc', 200, 4, '1.1'],
      ],
    );
    assert.doesNotMatch(JSON.stringify(entries), /secret/);
  });

  test('gives each request an id, which the app and the client find in their headers', async (t) => {
    const seen: unknown[] = [];
    const port = await listening(
      t,
      createServer((req, res) => {
        const place = req.rawHeaders.findLastIndex((name) => name.toLowerCase() === 'x-request-id');
        seen.push([req.headers['x-request-id'], req.rawHeaders[place + 1]]);
        res.end();
      }),
    );
    const trace = '0af7651916cd43dd8448eb211c80319c';
    const answer = await raw(
      port,
      `GET / HTTP/1.1\r\nHost: x\r\nX-Request-Id: mine-1\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\ntraceparent: 00-${trace}-b7ad6b7169203331-01\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\nX-Request-Id: "no id"\r\nConnection: close\r\n\r\n`,
    ).answer;
    const entries = await written(3);
    const ids = entries.map(({ requestId }) => requestId);
    assert.deepEqual(ids.slice(0, 2), ['mine-1', trace]);
    assert.match(String(ids[2]), /^[\da-f-]{36}$/);
    assert.equal(entries[1]?.traceId, trace);
    assert.deepEqual(
      seen,
      ids.map((id) => [id, id]),
    );
    assert.deepEqual(
      [...answer.matchAll(/^X-Request-Id: (.*)\r$/gm)].map(([, id]) => id),
      ids,
    );
  });

  test('has a request whose client did not wait, and those that waited behind it', async (t) => {
    let arrived = 0;
    const server = createServer(() => {
      arrived += 1;
    });
    const port = await listening(t, server);
    const text = 'GET /1x HTTP/1.1\r\nHost: x\r\n\r\nGET /2x HTTP/1.1\r\nHost: x\r\n\r\n';
    const { socket } = raw(port, text, { half: false });
    await waitFor('both requests', async () => arrived, { until: (count) => count === 2, timeout: 60_000 });
    socket.destroy();
    const entries = await written(2);
    assert.deepEqual(
      entries.map(({ aborted, status }) => [aborted, status]),
      [
        [true, undefined],
        [true, undefined],
      ],
    );
  });

  test('counts neither interim answers nor a second id', async (t) => {
    const port = await listening(
      t,
      createServer((_req, res) => {
        res.writeEarlyHints({ link: '</a.css>; rel=preload' });
        res.setHeader('X-Request-Id', 'of-the-app');
        res.end('hello');
      }),
    );
    const answer = await raw(port, 'GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n').answer;
    assert.match(answer, /^HTTP\/1\.1 103 /);
    assert.deepEqual(
      [...answer.matchAll(/X-Request-Id: (.*)\r/gi)].map(([, id]) => id),
      ['of-the-app'],
    );
    const [entry] = await written(1);
    assert.equal(entry?.status, 200);
  });

  test('has an upgraded connection once, when it ends', async (t) => {
    const server = createServer(hello);
    server.on('upgrade', (_req, socket) => {
      socket.end('HTTP/1.1 101 Switching Protocols\r\nUpgrade: chat\r\nConnection: Upgrade\r\n\r\nhi');
    });
    const port = await listening(t, server);
    await raw(port, 'GET /chat HTTP/1.1\r\nHost: x\r\nUpgrade: chat\r\nConnection: Upgrade\r\n\r\n').answer;
    const [entry, ...more] = await written(1);
    assert.deepEqual([entry?.path, entry?.upgrade, entry?.status, more], ['/chat', 'chat', undefined, []]);
  });

  test('has requests of HTTP/2, whose app finds their id', async (t) => {
    const server = createH2((req, res) => res.end(String(req.headers['x-request-id'])));
    const port = await listening(t, server);
    const session = connectH2(`http://127.0.0.1:${port}`);
    t.after(() => session.destroy());
    const stream = session.request({ ':path': '/h2?secret=1', 'user-agent': 'test' });
    const [body] = await once(stream.setEncoding('utf8'), 'data');
    const [entry] = await written(1);
    const { path, status, httpVersion, userAgent, requestId } = entry ?? {};
    assert.deepEqual([path, status, httpVersion, userAgent, requestId], ['/h2', 200, '2.0', 'test', body]);
  });

  test('has a sample of the requests, and all that failed', async (t) => {
    const server = createServer((req, res) => {
      drawn = 0.9;
      res.statusCode = req.url === '/bad' ? 503 : 200;
      res.end();
    });
    const port = await listening(t, server);
    await raw(
      port,
      'GET /good HTTP/1.1\r\nHost: x\r\n\r\nGET /bad HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n',
    ).answer;
    const entries = await written(1);
    assert.deepEqual(
      entries.map(({ path }) => path),
      ['/bad'],
    );
  });
});
