import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { connect } from 'node:http2';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { type ClientGroup, describeLoad, type Load, startLoad } from '../support/load.js';
import { waitFor } from '../support/wait.js';
import {
  mixedClients,
  onlyWorkers,
  releasesServed,
  releaseTree,
  reload,
  serveReleases,
  serveReloading,
  switchTo,
} from './releases.js';
import { entriesOf, lostNothing, patience, readyPids, stopped, temporaryDirectory } from './service.js';

interface Bad {
  readonly release: string | { readonly text: string };
  /** Of the verdict. */
  readonly reason: RegExp;
  readonly env?: Readonly<Record<string, string>>;
  /** Of the bad generation alone: how long its workers may take to listen. */
  readonly bootTimeout?: string;
  readonly clients?: readonly ClientGroup[];
}

/** What a first worker shows before it takes a request. */
const atTheStart: Readonly<Record<string, Bad>> = {
  'throws at its import': {
    release: 'throws.mjs',
    reason: /^worker [12] of generation 2 could not start: Error: no database configured$/,
  },
  'has a syntax error': {
    release: { text: 'export default {;\n' },
    reason: /^worker [12] of generation 2 could not start: SyntaxError: .*app\.mjs:1/,
  },
  'exits with 0 at once': {
    release: 'exits.mjs',
    reason: /^worker [12] of generation 2 could not start: ended by itself with code 0$/,
  },
  'never listens': {
    release: 'never-listens.mjs',
    reason: /^worker [12] of generation 2 could not start: did not listen within 2 s$/,
    bootTimeout: '2s',
  },
  'lacks a package': {
    release: { text: "import 'not-there';\n" },
    reason: /^worker [12] of generation 2 could not start: .*not-there/,
  },
};

describe('a release that', { timeout: 1_800_000 }, () => {
  for (const [name, bad] of Object.entries(atTheStart)) {
    it(`${name} is rolled back, and costs nothing`, async (t) => {
      await lostNothing(await rolledBack(t, bad));
    });
  }

  it('crashes after 2 s is rolled back, and costs nothing: what it had taken it answers before it ends', async (t) => {
    await lostNothing(
      await rolledBack(t, {
        release: 'crashes-later.mjs',
        reason: /^worker 1 of generation 2 died: Error: the cache is full$/,
        env: { ROM_AGENT_RELOAD_SOAK: '20s' },
        clients: [...mixedClients, { kind: 'per-connection', count: 16 }],
      }),
    );
  });

  it('answers no request is rolled back, and costs no more than each client once', async (t) => {
    const clients: ClientGroup[] = [{ kind: 'per-connection', count: 6, pauseMs: 5 }];
    const load = await rolledBack(t, {
      release: 'hangs.mjs',
      reason: /^the canary (failed its probe: GET \/: no answer within 500 ms|did not answer its probe)$/,
      env: {
        ROM_AGENT_RELOAD_SOAK: '20s',
        ROM_AGENT_RELOAD_PROBE_TIMEOUT: '500ms',
        ROM_AGENT_DRAIN_TIMEOUT: '1s',
      },
      clients,
    });
    const report = await load.stop();
    assert.ok(report.failed <= 6, describeLoad(report));
  });
});

describe('under load, a release that', { timeout: 1_800_000 }, () => {
  const clients: ClientGroup[] = [
    { kind: 'per-connection', count: 8, pauseMs: 2 },
    { kind: 'keep-alive', count: 8, pauseMs: 2 },
  ];
  const soak = { ROM_AGENT_RELOAD_SOAK: '20s' };

  it('answers 500 to one request in five costs no more than the share of its first worker', async (t) => {
    const service = await serveReleases(t, soak);
    const old = await readyPids(service);
    const load = startLoad({ t, port: service.port, clients });
    await load.reached(300);
    service.tree.publish('2', 'fails-at-times.mjs');
    const before = load.counts().sent;
    const { verdict, reason } = await reload(service);
    assert.equal(verdict, 'rolled back');
    assert.match(reason, /^\d+ % of the canary's \d+ answers failed, 0 % of the others'$/);
    await onlyWorkers(service);
    const sent = load.counts().sent - before;
    const report = await load.stop();
    const [canary] = [...report.byPid.keys()].filter((pid) => !old.includes(pid));
    assert.ok(canary !== undefined);
    // One in five of its own, and none of anybody else's.
    const ofCanary = (report.byPid.get(canary) ?? 0) + report.failed;
    t.diagnostic(`${report.failed} of ${sent} requests failed; the canary had ${ofCanary}`);
    assert.deepEqual(report.failures, { status: report.failed }, describeLoad(report));
    assert.ok(report.failed > 0 && report.failed <= ofCanary / 5, describeLoad(report));
    // It is one of three workers; who of them takes a connection is the kernel's choice.
    assert.ok(ofCanary <= sent / 2, `${ofCanary} of ${sent}`);
    assert.deepEqual(await readyPids(service), old);
    await stopped(service);
  });

  it('answers slowly is rolled back', async (t) => {
    await lostNothing(
      await rolledBack(t, {
        release: 'slow.mjs',
        reason:
          /^a tenth of the canary's answers took more than \d+ ms, nine tenths of the others' at most \d+ ms$/,
        env: { ...soak, ROM_AGENT_RELOAD_PROBE_TIMEOUT: '2s' },
        clients,
      }),
    );
  });
});

describe('of HTTP/2, a release that', { timeout: 1_800_000 }, () => {
  it('answers 500 only, or only with failed calls of gRPC, is rolled back, as failed answers of its first worker count', async (t) => {
    const tree = releaseTree(t);
    tree.publish('1', { text: http2App('res.writeHead(200).end()') });
    const service = await serveReloading(t, {
      app: tree.app,
      env: { ROM_AGENT_RELOAD_SOAK: '10s', WORKERS: '1' },
    });
    const answers = askOverHttp2(t, service.port);
    await waitFor('answers', () => answers.get(200) ?? 0, {
      timeout: patience,
      until: (count) => count > 300,
    });
    for (const [release, fail] of Object.entries(failing)) {
      tree.publish(release, { text: http2App(fail) });
      const { verdict, reason } = await reload(service);
      assert.equal(verdict, 'rolled back', release);
      assert.match(reason, /^100 % of the canary's \d+ answers failed, 0 % of the others'$/);
    }
    assert.ok((answers.get(500) ?? 0) > 0);
    await stopped(service);
  });
});

describe('what cannot be a release', { timeout: 1_800_000 }, () => {
  it('is refused where there is no such file, and nothing is forked', async (t) => {
    const service = await serveReleases(t);
    const before = await service.daemon.descendants();
    switchTo(service.tree.root, 'not-there');
    service.daemon.kill('SIGHUP');
    const [entry] = await entriesOf(
      service.daemon,
      /^refused: reload: module missing: app: there is no file/,
      1,
    );
    assert.equal(entry?.level, 'warn');
    assert.deepEqual(await service.daemon.descendants(), before);
    switchTo(service.tree.root, '1');
    assert.equal((await reload(service)).verdict, 'done');
    await stopped(service);
  });

  it('is refused where the configuration is wrong, with the field', async (t) => {
    const config = join(temporaryDirectory(t), 'rom-agent.toml');
    writeFileSync(config, 'drain_timeout = "30s"\n');
    const service = await serveReleases(t, { ROM_AGENT_CONFIG: config });
    writeFileSync(config, 'drain_timeout = "soon"\n');
    service.daemon.kill('SIGHUP');
    const [entry] = await entriesOf(service.daemon, /^refused: reload: /, 1);
    assert.match(entry?.msg ?? '', /drain_timeout: "soon" .*rom-agent\.toml.* expected a time from 100ms/);
    assert.deepEqual(await releasesServed(service), ['1']);
    await stopped(service);
  });
});

/** The second is what a failed call of gRPC is: 200, and `grpc-status` behind it (13: INTERNAL). */
const failing: Readonly<Record<string, string>> = {
  '2': 'res.writeHead(500).end()',
  '3': "res.writeHead(200).addTrailers({ 'grpc-status': '13' }); res.end()",
};

function http2App(answer: string): string {
  return `import { createServer } from 'node:http2';
    createServer((_req, res) => { ${answer}; }).listen(process.env.PORT, process.env.HOST);`;
}

/** Asks over a few sessions, each of which comes to its end, until the test ends. Returns the answers by their status. */
function askOverHttp2(t: TestContext, port: number): ReadonlyMap<number, number> {
  const answers = new Map<number, number>();
  let over = false;
  const ask = async (): Promise<void> => {
    const session = connect(`http://127.0.0.1:${port}`).on('error', () => {});
    for (let left = 20; left > 0 && !over && !session.closed && !session.destroyed; left--) {
      const stream = session.request({ ':path': '/' }).on('error', () => {});
      stream.on('response', ({ ':status': status = 0 }) =>
        answers.set(status, (answers.get(status) ?? 0) + 1),
      );
      await new Promise((resolve) => stream.resume().once('close', resolve));
    }
    session.close();
  };
  const goOn = async (): Promise<void> => {
    while (!over) {
      await ask();
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  };
  t.after(() => {
    over = true;
  });
  for (let client = 0; client < 4; client++) void goOn();
  return answers;
}

/** Reloads to it under load: everything is as before, but for the canary. The load runs on. */
async function rolledBack(
  t: TestContext,
  { release, reason, env = {}, clients = mixedClients, bootTimeout = '60s' }: Bad,
): Promise<Load> {
  const config = join(temporaryDirectory(t), 'rom-agent.toml');
  writeFileSync(config, 'boot_timeout = "60s"\n');
  const service = await serveReleases(t, { ...env, ROM_AGENT_CONFIG: config });
  const before = await readyPids(service);
  const load = startLoad({ t, port: service.port, clients });
  await load.reached(300);
  service.tree.publish('2', release);
  writeFileSync(config, `boot_timeout = "${bootTimeout}"\n`);
  const verdict = await reload(service);
  assert.deepEqual([verdict.verdict, verdict.generation], ['rolled back', 2]);
  assert.match(verdict.reason, reason);
  assert.deepEqual(await onlyWorkers(service), before);
  await load.reached(300);
  assert.deepEqual(await releasesServed(service), ['1']);
  return load;
}
