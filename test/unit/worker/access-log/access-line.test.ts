import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Access, accessFields, combinedLine } from '../../../../src/worker/access-log/access-line.js';

const access: Access = {
  at: Date.UTC(2026, 10, 7, 18, 6, 9, 120),
  client: '203.0.113.7',
  method: 'GET',
  target: '/orders/:id',
  httpVersion: '1.1',
  status: 200,
  bodyBytes: 512,
  tookMs: 12.345,
  aborted: false,
  upgrade: null,
  referer: 'https://example.org/a',
  userAgent: 'curl/8.5.0',
  requestId: 'abc-1',
  traceId: null,
};

describe('a line of the format combined', () => {
  test('has what Apache and nginx have in theirs', () => {
    assert.equal(
      combinedLine(access),
      '203.0.113.7 - - [07/Nov/2026:18:06:09 +0000] "GET /orders/:id HTTP/1.1" 200 512 "https://example.org/a" "curl/8.5.0"',
    );
  });

  test('has a dash for what is not known, and 499 for a client that did not wait for its answer', () => {
    const unknown = { client: null, status: null, bodyBytes: null, referer: null, userAgent: '' };
    assert.match(combinedLine({ ...access, ...unknown }), /^- - - \[.*\] "GET .*" - - "-" "-"$/);
    assert.match(combinedLine({ ...access, ...unknown, aborted: true }), / 499 - "-" "-"$/);
  });

  test('cannot be broken or forged by what a client sends', () => {
    const line = combinedLine({
      ...access,
      target: '/a"b\\c',
      userAgent: 'x"\n127.0.0.1 - - [forged]\u0000\u007fé\u2028😀',
    });
    assert.match(line, /"GET \/a\\x22b\\x5Cc HTTP/);
    assert.ok(
      line.endsWith(
        '"x\\x22\\x0A127.0.0.1 - - [forged]\\x00\\x7F\\xC3\\xA9\\xE2\\x80\\xA8\\xF0\\x9F\\x98\\x80"',
      ),
      line,
    );
    assert.doesNotMatch(line, /\n/);
  });
});

test('the fields leave out what says nothing', () => {
  assert.deepEqual(accessFields(access), {
    client: '203.0.113.7',
    method: 'GET',
    path: '/orders/:id',
    httpVersion: '1.1',
    status: 200,
    bodyBytes: 512,
    tookMs: 12.3,
    referer: 'https://example.org/a',
    userAgent: 'curl/8.5.0',
    requestId: 'abc-1',
  });
  const bare = {
    client: null,
    status: null,
    bodyBytes: null,
    referer: null,
    userAgent: null,
    requestId: null,
  };
  assert.deepEqual(accessFields({ ...access, ...bare, aborted: true, upgrade: 'websocket' }), {
    method: 'GET',
    path: '/orders/:id',
    httpVersion: '1.1',
    tookMs: 12.3,
    aborted: true,
    upgrade: 'websocket',
  });
});
