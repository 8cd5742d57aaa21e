import assert from 'node:assert/strict';
import { createServer, type RequestListener } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { Server } from 'node:net';
import { test } from 'node:test';
import { probe, proves } from '../../../../src/worker/health/probe.js';
import { certificate } from '../certificate.js';
import { listening, servers } from '../tracking.js';

const seam = { servers, listen: { kind: 'tcp', port: 1, host: null } } as const;
const limit = { path: '/healthz', timeout: 2_000 };

async function probed(t: Parameters<typeof listening>[0], listener: RequestListener, options = limit) {
  await listening(t, createServer(listener));
  return probe(seam, options);
}

test('an app that answers is fine, whatever it answers below 500', async (t) => {
  const asked: string[] = [];
  const { failure, tookMs } = await probed(t, (request, response) => {
    asked.push(`${request.method} ${request.url} ${request.socket.remoteAddress}`);
    response.writeHead(404).end('no such thing');
  });
  assert.equal(failure, null);
  assert.ok(tookMs > 0);
  assert.deepEqual(asked, ['GET /healthz 127.0.0.1']);
});

test('the door of a probe is none of the servers of the app', async (t) => {
  await probed(t, (_request, response) => {
    assert.equal(servers.listening().length, 1);
    response.end();
  });
});

test('500 is a failure that names the path', async (t) => {
  const { failure } = await probed(t, (_request, response) => void response.writeHead(503).end());
  assert.equal(failure, 'GET /healthz was answered with 503');
});

test('no answer is a failure, and so is a connection that is cut', async (t) => {
  const silent = await probed(t, () => {}, { path: '/', timeout: 100 });
  assert.equal(silent.failure, 'GET /: no answer within 100 ms');
});

test('a connection that is cut is a failure', async (t) => {
  const { failure } = await probed(t, (request) => void request.socket.destroy());
  assert.match(failure ?? '', /^GET \/healthz: socket hang up/);
});

test('an answer without an end is an answer', async (t) => {
  const { failure } = await probed(t, (_request, response) => void response.write('data: 1\n\n'), {
    path: '/events',
    // The answer has to begin within it, on a slow machine too.
    timeout: 2_000,
  });
  assert.equal(failure, null);
});

test('TLS is asked by TLS, whatever its certificate says', async (t) => {
  await listening(
    t,
    createTlsServer(await certificate(), (_request, response) => void response.end()),
  );
  assert.equal((await probe(seam, limit)).failure, null);
});

/** A server that takes nobody without a certificate. */
async function mutual() {
  const options = { ...(await certificate()), requestCert: true, rejectUnauthorized: true };
  return createTlsServer(options, () => assert.fail('nobody gets that far'));
}

test('a TLS alert is an answer: who wants certificates refuses those who have none', async (t) => {
  await listening(t, await mutual());
  assert.equal((await probe(seam, limit)).failure, null);
  assert.equal(await proves(seam, { path: null, timeout: 2_000 }), true);
});

test('of several servers the one on the configured port is asked', async (t) => {
  const asked: string[] = [];
  const answer = (name: string) =>
    createServer((_request, response) => {
      asked.push(name);
      response.end();
    });
  await listening(t, answer('metrics'));
  const port = await listening(t, answer('service'));
  const there = { servers, listen: { kind: 'tcp', port, host: null } } as const;
  assert.equal((await probe(there, limit)).failure, null);
  assert.equal(await proves(there, { path: '/', timeout: 2_000 }), true);
  assert.deepEqual(asked, ['service', 'service']);
});

test('a proof comes like any client by the loopback', async (t) => {
  const server = createServer((_request, response) => void response.end());
  const seen: (string | undefined)[] = [];
  server.on('connection', (socket) => seen.push(socket.remoteAddress));
  await listening(t, server);
  assert.equal(await proves(seam, { path: null, timeout: 2_000 }), true);
  assert.deepEqual(seen, ['127.0.0.1']);
});

test('a worker in which nobody listens proves nothing', async () => {
  assert.equal(await proves(seam, { path: null, timeout: 2_000 }), false);
});

test('who speaks no HTTP is not asked', async (t) => {
  await listening(t, new Server());
  assert.equal((await probe(seam, limit)).failure, null);
});

test('a worker proves that its server answers, of which the app hears nothing and nothing is counted', async (t) => {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(request.url ?? '');
    response.end();
  });
  await listening(t, server);
  const before = servers.counts();
  assert.equal(await proves(seam, { path: null, timeout: 2_000 }), true);
  assert.deepEqual(asked, []);
  const { requests, accepted, answers } = servers.counts();
  assert.deepEqual([requests, accepted, answers], [before.requests, before.accepted, before.answers]);
  assert.ok(!Object.hasOwn(server, 'emit'), 'what was put before the app is gone');
});

test('with a path the app itself has to answer, with whatever it likes', async (t) => {
  await listening(
    t,
    createServer((request, response) => {
      if (request.url === '/healthz') response.writeHead(503).end();
    }),
  );
  assert.equal(await proves(seam, { path: '/healthz', timeout: 2_000 }), true);
  assert.equal(await proves(seam, { path: '/never', timeout: 100 }), false);
});

test('over TLS, and where nobody speaks HTTP/1, a proof is possible too', async (t) => {
  await listening(
    t,
    createTlsServer(await certificate(), () => assert.fail('the app is not to be asked')),
  );
  assert.equal(await proves(seam, { path: null, timeout: 2_000 }), true);
});

test('a server of another protocol proves itself by being asked', async (t) => {
  await listening(t, new Server());
  assert.equal(await proves(seam, { path: null, timeout: 2_000 }), true);
});
