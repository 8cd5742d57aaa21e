import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { describeLoad, startLoad } from '../../support/load.js';
import { freePort } from '../../support/net.js';
import { plainEnvironment, repoRoot, signalPid } from '../../support/process.js';
import { waitFor } from '../../support/wait.js';
import { needsPrograms } from '../systemd/requirements.js';
import {
  askOverTls,
  clients,
  echo,
  makeCertificate,
  openWebSocket,
  replaced,
  type Service,
  startService,
} from './service.js';

const needed = needsPrograms('haproxy', 'openssl');
const example = readFileSync(join(repoRoot, 'packaging', 'haproxy', 'haproxy.cfg'), 'utf8');

test('reloads of one service and the stop of the other lose no request behind HAProxy', needed, async (t) => {
  const services = [await startService(t), await startService(t)] as const;
  const { port, ca, lines } = await startHaproxy(t, services);
  const load = startLoad({ t, port, ca, clients, maxMs: 600_000 });
  for (let round = 0; round < 3; round++) {
    await load.reached(50);
    await services[0].reload();
  }
  services[1].daemon.kill('SIGTERM');
  assert.equal((await services[1].daemon.waitForExit()).code, 0);
  await waitFor('HAProxy to miss the server', () => lines.some((line) => /shop\/two is DOWN/.test(line)));
  await load.reached(50);
  const report = await load.stop();
  assert.deepEqual([report.failed, report.refused], [0, 0], describeLoad(report));
});

test('a WebSocket goes through HAProxy, which hides the operational routes', needed, async (t) => {
  const { port, ca } = await startHaproxy(t, [await startService(t), await startService(t)]);
  const socket = await openWebSocket({ port, ca });
  t.after(() => socket.terminate());
  assert.equal(await echo(socket, 'hello'), 'hello');
  assert.equal((await askOverTls({ port, ca, path: '/_ops/readyz' })).status, 403);
  const { headers } = JSON.parse((await askOverTls({ port, ca, path: '/' })).text);
  assert.deepEqual([headers['x-forwarded-for'], headers['x-forwarded-proto']], ['127.0.0.1', 'https']);
});

interface Proxy {
  readonly port: number;
  readonly ca: string;
  /** What it said about its servers. */
  readonly lines: readonly string[];
}

/** The shipped example on other ports, with a certificate of the test. Resolves once both servers have passed a check. */
async function startHaproxy(t: TestContext, [one, two]: readonly [Service, Service]): Promise<Proxy> {
  const { files, ca } = makeCertificate(t);
  const directory = mkdtempSync(join(tmpdir(), 'rom-agent-haproxy-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const ports = { http: await freePort('127.0.0.1'), https: await freePort('127.0.0.1') };
  const config = join(directory, 'haproxy.cfg');
  const changed = replaced(example, [
    ['maxconn 10000', 'maxconn 1000'],
    ['global\n', 'global\n  log stdout format raw local0 notice\n'],
    ['defaults\n', 'defaults\n  log global\n'],
    ['bind :80\n', `bind 127.0.0.1:${ports.http}\n`],
    ['bind :443 ', `bind 127.0.0.1:${ports.https} `],
    ['/etc/haproxy/shop.example.pem', files.both],
    ['10.0.0.11:3000', `127.0.0.1:${one.port}`],
    ['10.0.0.12:3000', `127.0.0.1:${two.port}`],
  ]);
  writeFileSync(config, changed);
  const child = spawn('haproxy', ['-db', '-f', config], {
    env: { ...plainEnvironment(), PATH: `${process.env.PATH}:/usr/sbin` },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  t.after(() => child.pid !== undefined && signalPid(child.pid, 'SIGKILL'));
  const lines: string[] = [];
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => lines.push(...text.split('\n')));
  const ended = once(child, 'exit').then(([code]) => {
    throw new Error(`haproxy ended with ${code}: ${lines.join('\n')}`);
  });
  ended.catch(() => {});
  const answers = () => askOverTls({ port: ports.https, ca, path: '/' }).then(({ status }) => status === 200);
  await Promise.race([waitFor('HAProxy', answers), ended]);
  return { port: ports.https, ca, lines };
}
