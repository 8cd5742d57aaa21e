import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import http, { type RequestListener } from 'node:http';
import { type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import express from 'express';
import { createApp } from '../../../src/http/app.js';
import { mountOperational } from '../../../src/http/operational.js';
import { listening, raw, sampleInfo } from './serving.js';

const { handle } = createApp({
  prefix: '/_ops',
  info: () => sampleInfo,
  stats: () => new Promise(() => {}),
  ready: () => true,
  onError: () => {},
});
const operational = { handle, prefix: '/_ops' };

test('an Express app goes on answering beside the operational routes', async (t) => {
  const app = express();
  app.get('/healthz', (_req, res) => {
    res.send('the app itself');
  });
  const server = http.createServer(app);
  mountOperational(server, operational);
  const get = await getter(t, server);
  assert.equal(await get('/healthz'), '200 the app itself');
  assert.equal(await get('/_ops/healthz'), '200 {"status":"ok"}\n');
  assert.match(await get('/_opsx'), /^404 .*Cannot GET/s);
});

test('only the prefix itself and what lies below it are taken from the app', async (t) => {
  const server = http.createServer(answering('app'));
  mountOperational(server, operational);
  const get = await getter(t, server);
  for (const path of [
    '/',
    '/_op',
    '/_opsx',
    '/_OPS/healthz',
    '/x/_ops/healthz',
    '/?/_ops/healthz',
    '//_ops/',
  ]) {
    assert.equal(await get(path), '200 app', path);
  }
  for (const path of ['/_ops', '/_ops/', '/_ops?x', '/_ops/nothing']) {
    assert.match(await get(path), /^404 \{"error"/, path);
  }
});

test('the listeners of the app keep their this and all of them are called', async (t) => {
  const server = http.createServer();
  const seen: unknown[] = [];
  server.on('request', function (this: unknown) {
    seen.push(this);
  });
  server.on('request', answering('second'));
  mountOperational(server, operational);
  const get = await getter(t, server);
  assert.equal(await get('/'), '200 second');
  await get('/_ops/healthz');
  assert.equal(seen.length, 1);
  assert.equal(seen[0], server);
});

test('listeners added, replaced and removed later work as before, and never see the prefix', async (t) => {
  const server = http.createServer();
  mountOperational(server, operational);
  const get = await getter(t, server);
  const early = answering('early');
  server.on('request', early);
  assert.equal(await get('/'), '200 early');
  server.removeListener('request', early);
  server.once('request', answering('once'));
  assert.equal(await get('/_ops/healthz'), '200 {"status":"ok"}\n');
  assert.equal(await get('/'), '200 once');
  server.removeAllListeners('request');
  server.prependListener('request', answering('late'));
  assert.equal(await get('/'), '200 late');
  assert.equal(await get('/_ops/readyz'), '200 {"status":"ready"}\n');
  assert.equal(server.listenerCount('request'), 1);
});

test('a request with Expect is answered too, where the app handles Expect itself', async (t) => {
  const server = http.createServer(answering('app'));
  server.on('checkContinue', answering('continue')).on('checkExpectation', answering('expectation'));
  mountOperational(server, operational);
  const port = await listening(t, server);
  const ask = (path: string, expect: string) =>
    raw(port, `GET ${path} HTTP/1.1\r\nHost: x\r\nExpect: ${expect}\r\nConnection: close\r\n\r\n`);
  assert.match((await ask('/', '100-continue')).text, /continue$/);
  assert.match((await ask('/', 'more')).text, /expectation$/);
  assert.match((await ask('/_ops/healthz', '100-continue')).text, /"ok"/);
  assert.match((await ask('/_ops/healthz', 'more')).text, /"ok"/);
});

test('other events reach the app, with their arguments and their result', () => {
  const server = http.createServer();
  mountOperational(server, operational);
  const seen: unknown[] = [];
  server.on('tick', (...args: unknown[]) => seen.push(...args));
  assert.equal(server.emit('tick', 1, { url: '/_ops/healthz' }), true);
  assert.equal(server.emit('nobody'), false);
  assert.deepEqual(seen, [1, { url: '/_ops/healthz' }]);
});

test('undoing leaves the server as it was', async (t) => {
  const server = http.createServer(answering('app'));
  const undo = mountOperational(server, operational);
  const get = await getter(t, server);
  undo();
  undo();
  assert.equal(Object.hasOwn(server, 'emit'), false);
  assert.equal(await get('/_ops/healthz'), '200 app');
});

test('undoing keeps what was wrapped around emit before and after', async (t) => {
  const server = http.createServer(answering('app'));
  const events: string[] = [];
  trace(server, 'inner', events);
  const undo = mountOperational(server, operational);
  trace(server, 'outer', events);
  const get = await getter(t, server);
  undo();
  assert.equal(await get('/_ops/healthz'), '200 app');
  assert.deepEqual(events, ['outer', 'inner']);
});

test('two prefixes may be mounted, and undone in any order', async (t) => {
  const server = http.createServer(answering('app'));
  const undoFirst = mountOperational(server, { handle: answering('first'), prefix: '/first' });
  const undoSecond = mountOperational(server, { handle: answering('second'), prefix: '/second' });
  const get = await getter(t, server);
  undoFirst();
  assert.equal(await get('/first'), '200 app');
  assert.equal(await get('/second'), '200 second');
  undoSecond();
  assert.equal(await get('/second'), '200 app');
});

test('a prefix that would take everything is refused', () => {
  const server = http.createServer();
  for (const prefix of ['', '/']) {
    assert.throws(() => mountOperational(server, { handle, prefix }), RangeError);
  }
});

test('mounting loads neither Koa nor its router', async () => {
  const module = new URL('../../../src/http/operational.js', import.meta.url);
  const script = `await import(${JSON.stringify(module.href)});
    const { createRequire } = await import('node:module');
    console.log(Object.keys(createRequire(${JSON.stringify(module.href)}).cache).join());`;
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script]);
  assert.equal(stdout.trim(), '');
});

function answering(text: string): RequestListener {
  return (_req, res) => {
    res.end(text);
  };
}

function trace(server: http.Server, name: string, events: string[]): void {
  const inner = server.emit;
  server.emit = function (this: http.Server, ...args: [string, ...unknown[]]) {
    if (args[0] === 'request') events.push(name);
    return Reflect.apply(inner, this, args);
  };
}

async function getter(t: TestContext, server: http.Server): Promise<(path: string) => Promise<string>> {
  const port = await listening(t, server);
  return async (path) => {
    const answer = await fetch(`http://127.0.0.1:${port}${path}`);
    return `${answer.status} ${await answer.text()}`;
  };
}
