import assert from 'node:assert/strict';
import type { IncomingMessage } from 'node:http';
import { test } from 'node:test';
import { eligible, isRouted } from '../../../../src/worker/mirror/eligible.js';

function request(method: string, url: string, fields: Record<string, string> = {}): IncomingMessage {
  const all = { Host: 'a.example', ...fields };
  const headers = Object.fromEntries(Object.entries(all).map(([name, value]) => [name.toLowerCase(), value]));
  return { method, url, headers, rawHeaders: Object.entries(all).flat() } as IncomingMessage;
}

const rules = { routes: [], credentials: false };

test('GET and HEAD without a body and without credentials may be mirrored, with their query', () => {
  assert.deepEqual(eligible(request('GET', '/a?b=1', { Accept: '*/*', Connection: 'close' }), rules), {
    method: 'GET',
    url: '/a?b=1',
    headers: ['Host', 'a.example', 'Accept', '*/*'],
  });
  assert.notEqual(eligible(request('HEAD', '/', { 'User-Agent': 'x', 'Sec-Fetch-User': '?1' }), rules), null);
  for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH'])
    assert.equal(eligible(request(method, '/'), rules), null);
});

test('no request with a body, an upgrade, the mark of a mirror or credentials is mirrored, but for those that are allowed', () => {
  for (const name of ['Transfer-Encoding', 'Upgrade', 'Expect', 'X-Rom-Agent-Mirror', 'Content-Length'])
    assert.equal(eligible(request('GET', '/', { [name]: '3' }), { ...rules, credentials: true }), null, name);
  for (const name of ['Authorization', 'Cookie', 'X-Api-Key', 'X-CSRF-Token', 'X-Forwarded-User']) {
    assert.equal(eligible(request('GET', '/', { [name]: '3' }), rules), null, name);
    assert.notEqual(eligible(request('GET', '/', { [name]: '3' }), { ...rules, credentials: true }), null);
  }
});

test('routes are paths, all that begins so, and what is left out', () => {
  assert.ok(isRouted('/any', []));
  assert.ok(isRouted('/any', ['!/other']));
  assert.ok(!isRouted('/other', ['!/other']));
  assert.ok(isRouted('/products/1', ['/', '/products/*', '!/products/export']));
  assert.ok(!isRouted('/products/export', ['/', '/products/*', '!/products/export']));
  assert.ok(!isRouted('/cart', ['/', '/products/*']));
});
