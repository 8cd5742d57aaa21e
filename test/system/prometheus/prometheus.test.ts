import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, type TestContext, test } from 'node:test';
import { metricsExample } from '../../../src/control/metrics-schema.js';
import { families } from '../../../src/metrics/families.js';
import { renderMetrics } from '../../../src/metrics/render.js';
import { ask, freePort } from '../../support/net.js';
import { fixtures, plainEnvironment, repoRoot, signalPid, startDaemon } from '../../support/process.js';
import { waitFor } from '../../support/wait.js';
import { needsPrograms } from '../systemd/requirements.js';

const needed = needsPrograms('prometheus', 'promtool');
const shipped = join(repoRoot, 'packaging', 'prometheus');
const patience = 300_000;
/** The app's own metrics of a worker, which could not be read. */
const exampleApp = [{ worker: 1, json: null, failure: 'it did not answer' }];

test('the alerts fire when they should, and not before', needed, () => {
  const { status, stdout, stderr } = promtool(['test', 'rules', 'rom-agent.rules.test.yml']);
  assert.equal(status, 0, `${stdout}${stderr}`);
});

test('the example of a configuration is one', needed, () => {
  const { status, stdout, stderr } = promtool(['check', 'config', 'prometheus.yml']);
  assert.equal(status, 0, `${stdout}${stderr}`);
});

test('a real Prometheus has each metric under its name, with a type and a help', needed, async (t) => {
  // Deploys, leaks, a fleet's queues: no one service has all of it.
  const port = await servedBy(t, () => renderMetrics({ ...metricsExample, app: exampleApp }));
  const { api, query, until } = asking(await startPrometheus(t, port));
  await until('count({job="rom-agent"})', (value) => value > 0);
  for (const { name, type, help } of families) {
    const ofSample = type === 'histogram' ? `${name}_count` : name;
    assert.ok((await query(ofSample)).length > 0, ofSample);
    const [entry] = (await api<Record<string, unknown[]>>(`metadata?metric=${name}`))[name] ?? [];
    assert.deepEqual(entry, { type, help, unit: '' });
  }
});

describe('a real Prometheus', { ...needed, timeout: 1_800_000 }, () => {
  let site: Site;
  before(async () => {
    site = await begin();
  });
  after(() => site.end());

  test('reads what a service with an app of its own says, and promtool has nothing against it', async () => {
    const { text } = await ask({ port: site.port, path: '/_ops/metrics' });
    // prom-client's own metrics have names that promtool does not like.
    const own = text.slice(0, text.indexOf('# HELP process_'));
    const { status, stdout, stderr } = promtool(['check', 'metrics'], own);
    assert.deepEqual([status, stdout, stderr], [0, '', '']);
  });

  test('draws each graph of the Grafana dashboard', async () => {
    const text = readFileSync(join(repoRoot, 'packaging', 'grafana', 'rom-agent.json'), 'utf8');
    const expressions = [...text.matchAll(/"expr": ("(?:[^"\\]|\\.)*")/g)].map(([, json = '']) =>
      JSON.parse(json),
    );
    assert.ok(expressions.length > 30, `${expressions.length} expressions`);
    for (const expression of expressions) {
      const query = expression
        .replaceAll('$job', '.*')
        .replaceAll('$instance', '.*')
        .replaceAll('$__rate_interval', '1m')
        .replaceAll('$__range', '1h');
      const found = await site.query(query);
      // Marks of something that has not happened.
      if (!/ > 0$/.test(query)) assert.ok(found.length > 0, `nothing: ${query}`);
    }
  });

  test('sees no counter go back by a reload, a crash and a worker that is killed', async () => {
    const orders = 'sum(rom_agent_http_requests_total{route="/orders/:id"})';
    const told = site.orders;
    await site.until(orders, (value) => value === told);
    site.daemon.kill('SIGHUP');
    await site.daemon.waitForLine(/"msg":"reload to generation 2\b.* done in /, patience);
    await ask({ port: site.port, path: '/throw' });
    await site.until('sum(rom_agent_worker_restarts_total{cause="crash"})', (value) => value === 1);
    const { text } = await ask({ port: site.port, path: '/' });
    signalPid(Number(text), 'SIGKILL');
    await site.until('sum(rom_agent_worker_restarts_total{cause="crash"})', (value) => value === 2);
    await site.until('sum(rom_agent_workers_ready)', (value) => value === 2);
    for (let nth = 0; nth < 10; nth++) await ask({ port: site.port, path: `/orders/${nth}` });
    await site.until(orders, (value) => value === told + 10);
    for (const metric of families.filter(({ type }) => type !== 'gauge')) {
      const name = metric.type === 'histogram' ? `${metric.name}_count` : metric.name;
      const resets = await site.query(`resets(${name}[1h]) > 0`);
      assert.deepEqual(resets, [], name);
    }
    assert.deepEqual(await site.query('resets(shop_orders_total[1h]) > 0'), []);
  });

  test('alerts of what has happened', async () => {
    await site.until('count(ALERTS{alertname="RomAgentCrashLoop"}) or vector(0)', (value) => value === 0);
    await ask({ port: site.port, path: '/throw' });
    await site.until('sum(rom_agent_worker_restarts_total{cause="crash"})', (value) => value === 3);
    await site.until(
      'count(ALERTS{alertname="RomAgentCrashLoop",alertstate="firing"})',
      (value) => value === 1,
    );
  });
});

interface Series {
  readonly metric: Readonly<Record<string, string>>;
  readonly value: readonly [at: number, value: string];
}

type Site = Awaited<ReturnType<typeof begin>>;

/** A service with metrics of its own, some requests, and a Prometheus that scrapes it every second. */
async function begin() {
  const cleanUps: (() => void)[] = [];
  const t = { after: (hook: () => void) => void cleanUps.push(hook) } as TestContext;
  const end = (): void => {
    for (const cleanUp of cleanUps.splice(0).reverse()) cleanUp();
  };
  process.once('exit', end);
  const port = await freePort('127.0.0.1');
  const daemon = startDaemon({
    t,
    args: ['serve', join(fixtures, 'integration', 'with-prom-client.mjs')],
    env: {
      PORT: String(port),
      HOST: '127.0.0.1',
      WORKERS: '2',
      ROM_AGENT_ROUTES_PREFIX: '/_ops',
      ROM_AGENT_METRICS_APP: 'on',
      ROM_AGENT_RELOAD_SOAK: '0',
      ROM_AGENT_RESTART_INTENSITY: '100',
      ROM_AGENT_HANG_TIMEOUT: '5m',
      ROM_AGENT_RELOAD_PROBE_TIMEOUT: '5m',
    },
  });
  await daemon.waitForLine(/"msg":"serving with/, patience);
  const own = await startPrometheus(t, port);
  const { api, query, until } = asking(own);
  for (const path of ['/orders/1', '/orders/2', '/fail', '/', '/nothing']) await ask({ port, path });
  // A rate needs two scrapes, and garbage is collected when there is some.
  await until(
    'min(count_over_time(rom_agent_http_requests_total{route="/orders/:id"}[1h]))',
    (value) => value >= 3,
  );
  const more = 2_000;
  for (let nth = 0; nth < more; nth++) await ask({ port, path: `/orders/${nth}` });
  await until('sum(rom_agent_gc_pause_seconds_count)', (value) => value > 0);
  await until('min(count_over_time(rom_agent_gc_pause_seconds_count[1h]))', (value) => value >= 2);
  return { daemon, port, orders: 2 + more, api, query, until, end };
}

/** The questions to a Prometheus. */
function asking(port: number) {
  const api = async <Data>(path: string): Promise<Data> => {
    const { json, text } = await ask({ port, path: `/api/v1/${path}` });
    const { status, data } = json as { status: string; data: Data };
    assert.equal(status, 'success', `${path}: ${text}`);
    return data;
  };
  const query = async (expression: string): Promise<readonly Series[]> =>
    (await api<{ result: Series[] }>(`query?query=${encodeURIComponent(expression)}`)).result;
  const until = (expression: string, is: (value: number) => boolean) =>
    waitFor(expression, async () => Number((await query(expression))[0]?.value[1]), {
      timeout: patience,
      until: is,
    });
  return { api, query, until };
}

/** An HTTP server that answers with this text. */
async function servedBy(t: TestContext, text: () => string): Promise<number> {
  const server = createServer((_, response) => response.end(text()));
  t.after(() => void server.close());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

/** With the shipped rules, and the shipped configuration but for how often it scrapes, and whom. */
async function startPrometheus(t: TestContext, target: number): Promise<number> {
  const directory = mkdtempSync(join(tmpdir(), 'rom-agent-prometheus-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  cpSync(join(shipped, 'rom-agent.rules.yml'), join(directory, 'rom-agent.rules.yml'));
  const configuration = readFileSync(join(shipped, 'prometheus.yml'), 'utf8')
    .replace('localhost:3000', `127.0.0.1:${target}`)
    .replace('scrape_interval: 15s', 'scrape_interval: 1s')
    .replace('scrape_timeout: 5s', 'scrape_timeout: 1s');
  writeFileSync(join(directory, 'prometheus.yml'), `global: { evaluation_interval: 1s }\n${configuration}`);
  const port = await freePort('127.0.0.1');
  const child = spawn(
    'prometheus',
    [
      `--config.file=${directory}/prometheus.yml`,
      `--storage.tsdb.path=${directory}/data`,
      `--web.listen-address=127.0.0.1:${port}`,
      '--log.level=warn',
    ],
    { cwd: directory, env: plainEnvironment(), stdio: ['ignore', 'inherit', 'inherit'] },
  );
  t.after(() => child.kill('SIGKILL'));
  const isReady = async (): Promise<boolean> =>
    (await ask({ port, path: '/-/ready' }).catch(() => ({ status: 0 }))).status === 200;
  await waitFor('Prometheus', isReady, { timeout: patience, until: (ready) => ready });
  return port;
}

function promtool(args: readonly string[], input = '') {
  return spawnSync('promtool', args, { cwd: shipped, encoding: 'utf8', input });
}
