import assert from 'node:assert/strict';
import { createServer, type ServerResponse } from 'node:http';
import {
  type ClientHttp2Session,
  connect,
  connect as connectHttp2,
  constants,
  createServer as createH2cServer,
  createServer as createHttp2Server,
  type OutgoingHttpHeaders,
  type ServerHttp2Stream,
} from 'node:http2';
import { type TestContext, test } from 'node:test';
import { newestAndOldest, whole } from '../../../../src/worker/connections/current-requests.js';
import { currentOf, exposeCurrent } from '../../../../src/worker/health/witness.js';
import { waitFor } from '../../../support/wait.js';
import { openBytes } from '../byte-client.js';
import { listening, servers } from '../tracking.js';

test('requests in flight are told by method and path without the query, oldest first, pipelined ones too', async (t) => {
  const waiting: ServerResponse[] = [];
  const port = await listening(
    t,
    createServer((_request, response) => void waiting.push(response)),
  );
  const client = await openBytes(t, port);
  client.socket.write(
    'GET /slow?password=x HTTP/1.1\r\nHost: a\r\n\r\nPUT /next#y HTTP/1.1\r\nHost: a\r\n\r\n',
  );
  await waitFor('two requests', servers.current, { until: ({ length }) => length === 2 });
  assert.deepEqual(
    servers.current().map(({ method, path }) => `${method} ${path}`),
    ['GET /slow', 'PUT /next'],
  );
  const { inFlight, requests } = currentOf(servers);
  assert.deepEqual([inFlight, requests.length], [2, 2]);
  assert.ok(requests.every(({ ageMs }) => ageMs >= 0 && Number.isInteger(ageMs)));
  for (const response of waiting) response.end();
  await waitFor('no requests', servers.current, { until: ({ length }) => length === 0 });
});

test('Express cuts its routers’ part off the URL: the path is the one that the client asked for', async (t) => {
  const port = await listening(
    t,
    createServer((request) => {
      Object.assign(request, { originalUrl: request.url, url: '/cut' });
    }),
  );
  const client = await openBytes(t, port);
  client.socket.write('GET /api/cut?a=1 HTTP/1.1\r\nHost: a\r\n\r\n');
  await waitFor('a request', servers.current, { until: ({ length }) => length === 1 });
  assert.equal(servers.current()[0]?.path, '/api/cut');
});

test('streams of HTTP/2 are told too', async (t) => {
  const port = await listening(
    t,
    createH2cServer(() => {}),
  );
  const session = connectHttp2(`http://127.0.0.1:${port}`);
  t.after(() => session.destroy());
  session.request({ ':path': '/feed?x=1' }).on('error', () => {});
  await waitFor('a stream', servers.current, { until: ({ length }) => length === 1 });
  const [{ method, path } = { method: '', path: '' }] = servers.current();
  assert.deepEqual([method, path], ['GET', '/feed']);
});

test('of many the ten oldest and the ten newest are told, and not more than 200 characters of a path', () => {
  const notes = Array.from({ length: 500 }, (_, index) => ({
    method: 'GET',
    path: `/${index}`,
    begun: index,
  }));
  const told = newestAndOldest([...notes].reverse(), { now: 1_000, tellPath: whole });
  assert.equal(told.length, 20);
  assert.deepEqual(told[0], { method: 'GET', path: '/0', ageMs: 1_000 });
  assert.equal(told[9]?.path, '/9');
  assert.equal(told[10]?.path, '/490');
  assert.deepEqual(told.at(-1), { method: 'GET', path: '/499', ageMs: 501 });
  const [long] = newestAndOldest([{ method: 'GET', path: `/${'x/'.repeat(999)}`, begun: 0 }], { now: 1 });
  assert.equal(long?.path.length, 200);
});

test('of a path its route is told: what may be secret does not leave the worker', () => {
  const secret = { method: 'POST', path: '/reset/kQ2x9vTn', begun: 0 };
  assert.deepEqual(newestAndOldest([secret], { now: 1 }), [{ method: 'POST', path: '/reset/:id', ageMs: 1 }]);
});

test('a debugger finds what is in flight, and nobody else stumbles over it', async () => {
  const process = {};
  exposeCurrent(process, servers);
  assert.deepEqual(Object.keys(process), []);
  await waitFor('the end of what tests before have begun', servers.current, {
    until: ({ length }) => length === 0,
  });
  const name = Symbol.for('rom-agent.inFlight');
  assert.deepEqual((process as Record<symbol, () => unknown>)[name]?.(), { inFlight: 0, requests: [] });
});

test('answers of HTTP/2 are counted with their errors and their latency', async (t) => {
  const session = await serving(t, (stream) => {
    stream.respond({ ':status': 200 });
    stream.end('fine');
  });
  assert.deepEqual(await change(() => ask(session)), { requests: 1, answers: 1, errors: 0, timed: 1 });
});

test('an answer of HTTP/2 with a status of 500 or more is an error', async (t) => {
  const session = await serving(t, (stream) => stream.respond({ ':status': 503 }, { endStream: true }));
  assert.deepEqual(await change(() => ask(session)), { requests: 1, answers: 1, errors: 1, timed: 1 });
});

test('a stream that the app ends with an error is an error', async (t) => {
  const session = await serving(t, (stream) => {
    stream.on('error', () => {});
    stream.destroy(new Error('a bug'));
  });
  assert.deepEqual(await change(() => ask(session)), { requests: 1, answers: 1, errors: 1, timed: 1 });
});

test('a stream that the client gives up is no answer', async (t) => {
  const session = await serving(t, (stream) => stream.on('error', () => {}));
  const seen = await change(async () => {
    const stream = session.request({ ':path': '/' });
    stream.on('error', () => {});
    await waitFor('the request', () => servers.counts().inFlight === 1);
    stream.close(constants.NGHTTP2_CANCEL);
  });
  assert.deepEqual(seen, { requests: 1, answers: 0, errors: 0, timed: 0 });
});

for (const [status, errors] of [
  ['0', 0],
  ['5', 0],
  ['13', 1],
] as const) {
  test(`a call of gRPC that ends with the status ${status} counts as ${errors} errors`, async (t) => {
    const trailers: OutgoingHttpHeaders = { 'grpc-status': status };
    const session = await serving(t, (stream) => {
      stream.respond({ ':status': 200 }, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers(trailers));
      stream.end('message');
    });
    assert.equal((await change(() => ask(session))).errors, errors);
  });
}

async function serving(
  t: TestContext,
  onStream: (stream: ServerHttp2Stream) => void,
): Promise<ClientHttp2Session> {
  const server = createHttp2Server().on('stream', onStream);
  const session = connect(`http://127.0.0.1:${await listening(t, server)}`);
  session.on('error', () => {});
  t.after(() => session.destroy());
  return session;
}

function ask(session: ClientHttp2Session): Promise<void> {
  return new Promise((resolve) => {
    const stream = session.request({ ':path': '/' });
    stream
      .on('error', () => {})
      .on('close', resolve)
      .resume();
  });
}

/** What is counted besides when this is done and nothing is in flight. */
async function change(act: () => Promise<void>): Promise<Change> {
  const before = servers.counts();
  await act();
  await waitFor('the end of the stream', () => servers.counts().inFlight === 0);
  const after = servers.counts();
  const sum = (numbers: readonly number[]): number => numbers.reduce((total, one) => total + one, 0);
  return {
    requests: after.requests - before.requests,
    answers: after.answers - before.answers,
    errors: after.errors - before.errors,
    timed: sum(after.latency) - sum(before.latency),
  };
}

interface Change {
  readonly requests: number;
  readonly answers: number;
  readonly errors: number;
  /** Answers in the latencies. */
  readonly timed: number;
}
