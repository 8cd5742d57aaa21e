import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { ReloadRecord, ReloadStep } from '../../src/protocol/reload-record.js';
import { type ClientGroup, describeLoad, startLoad } from '../support/load.js';
import { ask } from '../support/net.js';
import { waitFor } from '../support/wait.js';
import { recordsOf, reload, serveReleases } from './releases.js';
import { patience, readyPids, stopped } from './service.js';

const mirror = { ROM_AGENT_RELOAD_MIRROR: 'safe', ROM_AGENT_RELOAD_SOAK: '100ms' };
const clients: readonly ClientGroup[] = [
  { kind: 'per-connection', count: 3, pauseMs: 5 },
  { kind: 'keep-alive', count: 3, pauseMs: 5 },
];

/** `make test-mirror` has more. */
const runs = Number(process.env.MIRROR_RUNS ?? 1);
/** A reload on a machine that is ten times slower. */
const longestRun = 60_000;

/** Notes each question and who asks it, and answers as `refuses` says. */
const noting = (refuses: boolean): string => `
  import { appendFileSync } from 'node:fs';
  import { join } from 'node:path';
  import { createServer } from 'node:http';
  export default createServer((request, response) => {
    const { method, url, headers } = request;
    const isMirrored = 'x-rom-agent-mirror' in headers;
    if (isMirrored) appendFileSync(join(process.env.NOTES, 'asked'), JSON.stringify({ method, url, headers }) + '\\n');
    if (isMirrored && ${refuses}) response.setHeader('X-Rom-Agent-Mirror', 'refused');
    response.setHeader('Content-Type', 'application/json');
    response.statusCode = isMirrored && ${refuses} ? 204 : 200;
    request.resume().on('end', () => response.end(response.statusCode === 204 ? '' : JSON.stringify({ pid: process.pid })));
  });
`;

describe('with reload.mirror = "safe"', { timeout: 900_000 + 2 * runs * longestRun }, () => {
  it('a release that answers 500 to one request in five is rolled back before a client reaches it', async (t) => {
    const service = await serveReleases(t, { ...mirror, ROM_AGENT_RELOAD_MIRROR_TIME: '10m' });
    const old = await readyPids(service);
    const load = startLoad({
      t,
      port: service.port,
      clients,
      maxMs: 600_000 + runs * longestRun,
      maxRequests: 10_000_000,
    });
    await load.reached(50);
    for (let run = 1; run <= runs; run++) {
      service.tree.publish(`${run + 1}`, 'fails-at-times.mjs');
      const { verdict, reason } = await reload(service);
      assert.equal(verdict, 'rolled back', `run ${run}: ${service.daemon.output().slice(-5_000)}`);
      assert.match(
        reason,
        /^the canary failed \d+ mirrored requests of \d+ that an old worker answered, the reverse 0; the first was GET \/: status 500 instead of 200$/,
      );
    }
    const report = await load.stop();
    t.diagnostic(
      `${runs} reloads, ${report.failed} of ${report.sent} requests failed; load ${machineLoad()}`,
    );
    assert.equal(report.failed, 0, describeLoad(report));
    assert.deepEqual(
      [...report.byPid.keys()].filter((pid) => !old.includes(pid)),
      [],
      'only old workers have answered',
    );
    const steps = (await stepsOf(service, runs + 1)).map(({ step }) => step);
    assert.ok(
      steps.includes('mirror') && !steps.includes('mirrored') && !steps.includes('ready'),
      steps.join(),
    );
    await stopped(service);
  });

  it('a release like the one before is not rolled back', async (t) => {
    const service = await serveReleases(t, { ...mirror, ROM_AGENT_RELOAD_MIRROR_TIME: '10m' });
    const load = startLoad({
      t,
      port: service.port,
      clients,
      maxMs: 600_000 + runs * longestRun,
      maxRequests: 10_000_000,
    });
    await load.reached(50);
    const unwanted: string[] = [];
    for (let run = 1; run <= runs; run++) {
      service.tree.publish(`${run + 1}`, 'good.mjs');
      const { verdict, generation, reason } = await reload(service);
      assert.equal(generation, run + 1);
      if (verdict === 'done') continue;
      const steps = (await stepsOf(service, generation)).map(({ step, detail }) => `${step} ${detail ?? ''}`);
      unwanted.push(`run ${run}: ${verdict}: ${reason} (${steps.join('; ')}), load ${machineLoad()}`);
    }
    const report = await load.stop();
    t.diagnostic(
      `${runs} reloads, ${unwanted.length} not done; ${report.failed} of ${report.sent} requests failed; load ${machineLoad()}`,
    );
    assert.deepEqual(unwanted, [], service.daemon.output().slice(-20_000));
    assert.equal(report.failed, 0, describeLoad(report));
    await stopped(service);
  });

  it('a good release is asked safe requests alone, with their header, and listens afterwards', async (t) => {
    const env = { ...mirror, ROM_AGENT_RELOAD_MIRROR_TIME: '10m', ROM_AGENT_RELOAD_MIRROR_REQUESTS: '30' };
    const service = await serveReleases(t, { ...env, ROM_AGENT_RELOAD_MIRROR_ROUTES: '/ /shown' });
    const { port, stateDir } = service;
    const load = startLoad({ t, port, clients });
    await load.reached(50);
    service.tree.publish('2', { text: noting(false).replace('process.env.NOTES', JSON.stringify(stateDir)) });
    let isOver = false;
    const others = (async () => {
      while (!isOver) {
        await ask({ port, path: '/shown?token=secret' });
        await ask({ port, path: '/hidden' });
        await ask({ port, path: '/', headers: { Cookie: 'session=1' } });
        await ask({ port, path: '/', headers: { 'X-Api-Key': '1' } });
        await ask({ port, path: '/', method: 'POST' });
      }
    })();
    assert.deepEqual(await reload(service), { verdict: 'done', generation: 2, reason: '' });
    isOver = true;
    await others;
    await load.stop();
    const asked = readFileSync(join(stateDir, 'asked'), 'utf8').trim().split('\n').map(parsed);
    assert.ok(asked.length >= 30);
    assert.deepEqual([...new Set(asked.map(({ method }) => method))], ['GET']);
    assert.deepEqual(
      asked.filter(({ url }) => url !== '/' && url !== '/shown?token=secret'),
      [],
    );
    assert.deepEqual(
      asked.filter(({ headers }) => 'cookie' in headers || 'x-api-key' in headers),
      [],
    );
    const steps = (await stepsOf(service, 2)).map(({ step }) => step);
    assert.ok(steps.indexOf('mirror') < steps.indexOf('mirrored'), steps.join());
    assert.ok(steps.indexOf('mirrored') < steps.indexOf('ready'), steps.join());
    assert.ok(!service.daemon.output().includes('secret'), 'query strings are in no log');
    await stopped(service);
  });

  it('an app that refuses, and a service that nobody asks, reload as without a mirror', async (t) => {
    const service = await serveReleases(t, { ...mirror, ROM_AGENT_RELOAD_MIRROR_TIME: '6s' });
    const { port, stateDir } = service;
    service.tree.publish('2', { text: noting(true).replace('process.env.NOTES', JSON.stringify(stateDir)) });
    const load = startLoad({ t, port, clients });
    await load.reached(20);
    assert.deepEqual(await reload(service), { verdict: 'done', generation: 2, reason: '' });
    assert.match(
      await mirroredOf(service, 2),
      /^not judged, too few requests: 0 requests compared, .*\d+ refused/,
    );
    const report = await load.stop();
    assert.equal(report.failed, 0, describeLoad(report));
    service.tree.publish('3', 'good.mjs');
    assert.equal((await reload(service)).verdict, 'done');
    assert.match(await mirroredOf(service, 3), /^not judged, too few requests: 0 requests compared/);
    await stopped(service);
  });
});

/** Averages over 1, 5 and 15 minutes. */
function machineLoad(): string {
  return loadavg()
    .map((average) => average.toFixed(1))
    .join(' ');
}

/** Of the reload to that generation; the file is written after the log line. */
async function stepsOf(
  service: Parameters<typeof recordsOf>[0],
  generation: number,
): Promise<readonly ReloadStep[]> {
  const of = (): ReloadRecord | undefined =>
    recordsOf(service).find((record) => record.generation === generation && record.verdict !== null);
  const record = await waitFor(`the record of generation ${generation}`, of, { timeout: patience });
  return record?.steps ?? [];
}

async function mirroredOf(service: Parameters<typeof recordsOf>[0], generation: number): Promise<string> {
  const steps = await stepsOf(service, generation);
  return steps.find(({ step }) => step === 'mirrored')?.detail ?? '';
}

function parsed(line: string): { readonly method: string; readonly url: string; readonly headers: object } {
  return JSON.parse(line);
}
