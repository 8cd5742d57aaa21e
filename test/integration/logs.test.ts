import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { closeSync, constants, openSync, readdirSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { startLoad } from '../support/load.js';
import { ask, freePort } from '../support/net.js';
import { Daemon, mainPath, plainEnvironment } from '../support/process.js';
import { waitFor } from '../support/wait.js';
import { hasCommand, startOnTerminal } from './run.js';
import {
  begin,
  ended,
  entries,
  entriesOf,
  nothingLeft,
  patience,
  readyPids,
  type Service,
  serve,
  stats,
  stopped,
  temporaryDirectory,
} from './service.js';

const bannerText = /ROM Agent \d+\.\d+\.\d+/;

describe('the log on a pipe', { timeout: 1_800_000 }, () => {
  it('is JSON, with the PID and the role or the worker in every line', async (t) => {
    const service = await serve(t, { env: { LOG_LEVEL: 'debug' } });
    const pids = await readyPids(service);
    await orphan(service);
    const { daemon } = service;
    const log = entries(daemon);
    assert.equal(log.length, daemon.lines.length, `every line is an entry:\n${daemon.output()}`);
    for (const { level, time, msg, pid, role, worker } of log) {
      assert.match(level, /^(debug|info|warn)$/);
      assert.equal(new Date(time).toISOString(), time);
      assert.ok(msg.length > 0);
      assert.equal(pid, role === 'master' ? daemon.pid : pids[Number(worker) - 1]);
    }
    assert.deepEqual(new Set(log.map(({ pid }) => pid)), new Set([daemon.pid, ...pids]));
  });

  it('has no banner', async (t) => {
    const { daemon } = await begin(t, { env: { LOG_FORMAT: 'pretty' } });
    await daemon.waitForLine(/INFO +master \d+ serving with 2 workers/, patience);
    daemon.kill();
    await ended(daemon, 0);
    assert.doesNotMatch(daemon.output(), /ROM Agent/);
  });

  it('has a line of statistics at the interval', async (t) => {
    const before = performance.now();
    const service = await serve(t, { env: { ROM_AGENT_LOG_STATS_INTERVAL: '1s' } });
    for (let nth = 0; nth < 10; nth += 1) await ask({ port: service.port, path: '/healthz' });
    const [first] = await entriesOf(service.daemon, /^statistics: /, 3);
    // Not by the time in an entry: one that is late comes close to the next.
    assert.ok(performance.now() - before >= 2_900, 'one a second');
    assert.match(
      first?.msg ?? '',
      /^statistics: 2 of 2 workers ready, generation 1, \d+ req\/s, 0 restarts$/,
    );
    const [counted] = await entriesWith(service.daemon, 'requests', 10);
    assert.deepEqual([counted?.role, typeof counted?.rssBytes], ['master', 'number']);
    await stopped(service);
  });

  it('that nobody reads holds up neither requests nor the stop', async (t) => {
    const pipe = fullPipe(t);
    const port = await freePort('127.0.0.1');
    const env = {
      HOST: '127.0.0.1',
      PORT: String(port),
      WORKERS: '2',
      LOG_LEVEL: 'trace',
      ROM_AGENT_LOG_STATS_INTERVAL: '1s',
    };
    const child = spawn(process.execPath, [mainPath, 'serve'], {
      env: { ...plainEnvironment(), ...env },
      detached: true,
      stdio: ['ignore', pipe.writeEnd, 'ignore'],
    });
    const daemon = new Daemon(child);
    t.after(() => daemon.killGroup('SIGKILL'));
    const service = { daemon, port, routes: '' };
    await waitFor('the workers', () => stats(service), {
      timeout: patience,
      until: ({ ready }) => ready === 2,
    });
    const load = startLoad({ port, path: '/api/info', clients: [{ kind: 'per-connection', count: 8 }] });
    await load.reached(2_000, patience);
    process.kill((await readyPids(service))[0] ?? 0, 'SIGKILL');
    await waitFor('the restart', () => stats(service), {
      timeout: patience,
      until: ({ ready, restarts }) => ready === 2 && restarts === 1,
    });
    await load.stop();
    pipe.assertFull();
    await stopped(service);
  });
});

describe('the log in files', { timeout: 1_800_000 }, () => {
  it('is one a day, with whole lines of every process', async (t) => {
    const directory = join(temporaryDirectory(t), 'logs');
    const service = await serve(t, { env: { LOG_DIR: directory } });
    const pids = await readyPids(service);
    await orphan(service);
    const files = readdirSync(directory);
    // At midnight there may be two.
    for (const file of files) assert.match(file, /^\d{4}-\d\d-\d\d\.log$/);
    const text = files
      .sort()
      .map((file) => readFileSync(join(directory, file), 'utf8'))
      .join('');
    assert.ok(text.endsWith('\n'));
    const lines = text.trimEnd().split('\n');
    const log = entries({ lines });
    assert.equal(log.length, lines.length, text);
    assert.deepEqual(new Set(log.map(({ pid }) => pid)), new Set([service.daemon.pid, ...pids]));
    assert.deepEqual(new Set(lines), new Set(service.daemon.stdout), 'the same on standard output');
  });
});

describe('the log on a terminal', {
  timeout: 1_800_000,
  skip: !hasCommand('script') && 'no script(1) here',
}, () => {
  it('is for people, with a banner that says how many serve where', async (t) => {
    const port = await freePort('127.0.0.1');
    const daemon = startOnTerminal(t, { HOST: '127.0.0.1', PORT: String(port), WORKERS: '2' });
    const text = () => daemon.output();
    await waitFor('the banner', () => /drains and stops/.test(text()), { timeout: patience });
    assert.match(plain(text()), bannerText);
    assert.match(plain(text()), /2 workers serve \(cluster, master \d+\)/);
    assert.ok(plain(text()).includes(`http://127.0.0.1:${port}`));
    assert.match(plain(text()), /^\d\d:\d\d:\d\d\.\d{3} INFO +master \d+ serving with 2 workers/m);
    assert.notEqual(plain(text()), text(), 'coloured');
    const master = Number(/master (\d+)\)/.exec(plain(text()))?.[1]);
    process.kill(master, 'SIGTERM');
    assert.deepEqual(await daemon.waitForExit(patience), { code: 0, signal: null }, text());
    assert.match(plain(text()), /INFO +master \d+ stopped/);
  });

  it('has no colours where NO_COLOR is set', async (t) => {
    const daemon = startOnTerminal(t, { HOST: '127.0.0.1', PORT: '0', WORKERS: '1', NO_COLOR: '1' });
    const text = () => daemon.output();
    await waitFor('the banner', () => /drains and stops/.test(text()), { timeout: patience });
    assert.equal(plain(text()), text());
  });
});

/** Kills the master: the workers have something to say then. */
async function orphan({ daemon }: Service): Promise<void> {
  await entriesOf(daemon, /^serving/, 1);
  daemon.kill('SIGKILL');
  await nothingLeft(daemon);
  await entriesOf(daemon, /^the master is gone/, 2);
}

function plain(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what is to be removed
  return text.replaceAll(/\x1b\[[\d;]*m/g, '');
}

function entriesWith(daemon: Daemon, field: string, least: number) {
  return waitFor(
    `an entry with ${least} ${field}`,
    () => entries(daemon).filter((entry) => Number(entry[field]) >= least),
    { timeout: patience, until: ({ length }) => length > 0 },
  );
}

/** A pipe that is full from the start, and whose reader never reads. */
function fullPipe(t: TestContext) {
  const path = join(temporaryDirectory(t), 'log');
  execFileSync('mkfifo', [path]);
  const readEnd = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
  t.after(() => closeSync(readEnd));
  const fill = (): number => {
    for (let written = 0; ; written += 1) {
      try {
        writeSync(readEnd, 'x');
      } catch {
        return written;
      }
    }
  };
  fill();
  const writeEnd = openSync(path, constants.O_WRONLY);
  t.after(() => closeSync(writeEnd));
  return { writeEnd, assertFull: () => assert.equal(fill(), 0, 'the pipe is full still') };
}
