import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect } from 'node:http2';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { describeLoad, startLoad } from '../../support/load.js';
import { ask, freePort } from '../../support/net.js';
import { startNginx } from '../../support/nginx.js';
import { repoRoot } from '../../support/process.js';
import { needsPrograms } from '../systemd/requirements.js';
import {
  askOverTls,
  type Certificate,
  clients,
  echo,
  makeCertificate,
  openWebSocket,
  replaced,
  startService,
} from './service.js';

const needed = needsPrograms('nginx', 'openssl');
const example = readFileSync(join(repoRoot, 'packaging', 'nginx', 'rom-agent.conf'), 'utf8');

test('reloads under load behind nginx lose no request, and nginx sees no failure', needed, async (t) => {
  const service = await startService(t);
  const { ports, certificate, nginx } = await startShop(t, service.port);
  const load = startLoad({ t, port: ports.https, ca: certificate.ca, clients, maxMs: 600_000 });
  for (let round = 0; round < rounds; round++) {
    await load.reached(50);
    await service.reload();
  }
  await load.reached(50);
  const report = await load.stop();
  assert.deepEqual([report.failed, report.refused], [0, 0], describeLoad(report));
  assert.equal(await nginx.stop(), '', 'the error log of nginx');
});

test('a WebSocket goes through nginx, and a reload ends it with 1001, going away', needed, async (t) => {
  const service = await startService(t);
  const { ports, certificate } = await startShop(t, service.port);
  const socket = await openWebSocket({ port: ports.https, ca: certificate.ca });
  assert.equal(await echo(socket, 'hello'), 'hello');
  const closed = once(socket, 'close', { signal: AbortSignal.timeout(60_000) });
  await service.reload();
  assert.equal((await closed)[0], 1001);
});

test('the app learns who asks through nginx, whose connections are kept', needed, async (t) => {
  const { port } = await startService(t);
  const { ports, certificate } = await startShop(t, port);
  const answers = [];
  for (let nth = 0; nth < 20; nth++)
    answers.push(await askOverTls({ port: ports.https, path: '/who', ca: certificate.ca }));
  const told = answers.map(({ text }) => JSON.parse(text));
  const { headers, url } = told[0];
  assert.deepEqual(
    [url, headers.host, headers['x-forwarded-for'], headers['x-forwarded-proto'], headers.connection],
    ['/who', 'shop.example', '127.0.0.1', 'https', undefined],
  );
  const connections = new Set(told.map(({ connection }) => connection));
  assert.ok(connections.size < told.length, `${connections.size} connections for ${told.length} requests`);
});

test('nginx speaks HTTP/2 and sends those who come without TLS to where there is TLS', needed, async (t) => {
  const { port } = await startService(t);
  const { ports, certificate } = await startShop(t, port);
  const { status, headers } = await ask({
    port: ports.http,
    path: '/a?b=c',
    headers: { Host: 'shop.example' },
  });
  assert.deepEqual([status, headers.location], [308, 'https://shop.example/a?b=c']);
  const session = connect(`https://localhost:${ports.https}`, { ca: certificate.ca, host: '127.0.0.1' });
  t.after(() => session.destroy());
  const stream = session.request({ ':path': '/' });
  const [answer] = await once(stream, 'response', { signal: AbortSignal.timeout(60_000) });
  assert.equal(answer[':status'], 200);
});

test(
  'the load balancer may ask for readiness through nginx, and nobody for the other routes',
  needed,
  async (t) => {
    const { port } = await startService(t);
    const { ports, certificate } = await startShop(t, port);
    const statusOf = async (path: string) =>
      (await askOverTls({ port: ports.https, path, ca: certificate.ca })).status;
    assert.equal(await statusOf('/_ops/readyz'), 200);
    assert.equal(await statusOf('/_ops/api/cluster/stats'), 403);
    assert.equal(await statusOf('/_ops/healthz'), 403);
  },
);

/** PROXIES_SAMPLE=1: one reload. */
const rounds = process.env.PROXIES_SAMPLE === undefined ? 5 : 1;

interface Shop {
  readonly ports: { readonly http: number; readonly https: number };
  readonly certificate: Certificate;
  readonly nginx: Awaited<ReturnType<typeof startNginx>>;
}

/** The shipped example on other ports, with a certificate of the test. Nothing is sent a second time: a loss is a 502. */
async function startShop(t: TestContext, upstream: number): Promise<Shop> {
  const certificate = makeCertificate(t);
  const ports = { http: await freePort('127.0.0.1'), https: await freePort('127.0.0.1') };
  const shop = replaced(example, [
    ['server 127.0.0.1:3000;', `server 127.0.0.1:${upstream};`],
    ['listen 80;', `listen 127.0.0.1:${ports.http};`],
    ['listen [::]:80;', ''],
    ['listen 443 ssl http2;', `listen 127.0.0.1:${ports.https} ssl http2;`],
    ['listen [::]:443 ssl http2;', ''],
    ['/etc/ssl/certs/shop.example.pem', certificate.files.certificate],
    ['/etc/ssl/private/shop.example.key', certificate.files.key],
  ]);
  const nginx = await startNginx({ t, http: `proxy_next_upstream off;\n${shop}` });
  return { ports, certificate, nginx };
}
