import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { type IncomingMessage, request } from 'node:http';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import type { WorkerStats } from '../../src/protocol/stats.js';
import { ask, freePort } from '../support/net.js';
import { processes } from '../support/proc.js';
import { type Daemon, plainEnvironment, repoRoot } from '../support/process.js';
import { waitFor } from '../support/wait.js';
import { entriesOf, nothingLeft, patience, serve, stats, stopped } from './service.js';

/** The PID of the admin server: the child of the master that is neither a worker nor the shell which reaps these. */
async function adminBelow({
  daemon,
  workers,
}: {
  daemon: Daemon;
  workers: readonly WorkerStats[];
}): Promise<number> {
  const own = new Set(workers.map(({ pid }) => pid));
  const others = async () =>
    (await processes()).filter(
      ({ pid, parent, state, name }) =>
        parent === daemon.pid && state !== 'Z' && name !== 'sh' && !own.has(pid),
    );
  const found = await waitFor('the admin server', others, {
    timeout: patience,
    until: (children) => children.length === 1,
  });
  return found[0]?.pid ?? 0;
}

/** The text of a stream of events as it grows. */
function listenTo(t: TestContext, url: URL, headers: Record<string, string>): () => string {
  let text = '';
  const outgoing = request(
    new URL('/api/events', url),
    { headers, agent: false },
    (incoming: IncomingMessage) => {
      incoming.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      incoming.on('error', () => {});
    },
  );
  outgoing.on('error', () => {});
  outgoing.end();
  t.after(() => outgoing.destroy());
  return () => text;
}

describe('the admin server', { timeout: 1_800_000 }, () => {
  test('is started again when it is killed, and ends with the master; the service does not notice', async (t) => {
    const port = await freePort('127.0.0.1');
    const service = await serve(t, { env: { ROM_AGENT_ADMIN: `127.0.0.1:${port}` } });
    const { daemon } = service;
    await entriesOf(daemon, /^the admin server listens on 127\.0\.0\.1:\d+$/, 1);
    assert.equal((await ask({ port, path: '/metrics' })).status, 200);
    const { workers } = await stats(service);
    const first = await adminBelow({ daemon, workers });
    process.kill(first, 'SIGKILL');
    const [death] = await entriesOf(daemon, /^the admin server ended/, 1);
    assert.match(
      death?.msg ?? '',
      /ended \(SIGKILL\): starting it again in 1 s, the service goes on without it$/,
    );
    await entriesOf(daemon, /^the admin server listens on 127\.0\.0\.1:\d+ again$/, 1);
    assert.notEqual(await adminBelow({ daemon, workers }), first);
    const after = await stats(service);
    assert.deepEqual(
      after.workers.map(({ pid }) => pid),
      workers.map(({ pid }) => pid),
    );
    assert.equal(after.restarts, 0);
    daemon.kill('SIGKILL');
    await nothingLeft(daemon, patience);
  });

  test('of rom-agent dashboard keeps its streams while the daemon is restarted', async (t) => {
    const env = plainEnvironment();
    const service = await serve(t, { env });
    const control = service.control ?? '';
    const main = join(repoRoot, 'dist/cli/main.js');
    const dashboard = spawn(process.execPath, [main, 'dashboard', '--no-open', '--control-socket', control], {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    t.after(() => dashboard.kill('SIGKILL'));
    let printed = '';
    dashboard.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      printed += chunk;
    });
    await waitFor('the URL', () => printed.includes('\n'), { timeout: patience, until: Boolean });
    const url = new URL(printed.trim());
    const token = url.searchParams.get('token') ?? '';
    assert.equal((await ask({ port: Number(url.port), path: '/api/state' })).status, 401);
    const events = listenTo(t, url, { Authorization: `Bearer ${token}` });
    const until = (what: string) =>
      waitFor(what, () => events().includes(what), { timeout: patience, until: Boolean });
    await until('event: sample');
    await stopped(service);
    await until('"state":"lost"');
    await serve(t, { env: { ...env, ROM_AGENT_CONTROL_SOCKET: control } });
    await until('"state":"up"');
    const ended = new Promise((resolve) => dashboard.once('exit', resolve));
    dashboard.kill('SIGINT');
    assert.equal(await ended, 0);
  });
});
