import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Arrival, createGate } from '../../../src/admin/gate.js';

const token = 'a-token-of-an-operator';
const ours = { host: '127.0.0.1:9464' };
const posted = { ...ours, 'x-rom-agent': '1', 'content-type': 'application/json' };

function arrival(given: Partial<Arrival>): Arrival {
  return { method: 'GET', path: '/api/state', headers: ours, token: null, ...given };
}

/** `pass`, `enter`, or the status of the refusal. */
function outcome(gate: ReturnType<typeof createGate>, given: Partial<Arrival>): string | number {
  const verdict = gate(arrival(given));
  return verdict.kind === 'refuse' ? verdict.status : verdict.kind;
}

describe('the gate of the loopback, without a token', () => {
  const gate = createGate({ token: null, hosts: 'own' });
  const status = (given: Partial<Arrival>) => outcome(gate, given);

  test('lets in who names the loopback', () => {
    for (const host of [
      '127.0.0.1:9464',
      'localhost:1',
      'LOCALHOST',
      '[::1]:9464',
      'shop.localhost:80',
      '127.1.2.3',
    ])
      assert.equal(status({ headers: { host } }), 'pass', host);
  });

  test('refuses a name of a stranger that leads here, and none', () => {
    for (const host of [
      'evil.example',
      'localhost.evil.example:9464',
      '127.0.0.1.evil.example',
      '10.0.0.1',
      '',
      '[::2]',
    ])
      assert.equal(status({ headers: { host } }), 403, host);
    assert.equal(status({ headers: {} }), 403);
  });

  test('takes a command only from its own page', () => {
    const post = (headers: Arrival['headers']) => status({ method: 'POST', path: '/api/reload', headers });
    assert.equal(post(posted), 'pass');
    assert.equal(
      post({ ...posted, origin: 'http://127.0.0.1:9464', 'sec-fetch-site': 'same-origin' }),
      'pass',
    );
    assert.equal(post({ ...posted, 'content-type': 'application/json; charset=utf-8' }), 'pass');
    assert.equal(post({ ...posted, origin: 'http://evil.example' }), 403);
    assert.equal(post({ ...posted, origin: 'http://127.0.0.1:3000' }), 403);
    assert.equal(post({ ...posted, origin: 'null' }), 403);
    assert.equal(post({ ...posted, 'sec-fetch-site': 'same-site' }), 403);
    assert.equal(post({ ...posted, 'sec-fetch-site': 'cross-site' }), 403);
    assert.equal(post({ ...ours, 'content-type': 'application/json' }), 403);
    assert.equal(post({ ...posted, 'content-type': 'text/plain' }), 415);
    assert.equal(post({ ...ours, 'x-rom-agent': '1' }), 415);
    assert.equal(status({ method: 'DELETE', path: '/', headers: ours }), 403);
  });

  test('gives no data to pages of others, and evidence to nobody who was merely sent here', () => {
    const evidence = '/api/evidence/x.heapsnapshot';
    for (const site of ['cross-site', 'same-site']) {
      assert.equal(status({ headers: { ...ours, 'sec-fetch-site': site } }), 403);
      assert.equal(status({ path: '/', headers: { ...ours, 'sec-fetch-site': site } }), 'pass');
    }
    assert.equal(status({ path: evidence }), 403);
    assert.equal(status({ path: evidence, headers: { ...ours, 'sec-fetch-site': 'same-origin' } }), 'pass');
    assert.equal(status({ path: evidence, headers: { ...ours, 'x-rom-agent': '1' } }), 'pass');
  });
});

describe('the gate with a token', () => {
  const gate = createGate({ token, hosts: 'any' });
  const status = (given: Partial<Arrival>) => outcome(gate, given);

  test('refuses who does not know it', () => {
    assert.equal(status({}), 401);
    assert.equal(status({ path: '/' }), 401);
    assert.equal(status({ path: '/assets/main.js' }), 401);
    assert.equal(status({ token: 'another-token-of-16' }), 401);
    assert.equal(status({ headers: { ...ours, authorization: 'Bearer no' } }), 401);
    assert.equal(status({ headers: { ...ours, authorization: `Basic ${token}` } }), 401);
    assert.equal(status({ method: 'POST', headers: posted }), 401);
    assert.equal(status({ method: 'POST', headers: posted, token }), 401);
  });

  test('lets in who sends it, and a browser by a cookie that does not have it in it', () => {
    assert.equal(status({ headers: { ...ours, authorization: `Bearer ${token}` } }), 'pass');
    assert.equal(status({ path: '/metrics', token }), 'pass');
    const verdict = gate(arrival({ path: '/', token }));
    assert.equal(verdict.kind, 'enter');
    const cookie = verdict.kind === 'enter' ? verdict.cookie : '';
    assert.match(cookie, /^rom-agent-[0-9a-f]{12}=[0-9a-f]{64}; Path=\/; HttpOnly; SameSite=Strict$/);
    assert.ok(!cookie.includes(token));
    const held = cookie.replace(/;.*/, '');
    assert.equal(status({ headers: { ...ours, cookie: `other=1; ${held}` } }), 'pass');
    assert.equal(status({ headers: { ...ours, cookie: `${held}0` } }), 401);
    const another = createGate({ token: 'another-token-of-16', hosts: 'any' });
    assert.equal(outcome(another, { headers: { ...ours, cookie: held } }), 401);
    assert.equal(status({ method: 'POST', headers: { ...ours, cookie: held } }), 403);
    assert.equal(status({ method: 'POST', headers: { ...posted, cookie: held } }), 'pass');
  });

  test('says in no refusal what the token is', () => {
    const verdict = gate(arrival({ token: 'another-token-of-16' }));
    assert.ok(!JSON.stringify(verdict).includes(token));
    assert.ok(!JSON.stringify(verdict).includes('another-token-of-16'));
  });
});
