import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import type { AdminState, DaemonState } from '../../../src/admin/api.js';
import { createAdminApp } from '../../../src/admin/app.js';
import { createGate } from '../../../src/admin/gate.js';
import { listen } from '../../../src/admin/listen.js';
import { createObserver } from '../../../src/admin/observer.js';
import { loadPages } from '../../../src/admin/pages.js';
import { connectControl } from '../../../src/control/client.js';
import { examples } from '../../../src/control/openapi.js';
import { ask, type HttpAnswer } from '../../support/net.js';
import { waitFor } from '../../support/wait.js';
import { recordEvent, stepEvent } from '../control/fake-commands.js';
import { folder, opened } from '../control/place.js';

const guard = { 'X-Rom-Agent': '1', 'Content-Type': 'application/json' };

/** An admin server in front of a control socket whose commands do nothing. */
async function served(t: TestContext, { token = null as string | null } = {}) {
  const control = await opened(t);
  const client = connectControl({ path: control.path });
  const pageFolder = mkdtempSync(join(tmpdir(), 'rom-agent-page-'));
  t.after(() => rmSync(pageFolder, { recursive: true }));
  mkdirSync(join(pageFolder, 'assets'));
  writeFileSync(join(pageFolder, 'index.html'), '<!doctype html><style>a{}</style>page');
  writeFileSync(join(pageFolder, 'assets', 'main-abc.js'), 'script');
  writeFileSync(join(pageFolder, 'secret.txt'), 'secret');
  const observer = createObserver({
    ...{ name: 'shop', version: '0.1.0', client, clock: Date.now, boot: 'b1' },
    readLog: async () => {},
    after: (ms, call) => {
      const timer = setTimeout(call, ms);
      return () => clearTimeout(timer);
    },
  });
  const errors: unknown[] = [];
  const app = createAdminApp({
    ...{ observer, client, by: 'dashboard' },
    gate: createGate({ token, hosts: 'own' }),
    pages: loadPages(pageFolder),
    renderMetrics: async () => ({ type: 'text/plain', text: 'metrics' }),
    onError: (error) => errors.push(error),
  });
  const server = await listen(app, { kind: 'tcp', host: '127.0.0.1', port: 0 });
  const running = observer.run();
  t.after(async () => {
    observer.end();
    server.close();
    await running;
  });
  const port = server.port ?? 0;
  const get = (path: string, headers = {}) => ask({ port, path, headers });
  const post = (path: string, body: unknown = {}, headers: Record<string, string> = guard) =>
    ask({
      port,
      path,
      method: 'POST',
      headers,
      body: typeof body === 'string' ? body : JSON.stringify(body),
    });
  await waitFor(
    'the daemon',
    async () => stateIn(await get('/api/state', bearer(token))).daemon?.state === 'up',
  );
  return { control, port, get, post, errors };
}

function bearer(token: string | null) {
  return token === null ? {} : { Authorization: `Bearer ${token}` };
}

function stateIn({ json }: HttpAnswer): Partial<AdminState> {
  return (json ?? {}) as Partial<AdminState>;
}

/** A client of the events. */
function listenTo(t: TestContext, port: number, query = '', headers = '') {
  let text = '';
  const socket = connect(port, '127.0.0.1');
  socket.setEncoding('utf8').on('data', (chunk) => {
    text += chunk;
  });
  socket.on('error', () => {});
  socket.write(`GET /api/events${query} HTTP/1.1\r\nHost: localhost\r\n${headers}\r\n`);
  t.after(() => socket.destroy());
  const names = () => [...text.matchAll(/^event: (\w+)$/gm)].map(([, name]) => name ?? '');
  return { names, text: () => text, end: () => socket.destroy() };
}

describe('the admin server', () => {
  test('has the state of the service, the configuration, the log and the evidence', async (t) => {
    const { get } = await served(t);
    await waitFor('the log', async () => (stateIn(await get('/api/state')).logs ?? []).length === 1);
    const answer = await get('/api/state');
    const state = stateIn(answer);
    assert.equal(answer.headers['cache-control'], 'no-store');
    assert.deepEqual(state.stats, JSON.parse(JSON.stringify(examples.Status)));
    assert.deepEqual(state.config, examples.Config);
    assert.deepEqual(state.evidence, examples.EvidenceList);
    assert.deepEqual(state.why, examples.Why.lines);
    assert.equal(state.name, 'shop');
    assert.equal(state.lanes?.length, 1);
    assert.ok((state.samples ?? []).length >= 1);
  });

  test('sets headers on each answer that let nothing foreign in', async (t) => {
    const { get } = await served(t);
    for (const path of ['/', '/api/state', '/nothing', '/assets/main-abc.js']) {
      const { headers } = await get(path);
      assert.match(
        String(headers['content-security-policy']),
        /^default-src 'none'; script-src 'self';/,
        path,
      );
      assert.equal(headers['x-content-type-options'], 'nosniff', path);
      assert.equal(headers['x-frame-options'], 'DENY', path);
      assert.equal(headers['access-control-allow-origin'], undefined, path);
    }
  });

  test('serves the files of the page and no others', async (t) => {
    const { get } = await served(t);
    const page = await get('/');
    assert.deepEqual(
      [page.status, page.text, page.headers['cache-control']],
      [200, '<!doctype html><style>a{}</style>page', 'no-store'],
    );
    const hash = createHash('sha256').update('a{}').digest('base64');
    assert.match(String(page.headers['content-security-policy']), /style-src 'self' 'sha256-[^']+';/);
    assert.ok(String(page.headers['content-security-policy']).includes(`'sha256-${hash}'`));
    const asset = await get('/assets/main-abc.js');
    assert.match(String(asset.headers['content-security-policy']), /style-src 'self';/);
    assert.match(String(asset.headers['cache-control']), /immutable/);
    for (const path of [
      '/secret.txt',
      '/assets/../secret.txt',
      '/assets/..%2fsecret.txt',
      '/assets/',
      '/assets',
    ])
      assert.equal((await get(path)).status, 404, path);
    assert.equal(
      (await ask({ port: (await served(t)).port, path: '/', method: 'POST', headers: guard, body: '{}' }))
        .status,
      405,
    );
  });

  test('hands commands on, and answers what the daemon says to them', async (t) => {
    const { control, post } = await served(t);
    control.calls.length = 0;
    assert.deepEqual((await post('/api/scale', { to: 4 })).json, { accepted: true, message: 'so be it' });
    await post('/api/abort');
    await post('/api/workers/2/restart');
    assert.deepEqual((await post('/api/workers/1/stack')).json, { accepted: true, ...examples.Stack });
    const profile = await post('/api/workers/1/profile', { seconds: 5 });
    assert.deepEqual(profile.json, {
      ...{ accepted: true, ...examples.EvidenceFile },
      name: '2026-11-24T09-15-30.123Z-worker-1-pid-4720.cpuprofile',
    });
    assert.deepEqual(control.calls, [
      ['scale', { to: 4 }, 'dashboard'],
      ['abort', 'dashboard'],
      ['restart', 2, 'dashboard'],
      ['stack', 1, 'dashboard'],
      ['profile', 1, 5, 'dashboard'],
    ]);
    control.answer = { accepted: false, reason: 'there is no worker 9' };
    const refused = await post('/api/workers/9/restart');
    assert.deepEqual(
      [refused.status, refused.json],
      [409, { accepted: false, reason: 'there is no worker 9' }],
    );
  });

  test('answers a reload when it is accepted, and its steps follow as events', async (t) => {
    const { control, port, post } = await served(t);
    const events = listenTo(t, port);
    await waitFor('the stream', () => events.text().includes('retry'));
    const answer = await post('/api/reload', { soak: false });
    assert.deepEqual(answer.json, {
      ...{
        accepted: true,
        message: 'reload to generation 3',
        serial: 12,
        generation: 3,
        needRestart: ['port'],
      },
    });
    assert.deepEqual(control.calls.at(-1), ['reload', { by: 'dashboard', soak: false, rollback: true }]);
    control.emit(stepEvent);
    control.emit(recordEvent);
    await waitFor('the events', () => events.names().filter((name) => name === 'event').length === 2);
  });

  test('refuses bodies that are not right', async (t) => {
    const { post } = await served(t);
    const messageOf = ({ json }: HttpAnswer) => (json as { error: { message: string } }).error.message;
    const wrong = await post('/api/reload', { soak: 'no' });
    assert.deepEqual([wrong.status, messageOf(wrong)], [400, 'soak is not right: expected a boolean']);
    assert.equal(
      messageOf(await post('/api/abort', { now: true })),
      '"now" is not a field; the fields are: none',
    );
    assert.equal(messageOf(await post('/api/scale')), 'either "to" or "add" is needed');
    assert.match(
      messageOf(await post('/api/scale', { to: 0 })),
      /^to: 0 is not right: expected an integer from 1/,
    );
    assert.equal((await post('/api/abort', '[1]')).status, 400);
    assert.equal((await post('/api/abort', '{')).status, 400);
    assert.equal((await post('/api/abort', JSON.stringify({ x: 'x'.repeat(20_000) }))).status, 413);
    assert.equal((await post('/api/workers/0/restart')).status, 404);
    assert.equal((await post('/api/workers/..%2fstop/restart')).status, 404);
  });

  test('streams evidence by its name alone', async (t) => {
    const { get } = await served(t);
    const [file] = examples.EvidenceList;
    const found = await get(`/api/evidence/${file?.name}`, guard);
    assert.deepEqual([found.status, found.text, found.headers['content-length']], [200, '{}', '2']);
    assert.equal(found.headers['content-disposition'], `attachment; filename="${file?.name}"`);
    for (const name of ['other', '..%2f..%2fetc%2fpasswd', '..', '%00', 'a%0d%0aSet-Cookie:x'])
      assert.equal((await get(`/api/evidence/${name}`, guard)).status, 404, name);
  });

  test('sends events on from where a client was, and once a second what the service does', async (t) => {
    const { control, port, get } = await served(t);
    const { lastEventId } = stateIn(await get('/api/state'));
    const first = listenTo(t, port, `?after=${lastEventId}`);
    await waitFor('a sample', () => first.names().includes('sample'));
    control.emit({ type: 'service', status: 'stopping', wanted: 1 });
    await waitFor('the event', () => first.names().includes('event'));
    first.end();
    control.emit({ type: 'service', status: 'serving', wanted: 2 });
    const id = [...first.text().matchAll(/^id: (.*)$/gm)].at(-1)?.[1];
    const second = listenTo(t, port, `?after=${lastEventId}`, `Last-Event-ID: ${id}\r\n`);
    await waitFor('what was missed', () => second.text().includes('"wanted":2'));
    assert.ok(!second.text().includes('"stopping"'));
  });

  test('keeps its streams while the daemon is restarted, and says so', async (t) => {
    const { control, port, get } = await served(t);
    const events = listenTo(t, port);
    await waitFor('the stream', () => events.text().includes('retry'));
    await control.server.close();
    await waitFor('the loss', () => events.text().includes('"state":"lost"'));
    assert.equal((await get('/api/metrics.json')).status, 503);
    assert.equal(stateIn(await get('/api/state')).daemon?.state, 'lost');
    await opened(t, { path: control.path });
    await waitFor('the daemon', () => events.text().includes('"state":"up"'));
    const states = [...events.text().matchAll(/^event: daemon\ndata: (.*)$/gm)].map(
      ([, data]) => (JSON.parse(data ?? '') as DaemonState).state,
    );
    assert.deepEqual([states.includes('lost'), states.at(-1)], [true, 'up']);
  });

  test('lets in who knows the token, a browser by its URL once', async (t) => {
    const token = 'a-token-of-an-operator';
    const { get } = await served(t, { token });
    const refused = await get('/');
    assert.equal(refused.status, 401);
    assert.match(refused.text, /^rom-agent: a token is needed: open the URL/);
    assert.equal((await get('/api/state')).headers['www-authenticate'], 'Bearer realm="rom-agent"');
    const entered = await get(`/?token=${token}`);
    assert.equal(entered.status, 200);
    assert.ok(!entered.text.includes(token));
    const [cookie = ''] = entered.headers['set-cookie'] ?? [];
    assert.equal(
      (await get('/', { Cookie: cookie.replace(/;.*/, '') })).text,
      '<!doctype html><style>a{}</style>page',
    );
    assert.equal((await get(`/?token=${token}x`)).status, 401);
  });

  test('takes a client that goes away for no failure', async (t) => {
    const { port, errors, get } = await served(t);
    const events = listenTo(t, port);
    await waitFor('the stream', () => events.text().includes('retry'));
    events.end();
    const listeners = async () => (await get('/api/state')).status;
    assert.equal(await listeners(), 200);
    await waitFor('its end', () => new Promise((resolve) => setImmediate(() => resolve(true))));
    assert.deepEqual(errors, []);
  });

  test('has metrics, and says where the daemon does not answer for them', async (t) => {
    const { get } = await served(t);
    const { status, text, headers } = await get('/metrics');
    assert.deepEqual([status, text, headers['content-type']], [200, 'metrics', 'text/plain']);
    assert.equal((await get('/api/metrics.json')).status, 200);
  });
});

describe('where the admin server listens', () => {
  const handle = (_: unknown, response: import('node:http').ServerResponse) => void response.end('here');

  test('may be a unix socket of the mode that is set, in the place of one left behind', async (t) => {
    const path = join(folder(t), 'admin.sock');
    const first = await listen(handle, { kind: 'path', path, mode: 0o660 });
    assert.equal(statSync(path).mode & 0o777, 0o660);
    assert.equal((await ask({ socketPath: path, path: '/' })).text, 'here');
    await assert.rejects(listen(handle, { kind: 'path', path, mode: 0o600 }), /admin\.sock/);
    first.close();
    const second = await listen(handle, { kind: 'path', path, mode: 0o600 });
    assert.equal(statSync(path).mode & 0o777, 0o600);
    second.close();
  });

  test('is refused in words where another process has the address', async (t) => {
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    t.after(() => other.close());
    const { port } = other.address() as { port: number };
    await assert.rejects(listen(handle, { kind: 'tcp', host: '127.0.0.1', port }), {
      message: `admin: cannot listen on 127.0.0.1 port ${port} (EADDRINUSE): another process has it; choose another one`,
    });
  });
});
