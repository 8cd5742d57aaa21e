import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { onClientError } from '../../../src/http/client-error.js';
import { listening, type RawAnswer, raw, serving } from './serving.js';

test('bytes that are not HTTP are answered with 400, and the connection is closed', async (t) => {
  const { port } = await serving(t);
  const requests = [
    'hello\r\n\r\n',
    'BREW /pot HTTP/1.1\r\nHost: x\r\n\r\n',
    'GET / HTTP/9.9\r\n\r\n',
    'GET /healthz HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n',
    'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n',
    Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03]),
  ];
  for (const bytes of requests) {
    assertRefusal(await raw(port, bytes), 'HTTP/1.1 400 Bad Request', 'bad_request');
  }
});

test('headers that are too large are answered with 431, however much is still being sent', async (t) => {
  const { port } = await serving(t);
  for (const size of [20_000, 5_000_000]) {
    const answer = await raw(port, `GET / HTTP/1.1\r\nHost: x\r\nX-Big: ${'x'.repeat(size)}`);
    assertRefusal(answer, 'HTTP/1.1 431 Request Header Fields Too Large', 'headers_too_large');
  }
});

test('a request line that is too large is answered with 431', async (t) => {
  const { port } = await serving(t);
  const answer = await raw(port, `GET /${'x'.repeat(20_000)} HTTP/1.1\r\nHost: x\r\n\r\n`);
  assertRefusal(answer, 'HTTP/1.1 431 Request Header Fields Too Large', 'headers_too_large');
});

test('chunk extensions that are too large are answered with 413', async (t) => {
  const server = http.createServer((req) => req.resume()).on('clientError', onClientError);
  const port = await listening(t, server);
  const head = 'POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n';
  const answer = await raw(port, `${head}2;${'a'.repeat(20_000)}\r\nAA\r\n0\r\n\r\n`);
  assertRefusal(answer, `HTTP/1.1 413 ${http.STATUS_CODES[413]}`, 'content_too_large');
});

test('a request that does not arrive in time is answered with 408', async (t) => {
  const server = http.createServer({ headersTimeout: 50, connectionsCheckingInterval: 20 });
  const port = await listening(t, server.on('clientError', onClientError));
  const answer = await raw(port, 'GET /healthz HTTP/1.1\r\nHost');
  assertRefusal(answer, 'HTTP/1.1 408 Request Timeout', 'request_timeout');
});

test('a response that has begun is not written into', async (t) => {
  const server = http.createServer((_req, res) => {
    res.writeHead(200, { 'Content-Length': 10 });
    res.write('first');
  });
  const port = await listening(t, server.on('clientError', onClientError));
  const text = await garbageAfterAnswer(port);
  assert.match(text, /^HTTP\/1.1 200 OK\r\n.*\r\n\r\nfirst$/s);
});

test('garbage after an answered request gets a 400 of its own', async (t) => {
  const { port } = await serving(t);
  const text = await garbageAfterAnswer(port);
  assert.deepEqual(text.match(/HTTP\/1.1 \d+/g), ['HTTP/1.1 200', 'HTTP/1.1 400']);
});

test('a client that reads only after it has sent everything still gets its answer', {
  timeout: 10_000,
}, async (t) => {
  const { port, server } = await serving(t);
  const socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  for (let chunk = 0; chunk < 5; chunk++) {
    const refused = once(server, 'clientError');
    await sent(socket, 'garbage\r\n\r\n');
    await refused;
  }
  socket.end();
  let text = '';
  for await (const chunk of socket) text += String(chunk);
  assert.match(text, /^HTTP\/1.1 400 Bad Request\r\n/);
});

test('a client that goes on sending is cut off', { timeout: 10_000 }, async (t) => {
  const { port } = await serving(t);
  const socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  const sending = setInterval(() => socket.write('x'), 20);
  socket.on('error', () => {});
  socket.write('garbage\r\n\r\n');
  socket.resume();
  await new Promise((resolve) => socket.once('close', resolve));
  clearInterval(sending);
});

test('a connection that was reset gets nothing', () => {
  const socket = new PassThrough();
  onClientError(Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' }), socket);
  assert.equal(socket.read(), null);
  assert.equal(socket.destroyed, true);
});

test('a connection that can no longer be written to gets nothing', (t) => {
  const socket = new PassThrough();
  const end = t.mock.method(socket, 'end');
  socket.destroy();
  onClientError(new Error('Parse Error'), socket);
  assert.equal(end.mock.callCount(), 0);
});

/** Sends a request, and bytes that are no request once the answer to it arrives. Everything received. */
async function garbageAfterAnswer(port: number): Promise<string> {
  const socket = net.connect(port, '127.0.0.1');
  socket.write('GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n');
  let text = '';
  for await (const chunk of socket) {
    if (text === '') socket.write('\0garbage\r\n\r\n');
    text += String(chunk);
  }
  return text;
}

/** Resolves once the kernel has taken the bytes. */
function sent(socket: net.Socket, bytes: string): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.write(bytes, (error) => (error ? reject(error) : resolve()));
  });
}

function assertRefusal(answer: RawAnswer, statusLine: string, code: string): void {
  assert.equal(answer.statusLine, statusLine);
  assert.equal(answer.headers.get('connection'), 'close');
  assert.equal(answer.headers.get('content-type'), 'application/json; charset=utf-8');
  assert.equal(answer.headers.get('content-length'), String(answer.body.length));
  assert.equal(JSON.parse(answer.body).error.code, code);
}
