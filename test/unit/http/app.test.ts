import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createApp } from '../../../src/http/app.js';
import type { PublicStats } from '../../../src/protocol/stats.js';
import { raw, sampleInfo, serving } from './serving.js';

const PATHS = ['/api/info', '/api/cluster/stats', '/healthz', '/readyz', '/'];

test('/api/info answers with what the process says of itself', async (t) => {
  const { url } = await serving(t);
  const answer = await fetch(`${url}/api/info`);
  assert.equal(answer.status, 200);
  assert.equal(answer.headers.get('content-type'), 'application/json; charset=utf-8');
  assert.deepEqual(await answer.json(), sampleInfo);
});

test('/api/info follows the values', async (t) => {
  let info = sampleInfo;
  const { url } = await serving(t, { info: () => info });
  for (const values of [
    { uptimeSeconds: 9 },
    { uptimeSeconds: 10, pid: 4_194_304 },
    { uptimeSeconds: 1e9, worker: 128 },
  ]) {
    info = { ...sampleInfo, ...values };
    const body = await (await fetch(`${url}/api/info`)).text();
    assert.equal(body, `${JSON.stringify(info)}\n`);
  }
});

test('/api/cluster/stats answers with what the master says', async (t) => {
  const { url } = await serving(t, { stats: async () => sampleStats });
  const answer = await fetch(`${url}/api/cluster/stats`);
  assert.equal(answer.status, 200);
  assert.deepEqual(await answer.json(), sampleStats);
});

test('/api/cluster/stats answers 503 while the master is silent', async (t) => {
  const { url, logged } = await serving(t, { stats: () => new Promise(() => {}), statsTimeout: 20 });
  const answer = await fetch(`${url}/api/cluster/stats`);
  assert.equal(answer.status, 503);
  assert.deepEqual(await answer.json(), {
    error: { status: 503, code: 'unavailable', message: 'the master does not answer' },
  });
  assert.match(String(logged[0]?.error), /did not answer within 20 ms/);
});

test('/api/cluster/stats answers 503 when the question cannot be asked, and tells the log why', async (t) => {
  const closed = new Error('channel closed');
  const { url, logged } = await serving(t, {
    stats: () => {
      throw closed;
    },
  });
  const answer = await fetch(`${url}/api/cluster/stats`);
  assert.equal(answer.status, 503);
  assert.doesNotMatch(await answer.text(), /channel closed/);
  assert.deepEqual(logged, [{ error: closed, method: 'GET', path: '/api/cluster/stats' }]);
});

test('/healthz answers 200 while the process drains, /readyz 503', async (t) => {
  let ready = true;
  const { url } = await serving(t, { ready: () => ready });
  assert.deepEqual(await statusAndJson(`${url}/healthz`), [200, { status: 'ok' }]);
  assert.deepEqual(await statusAndJson(`${url}/readyz`), [200, { status: 'ready' }]);
  ready = false;
  assert.deepEqual(await statusAndJson(`${url}/healthz`), [200, { status: 'ok' }]);
  assert.deepEqual(await statusAndJson(`${url}/readyz`), [503, { status: 'draining' }]);
});

test('/ lists the routes', async (t) => {
  const { url } = await serving(t);
  assert.deepEqual(await statusAndJson(url), [
    200,
    {
      name: 'rom-agent',
      version: '0.1.0',
      routes: [...['/api/info', '/api/cluster/stats', '/api/scheduler/status', '/healthz', '/readyz', '/']],
    },
  ]);
});

test('HEAD answers with the headers of GET and no body', async (t) => {
  const { url } = await serving(t, { stats: async () => sampleStats });
  for (const path of [...PATHS, '/nothing']) {
    const get = await fetch(url + path);
    const head = await fetch(url + path, { method: 'HEAD' });
    const length = String(Buffer.byteLength(await get.text()));
    assert.equal(head.status, get.status, path);
    assert.equal(head.headers.get('content-length'), length, path);
    assert.equal(await head.text(), '', path);
  }
});

test('no answer may be cached, errors included', async (t) => {
  const { url } = await serving(t);
  for (const path of [...PATHS, '/nothing', '/%zz']) {
    assert.equal((await fetch(url + path)).headers.get('cache-control'), 'no-store', path);
  }
  const options = await fetch(url, { method: 'OPTIONS' });
  assert.equal(options.headers.get('cache-control'), 'no-store');
});

test('404 names the path, without the query', async (t) => {
  const { url, logged } = await serving(t);
  for (const path of ['/api', '/api/info/', '/API/info', '/api/info/x', '//api/info', '/api%2Finfo']) {
    assert.deepEqual(await statusAndJson(`${url}${path}?secret=1`), [
      404,
      { error: { status: 404, code: 'not_found', message: `there is nothing at ${path}` } },
    ]);
  }
  assert.deepEqual(logged, []);
});

test('404 cuts a path that is very long', async (t) => {
  const { url } = await serving(t);
  const answer = await fetch(`${url}/${'x'.repeat(5_000)}`);
  assert.equal(answer.status, 404);
  assert.ok((await answer.text()).length < 400);
});

test('a query does not keep a route from being found', async (t) => {
  const { url } = await serving(t);
  assert.equal((await fetch(`${url}/healthz?from=%zz`)).status, 200);
});

test('405 says what is allowed', async (t) => {
  const { url } = await serving(t);
  for (const method of ['POST', 'PUT', 'PATCH', 'DELETE']) {
    const answer = await fetch(`${url}/api/info`, { method });
    assert.equal(answer.status, 405);
    assert.equal(answer.headers.get('allow'), 'GET, HEAD, OPTIONS');
    assert.deepEqual(await answer.json(), {
      error: { status: 405, code: 'method_not_allowed', message: `/api/info does not take ${method}` },
    });
  }
});

test('a refused POST with a body leaves its connection usable', async (t) => {
  const { port } = await serving(t);
  const post = `POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello`;
  const { text } = await raw(port, `${post}GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
  assert.deepEqual(text.match(/HTTP\/1.1 \d+/g), ['HTTP/1.1 405', 'HTTP/1.1 200']);
});

test('501 answers methods that nothing here could have', async (t) => {
  const { url } = await serving(t);
  for (const path of ['/api/info', '/nothing']) {
    const answer = await fetch(url + path, { method: 'PROPFIND' });
    assert.equal(answer.status, 501);
    assert.equal(answer.headers.get('allow'), 'GET, HEAD, OPTIONS');
    assert.deepEqual(await answer.json(), {
      error: { status: 501, code: 'not_implemented', message: 'the method PROPFIND is not implemented' },
    });
  }
});

test('OPTIONS says what is allowed, for each route and for the whole server', async (t) => {
  const { url, port } = await serving(t);
  for (const path of PATHS) {
    const answer = await fetch(url + path, { method: 'OPTIONS' });
    assert.equal(answer.status, 204, path);
    assert.equal(answer.headers.get('allow'), 'GET, HEAD, OPTIONS', path);
  }
  assert.equal((await fetch(`${url}/nothing`, { method: 'OPTIONS' })).status, 404);
  const all = await raw(port, 'OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
  assert.equal(all.statusLine, 'HTTP/1.1 204 No Content');
  assert.equal(all.headers.get('allow'), 'GET, HEAD, OPTIONS');
});

test('400 answers a path with a malformed percent-encoding', async (t) => {
  const { url, logged } = await serving(t);
  for (const path of ['/%', '/%zz', '/api/info%e', '/%C3%28', '/%FF']) {
    assert.deepEqual(await statusAndJson(url + path), [
      400,
      {
        error: {
          status: 400,
          code: 'bad_request',
          message: `the path ${path} has a malformed percent-encoding`,
        },
      },
    ]);
  }
  assert.deepEqual(logged, []);
});

test('a target in absolute form is served, and answered with 400 where it is no URL', async (t) => {
  const { port, logged } = await serving(t);
  const close = 'HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n';
  const served = await raw(port, `GET http://example.org/healthz ${close}`);
  assert.equal(served.statusLine, 'HTTP/1.1 200 OK');
  const refused = await raw(port, `GET http://[/healthz ${close}`);
  assert.equal(refused.statusLine, 'HTTP/1.1 400 Bad Request');
  assert.equal(JSON.parse(refused.body).error.code, 'bad_request');
  assert.deepEqual(logged, []);
});

test('500 tells the client nothing and the log everything', async (t) => {
  const bug = new Error('the secret of /etc/shadow');
  const { url, logged } = await serving(t, {
    info: () => {
      throw bug;
    },
  });
  const answer = await fetch(`${url}/api/info?q=1`);
  assert.equal(answer.status, 500);
  assert.equal(answer.statusText, 'Internal Server Error');
  assert.deepEqual(await answer.json(), {
    error: { status: 500, code: 'internal_error', message: 'something went wrong here' },
  });
  assert.deepEqual(logged, [{ error: bug, method: 'GET', path: '/api/info' }]);
});

test('a failure that looks like a lost connection is answered all the same', async (t) => {
  const { url } = await serving(t, {
    info: () => {
      throw Object.assign(new Error('write EPIPE'), { code: 'EPIPE' });
    },
  });
  assert.equal((await fetch(`${url}/api/info`)).status, 500);
});

test('a prefix stands in front of every route, and nothing answers without it', async (t) => {
  const { url } = await serving(t, { prefix: '/_ops', stats: async () => sampleStats });
  for (const path of ['/api/info', '/api/cluster/stats', '/healthz', '/readyz']) {
    assert.equal((await fetch(`${url}/_ops${path}`)).status, 200, path);
    assert.equal((await fetch(url + path)).status, 404, path);
  }
  for (const path of ['/', '/_ops', '/_ops/']) assert.equal((await fetch(url + path)).status, 404, path);
});

test('a prefix is taken literally where a router would see a pattern', async (t) => {
  const { url } = await serving(t, { prefix: '/:ops(1)*' });
  assert.equal((await fetch(`${url}/:ops(1)*/healthz`)).status, 200);
  assert.equal((await fetch(`${url}/anything/healthz`)).status, 404);
});

test('a prefix that is not a path is refused by name', () => {
  const seams = {
    info: () => sampleInfo,
    stats: async () => sampleStats,
    ready: () => true,
    onError: () => {},
  };
  for (const prefix of ['', '/', '_ops', '/_ops/', '//ops', '/a b', '/a?b', '/a#b']) {
    assert.throws(() => createApp({ ...seams, prefix }), {
      name: 'RangeError',
      message: `prefix: ${JSON.stringify(prefix)} is not right: expected a path such as "/_ops"`,
    });
  }
});

async function statusAndJson(url: string): Promise<[number, unknown]> {
  const answer = await fetch(url);
  return [answer.status, await answer.json()];
}

const sampleStats: PublicStats = {
  status: 'serving',
  kind: 'server',
  mode: 'cluster',
  generation: 1,
  wanted: 2,
  ready: 2,
  restarts: 0,
  requests: 10,
  requestsPerSecond: 1,
  inFlight: 0,
  master: { pid: 4700, uptimeSeconds: 9, version: '0.1.0', node: 'v20.19.0', rssBytes: 50_000_000 },
  workers: [],
  lastReload: null,
  reloads: [],
  spares: { wanted: 0, ready: 0 },
};
