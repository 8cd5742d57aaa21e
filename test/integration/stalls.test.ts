import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { transformSync } from 'esbuild';
import { WebSocket } from 'ws';
import { ask } from '../support/net.js';
import { waitFor } from '../support/wait.js';
import { hasCommand } from './run.js';
import {
  type Entry,
  entries,
  fixture,
  patience,
  patient,
  type Service,
  serve,
  stopped,
  temporaryDirectory,
  untilStats,
} from './service.js';

const app = fixture('integration/stalls.mjs');
const env = { ...patient, WORKERS: '1', ROM_AGENT_HEALTH_STALL_REPORT: '50ms' };

/**
 * The entry about a stall in this function, for which `path` is asked again and again: whether a look falls into a stall is up
 * to the machine, and the thread that looks may get no CPU in the meantime. Others may come before it: the first request
 * compiles the app.
 */
async function stallIn(service: Service, name: string, path = `/${name}`): Promise<Entry> {
  const pattern = new RegExp(`^worker 1 stalled: event loop blocked for \\d+ ms in ${name} `);
  const told = () => entries(service.daemon).find(({ msg }) => pattern.test(msg));
  for (let wait = 500; told() === undefined; wait *= 1.5) {
    assert.ok(wait < 20_000, `no stall is told to be in ${name}:\n${service.daemon.output()}`);
    await ask({ port: service.port, path, timeout: patience });
    await waitFor('its entry', told, { timeout: wait }).catch(() => {});
  }
  return told() ?? assert.fail();
}

function lineOf(path: string, text: string): number {
  return (
    readFileSync(path, 'utf8')
      .split('\n')
      .findIndex((line) => line.includes(text)) + 1
  );
}

function stallCount({ daemon }: Service): number {
  return entries(daemon).filter(({ msg }) => / stalled: /.test(msg)).length;
}

describe('a blocked event loop', { timeout: 1_800_000 }, () => {
  it('is told by its function, file, line and requests, whatever it is blocked by', async (t) => {
    const service = await serve(t, { app, env });
    const blocks = {
      importOrders: 'orders.filter(',
      checkName: '.test(',
      hashPassword: 'pbkdf2Sync(',
      computeReport: 'while (spent()',
    };
    for (const [name, line] of Object.entries(blocks)) {
      const entry = await stallIn(service, name, `/${name}?password=secret`);
      assert.equal(entry.level, 'warn');
      const [, place = '', at = ''] = /\((.*):(\d+):\d+\)/.exec(entry.msg) ?? [];
      assert.equal(place, app);
      // Within a loop any of its lines may be the one.
      assert.ok(Math.abs(Number(at) - lineOf(app, line)) <= 2, entry.msg);
      assert.match(String(entry.requests), /GET \/importOrders|GET \/\w+ [\d.]+ s/);
      assert.doesNotMatch(JSON.stringify(entry), /secret/);
    }
    const { stalls } = await untilStats(service, 'the stalls', ({ stalls }) =>
      Object.keys(blocks).every((name) => stalls.some((stall) => stall.function === name)),
    );
    assert.ok(stalls.every(({ worker, tookMs }) => worker === 1 && tookMs >= 50));
    await stopped(service);
  });

  it('of an app compiled from TypeScript is told by the line of the source', async (t) => {
    const home = temporaryDirectory(t);
    const source = `import { createServer } from 'node:http';

interface Order { readonly id: number }

function sumUp(orders: readonly Order[]): number {
  const spent = (): number => process.cpuUsage().user / 1_000;
  const end = spent() + 700;
  let sum = 0;
  while (spent() < end) for (const { id } of orders) sum += id;
  return sum;
}

createServer((_req, res) => res.end(String(sumUp([{ id: 1 }, { id: 2 }])))).listen(process.env.PORT, '127.0.0.1');
`;
    const { code } = transformSync(source, { loader: 'ts' });
    const { map } = transformSync(source, { loader: 'ts', sourcemap: true, sourcefile: '../src/app.ts' });
    for (const folder of ['src', 'dist']) mkdirSync(join(home, folder));
    writeFileSync(join(home, 'src/app.ts'), source);
    writeFileSync(join(home, 'dist/app.mjs'), `${code}//# sourceMappingURL=app.mjs.map\n`);
    writeFileSync(join(home, 'dist/app.mjs.map'), map);
    for (const nodeOptions of ['', '--enable-source-maps']) {
      const service = await serve(t, {
        app: join(home, 'dist/app.mjs'),
        env: { ...env, NODE_OPTIONS: nodeOptions },
      });
      const entry = await stallIn(service, 'sumUp', '/');
      assert.match(entry.msg, /\(.*\/src\/app\.ts:9:\d+\)/, nodeOptions);
      await stopped(service);
    }
  });

  it('that waits for a file is told by the function that reads it', {
    skip: !hasCommand('mkfifo') && 'no mkfifo(1) here',
  }, async (t) => {
    const service = await serve(t, { app, env });
    const path = join(temporaryDirectory(t), 'pipe');
    execFileSync('mkfifo', [path]);
    const told = () => entries(service.daemon).find(({ msg }) => / stalled: .* in readConfig /.test(msg));
    // On a busy machine the thread that watches may get no CPU in the meantime: then no function is named.
    for (let hold = 500; told() === undefined; hold *= 2) {
      assert.ok(hold < 20_000, service.daemon.output());
      const answer = ask({ port: service.port, path: `/readConfig?of=${path}`, timeout: patience });
      // Waits for the reader.
      const pipe = await open(path, 'w');
      await sleep(hold);
      await pipe.writeFile('a row\n'.repeat(1_000));
      await pipe.close();
      assert.equal((await answer).text, '1000');
      await waitFor('its entry', told, { timeout: hold }).catch(() => {});
    }
    assert.ok(told()?.msg.includes(app), service.daemon.output());
    await stopped(service);
  });

  it('is not reported while it stands at a breakpoint of a debugger', async (t) => {
    const service = await serve(t, { app, env: { ...env, ROM_AGENT_NODE_ARGS: '--inspect=127.0.0.1:0' } });
    const { workers } = await untilStats(service, 'a worker', ({ ready }) => ready === 1);
    const listening = /Debugger listening on (ws:\S+)/;
    const [, url = ''] = listening.exec(await service.daemon.waitForLine(listening, patience)) ?? [];
    const inspector = new WebSocket(url);
    await once(inspector, 'open');
    t.after(() => inspector.terminate());
    const reported = stallCount(service);
    const paused = new Promise<void>((resolve) =>
      inspector.on('message', (data) => {
        if (JSON.parse(String(data)).method === 'Debugger.paused') resolve();
      }),
    );
    const post = (id: number, method: string): void => inspector.send(JSON.stringify({ id, method }));
    post(1, 'Debugger.enable');
    post(2, 'Debugger.pause');
    const answer = ask({ port: service.port, path: '/unknown', timeout: patience });
    await paused;
    await sleep(1_000);
    post(3, 'Debugger.resume');
    assert.equal((await answer).status, 200);
    const after = await untilStats(service, 'a heartbeat after it', (each) =>
      each.workers.some(({ requests }) => requests > 0),
    );
    assert.equal(after.workers[0]?.pid, workers[0]?.pid);
    assert.equal(stallCount(service), reported);
    // Node waits at its end for a debugger to leave.
    inspector.terminate();
    await stopped(service);
  });

  it('of a process that was stopped is no function of the app', async (t) => {
    const service = await serve(t, { app, env });
    const { workers } = await untilStats(service, 'a worker', ({ ready }) => ready === 1);
    const pid = workers[0]?.pid ?? assert.fail();
    await waitFor(
      'an entry about a process that did not run',
      async () => {
        process.kill(pid, 'SIGSTOP');
        await sleep(500);
        process.kill(pid, 'SIGCONT');
        await sleep(100);
        return entries(service.daemon).some(({ msg }) => msg.includes('did not run for'));
      },
      { timeout: patience },
    );
    await stopped(service);
  });

  it('is told nobody where health.stall_report is 0', async (t) => {
    const service = await serve(t, { app, env: { ...env, ROM_AGENT_HEALTH_STALL_REPORT: '0' } });
    await ask({ port: service.port, path: '/computeReport' });
    const { stalls } = await untilStats(service, 'a heartbeat after it', ({ workers }) =>
      workers.some(({ requests }) => requests > 0),
    );
    assert.deepEqual(stalls, []);
    await stopped(service);
  });
});
