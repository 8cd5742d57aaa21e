import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { examples as answers } from '../../../src/control/openapi.js';
import { routes } from '../../../src/control/routes.js';
import { ask } from '../../support/net.js';
import { get, messageOf, opened, post, problemsOf, raw } from './place.js';

describe('the routes', () => {
  test('answer questions with JSON that nobody may keep', async (t) => {
    const { path, commands } = await opened(t);
    const { status, headers, json } = await get(path, '/v1');
    assert.equal(status, 200);
    assert.equal(headers['content-type'], 'application/json');
    assert.equal(headers['cache-control'], 'no-store');
    assert.equal(headers['rom-agent-control'], 'v1');
    const list = routes.map((route) => ({ method: route.method, path: route.path }));
    assert.deepEqual(json, { name: 'rom-agent', version: '0.1.0', pid: process.pid, routes: list });
    assert.deepEqual((await get(path, '/v1/status')).json, commands.status());
    assert.deepEqual((await get(path, '/v1/config')).json, commands.config());
    assert.deepEqual((await get(path, '/v1/history')).json, commands.history());
  });

  test('take a query where one says what to leave out, and refuse what is wrong in it', async (t) => {
    const { path, calls } = await opened(t);
    assert.deepEqual((await get(path, '/v1/why')).json, answers.Why);
    assert.deepEqual((await get(path, '/v1/why?since=3600&worker=2&lines=10')).json, answers.Why);
    assert.deepEqual(calls, [
      ['why', {}],
      ['why', { since: 3600, worker: 2, lines: 10 }],
    ]);
    const answer = await get(path, '/v1/why?worker=two&until=3');
    assert.equal(answer.status, 400);
    assert.deepEqual(problemsOf(answer), [
      { field: 'worker', value: 'two', expected: 'an integer from 1 to 1024' },
      { field: 'until', value: 3, expected: 'only the fields since, worker, lines' },
    ]);
  });

  test('hand on what is asked, and who asks', async (t) => {
    const { path, calls } = await opened(t);
    const { status, json } = await post(path, '/v1/scale', { to: 4, by: 'alice' });
    assert.deepEqual([status, json], [200, { message: 'so be it' }]);
    await post(path, '/v1/scale', { add: -1 });
    await post(path, '/v1/abort');
    await post(path, '/v1/workers/2/restart', { by: 'Zoë (deploy)' });
    assert.deepEqual((await post(path, '/v1/stop', { by: 'bob' })).status, 202);
    assert.deepEqual(calls, [
      ['scale', { to: 4 }, 'alice'],
      ['scale', { add: -1 }, 'control'],
      ['abort', 'control'],
      ['restart', 2, 'Zoë (deploy)'],
      ['stop', 'bob'],
    ]);
  });

  test('answer with evidence about a worker', async (t) => {
    const { path, calls } = await opened(t);
    assert.deepEqual((await post(path, '/v1/workers/1/stack', { by: 'ann' })).json, answers.Stack);
    assert.deepEqual((await post(path, '/v1/workers/1/profile', { seconds: 30 })).json, answers.EvidenceFile);
    await post(path, '/v1/workers/1/profile');
    assert.deepEqual((await post(path, '/v1/workers/2/heap-snapshot')).json, answers.EvidenceFile);
    assert.deepEqual(calls, [
      ['stack', 1, 'ann'],
      ['profile', 1, 30, 'control'],
      ['profile', 1, 10, 'control'],
      ['heapSnapshot', 2, 'control'],
    ]);
  });

  test('answer 409 with the reason where there is no evidence', async (t) => {
    const fake = await opened(t);
    fake.commands.profile = async () => ({ accepted: false, reason: 'worker 1 ended' });
    const answer = await post(fake.path, '/v1/workers/1/profile');
    assert.deepEqual([answer.status, messageOf(answer)], [409, 'worker 1 ended']);
  });

  test('answer 409 with the reason where the master refuses', async (t) => {
    const fake = await opened(t);
    fake.answer = { accepted: false, reason: 'there is no worker 9' };
    const answer = await post(fake.path, '/v1/workers/9/restart');
    assert.equal(answer.status, 409);
    assert.deepEqual(answer.json, {
      error: { status: 409, code: 'refused', message: 'there is no worker 9' },
    });
  });

  test('reload with a soak and a rollback unless told otherwise', async (t) => {
    const fake = await opened(t);
    fake.reload = async () => ({ accepted: false, reason: 'a reload is under way' });
    const answer = await post(fake.path, '/v1/reload');
    assert.equal(answer.status, 409);
    assert.equal(answer.headers['content-type'], 'application/json');
    assert.equal(fake.listeners.size, 0);
    await post(fake.path, '/v1/reload', { soak: false, rollback: false, by: 'x' });
    assert.deepEqual(fake.calls, [
      ['reload', { by: 'control', soak: true, rollback: true }],
      ['reload', { by: 'x', soak: false, rollback: false }],
    ]);
  });

  for (const [route, body, problems] of [
    ['/v1/reload', { soak: 'no' }, [{ field: 'soak', value: 'no', expected: 'true or false' }]],
    [
      '/v1/reload',
      { force: 1 },
      [{ field: 'force', value: 1, expected: 'only the fields by, soak, rollback' }],
    ],
    [
      '/v1/abort',
      { by: '' },
      [{ field: 'by', value: '', expected: 'printable characters, 1 to 64 of them' }],
    ],
    [
      '/v1/abort',
      { by: 'a\nb' },
      [{ field: 'by', value: 'a\nb', expected: 'printable characters, 1 to 64 of them' }],
    ],
    [
      '/v1/stop',
      { by: null },
      [{ field: 'by', value: null, expected: 'printable characters, 1 to 64 of them' }],
    ],
    ['/v1/scale', { to: 0 }, [{ field: 'to', value: 0, expected: 'an integer from 1 to 1024' }]],
    ['/v1/scale', { to: 1.5 }, [{ field: 'to', value: 1.5, expected: 'an integer from 1 to 1024' }]],
    ['/v1/scale', { to: '4' }, [{ field: 'to', value: '4', expected: 'an integer from 1 to 1024' }]],
    [
      '/v1/scale',
      { add: 0 },
      [{ field: 'add', value: 0, expected: 'an integer other than 0 from -1024 to 1024' }],
    ],
    ['/v1/scale', {}, [{ field: 'to', value: null, expected: 'one of "to", "add" and "auto"' }]],
    [
      '/v1/scale',
      { to: 1, add: 1 },
      [{ field: 'to', value: { to: 1, add: 1 }, expected: 'one of "to", "add" and "auto"' }],
    ],
    [
      '/v1/workers/1/profile',
      { seconds: 601 },
      [{ field: 'seconds', value: 601, expected: 'an integer from 1 to 600' }],
    ],
    [
      '/v1/workers/1/profile',
      { seconds: '5' },
      [{ field: 'seconds', value: '5', expected: 'an integer from 1 to 600' }],
    ],
    [
      '/v1/workers/1/heap-snapshot',
      { seconds: 5 },
      [{ field: 'seconds', value: 5, expected: 'only the fields by' }],
    ],
    ['/v1/workers/x/stack', {}, [{ field: 'id', value: 'x', expected: 'an integer from 1 to 1024' }]],
    ['/v1/workers/0/restart', {}, [{ field: 'id', value: 0, expected: 'an integer from 1 to 1024' }]],
    ['/v1/workers/one/restart', {}, [{ field: 'id', value: 'one', expected: 'an integer from 1 to 1024' }]],
    ['/v1/workers/%31/restart', {}, [{ field: 'id', value: '%31', expected: 'an integer from 1 to 1024' }]],
  ] as const) {
    test(`answer 400 to ${route} with ${JSON.stringify(body)}`, async (t) => {
      const { path, calls } = await opened(t);
      const answer = await post(path, route, body);
      assert.equal(answer.status, 400);
      assert.deepEqual(problemsOf(answer), problems);
      assert.deepEqual(calls, []);
    });
  }

  test('name everything that is wrong at once, a field that is called __proto__ too', async (t) => {
    const { path } = await opened(t);
    const answer = await post(path, '/v1/reload', '{"soak":1,"rollback":2,"__proto__":{}}');
    assert.deepEqual(
      (problemsOf(answer) as { field: string }[]).map(({ field }) => field),
      ['soak', 'rollback', '__proto__'],
    );
  });

  for (const [what, body, headers, status, message] of [
    ['what is not JSON', '{"by":', {}, 400, /^the body is not JSON: /],
    ['a list', '[]', {}, 400, /expected a JSON object/],
    ['null', 'null', {}, 400, /expected a JSON object/],
    ['a form', 'by=alice', {}, 400, /^the body is not JSON: /],
    ['what is too large', ' '.repeat(64 * 1024 + 1), {}, 413, /expected at most 65536 bytes/],
    [
      'chunks that are too large',
      ' '.repeat(100_000),
      { 'Transfer-Encoding': 'chunked' },
      413,
      /at most 65536/,
    ],
  ] as const) {
    test(`answer ${status} to a body that is ${what}`, async (t) => {
      const { path, calls } = await opened(t);
      const answer = await post(path, '/v1/abort', body, headers);
      assert.equal(answer.status, status);
      assert.match(messageOf(answer), message);
      assert.deepEqual(calls, []);
    });
  }

  test('answer 400 to a body that is not UTF-8', async (t) => {
    const { path } = await opened(t);
    const head = 'POST /v1/abort HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 3\r\n';
    const body = Buffer.from(`${head}\r\n"\xff"`, 'latin1');
    assert.match(await raw(path, body), /^HTTP\/1\.1 400 .*the body is not JSON: it is not UTF-8/s);
  });

  test('take a body of exactly 64 KiB', async (t) => {
    const { path } = await opened(t);
    const body = `{}${' '.repeat(64 * 1024 - 2)}`;
    assert.equal((await post(path, '/v1/abort', body)).status, 200);
  });

  test('neither ask for the type of a body nor care for what a client accepts', async (t) => {
    const fake = await opened(t);
    const form = { 'Content-Type': 'application/x-www-form-urlencoded', Accept: 'text/html' };
    assert.equal((await post(fake.path, '/v1/abort', { by: 'ann' }, form)).status, 200);
    assert.equal((await get(fake.path, '/v1/status', { Accept: 'text/html' })).status, 200);
    assert.deepEqual(fake.calls, [['abort', 'ann']]);
  });

  test('answer 404 and 405 with what there is', async (t) => {
    const { path } = await opened(t);
    for (const route of ['/', '/v2/status', '/v1/', '/v1/status/', '/v1/workers//restart', '/V1']) {
      assert.equal((await get(path, route)).status, 404, route);
    }
    const answer = await get(path, '/v1/reload');
    assert.deepEqual([answer.status, answer.headers.allow], [405, 'POST, OPTIONS']);
    const other = await post(path, '/v1/status');
    assert.deepEqual([other.status, other.headers.allow], [405, 'GET, HEAD, OPTIONS']);
    const options = await ask({ socketPath: path, path: '/v1/stop', method: 'OPTIONS' });
    assert.deepEqual([options.status, options.headers.allow], [204, 'POST, OPTIONS']);
    const head = await ask({ socketPath: path, path: '/v1/status', method: 'HEAD' });
    assert.deepEqual([head.status, head.text], [200, '']);
  });

  test('answer 400 to a query, which would be ignored otherwise', async (t) => {
    const { path, calls } = await opened(t);
    const answer = await post(path, '/v1/reload?soak=false');
    assert.equal(answer.status, 400);
    assert.match(messageOf(answer), /^the query \?soak=false is not right/);
    assert.deepEqual(calls, []);
  });
  test('answer 500 and log it where the master throws, without its words', async (t) => {
    const { path, commands, errors } = await opened(t);
    commands.status = () => {
      throw new Error('secret');
    };
    const answer = await get(path, '/v1/status');
    assert.equal(answer.status, 500);
    assert.doesNotMatch(answer.text, /secret/);
    assert.equal(errors.length, 1);
    assert.match(String((errors[0] as { err: unknown }).err), /secret/);
  });
});
