import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type RawResponse, ResponseReader } from './http-reader.js';

const stream = [
  'HTTP/1.1 100 Continue\r\n\r\n',
  'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello',
  'HTTP/1.1 204 No Content\r\nX-A: 1\r\nx-a: 2\r\n\r\n',
  'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;x=y\r\n world\r\n0\r\n\r\n',
  'HTTP/1.1 503 Away\r\nContent-Length: 0\r\nConnection: Close\r\n\r\n',
].join('');

test('responses come out alike however the bytes are cut', () => {
  for (const size of [1, 2, 3, 7, 20, stream.length]) {
    const reader = new ResponseReader();
    const found: RawResponse[] = [];
    for (let at = 0; at < stream.length; at += size) {
      found.push(...reader.push(Buffer.from(stream.slice(at, at + size))));
    }
    const short = found.map(({ status, body, closing }) => [status, body, closing]);
    const wanted = [
      [200, 'hello', false],
      [204, '', false],
      [200, 'hello world', false],
      [503, '', true],
    ];
    assert.deepEqual(short, wanted, `in pieces of ${size}`);
    assert.equal(found[1]?.headers.get('x-a'), '1, 2');
    assert.equal(reader.midway, 0);
  }
});

test('a body without a length ends with the connection, one with a length does not', () => {
  const open = new ResponseReader();
  assert.deepEqual(open.push(Buffer.from('HTTP/1.1 200 OK\r\n\r\nbody')), []);
  assert.deepEqual([open.end()?.body, open.end()], ['body', null]);
  const cut = new ResponseReader();
  cut.push(Buffer.from('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nbody'));
  assert.equal(cut.end(), null);
  assert.ok(cut.midway > 0);
});

test('HTTP/1.0 closes unless it says keep-alive', () => {
  const closing = (field: string) =>
    new ResponseReader().push(Buffer.from(`HTTP/1.0 200 OK\r\nContent-Length: 0\r\n${field}\r\n`))[0]
      ?.closing;
  assert.deepEqual([closing(''), closing('Connection: keep-alive\r\n')], [true, false]);
});

test('what is not HTTP is an error', () => {
  const bad = [
    'SSH-2.0\r\n\r\n',
    'HTTP/1.1 200 OK\r\nnonsense\r\n\r\n',
    'HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n',
  ];
  for (const text of bad) assert.throws(() => new ResponseReader().push(Buffer.from(text)), Error, text);
});
