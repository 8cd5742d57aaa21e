import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import {
  connectToEach,
  type Entry,
  entriesOf,
  fixture,
  patience,
  problems,
  readyPids,
  request,
  type Service,
  serve,
  stopped,
  untilStats,
} from './service.js';

const app = fixture('integration/sick.mjs');
/** The last quarter of it is for the look at the worker. */
const env = { ROM_AGENT_HANG_TIMEOUT: '6s' };
const hung = /^worker \d hung: silent for/;

interface Hanging {
  readonly service: Service;
  readonly victim: number;
  /** From the request that hangs to its entry in the log, ms. */
  readonly took: number;
  readonly entry: Entry;
}

/** Has one worker hang in the answer to this path, and waits for what the log says of it. */
async function hanging(t: TestContext, path: string): Promise<Hanging> {
  const service = await serve(t, { app, env });
  const [[victim, connection] = assert.fail()] = await connectToEach(t, service);
  const began = performance.now();
  connection.request(request(path), patience).catch(() => {});
  const [entry = assert.fail()] = await entriesOf(service.daemon, hung, 1);
  return { service, victim, entry, took: performance.now() - began };
}

describe('a hung worker', { timeout: 1_800_000 }, () => {
  it('in a busy loop is killed within its limit, with its stack and its request in one entry', async (t) => {
    const { service, victim, entry, took } = await hanging(t, '/spin?password=secret');
    assert.ok(took > 1_000, `${Math.round(took)} ms`);
    assert.match(entry.msg, /^worker \d hung: silent for [\d.]+ s in spinForEver \(.*\/sick\.mjs:\d+:\d+\)$/);
    assert.equal(entry.level, 'error');
    assert.equal(entry.workerPid, victim);
    assert.match(String(entry.stack), /at spinForEver \(.*sick\.mjs:\d+:\d+\)\n\s+at .*sick\.mjs/);
    assert.match(String(entry.requests), /GET \/spin [\d.]+ s/);
    assert.doesNotMatch(JSON.stringify(entry), /secret/);
    const { deaths, restarts, workers } = await untilStats(
      service,
      'a full set',
      ({ ready, wanted }) => ready === wanted,
    );
    assert.ok(workers.every(({ pid }) => pid !== victim));
    assert.equal(restarts, 1);
    assert.deepEqual(
      deaths.map(({ kind, pid, lost, requests }) => [kind, pid, lost, requests.map(({ path }) => path)]),
      [['hang', victim, 1, ['/spin']]],
    );
    const told = problems(service.daemon).filter(
      (msg) => !/^worker \d is degraded: no heartbeat for/.test(msg),
    );
    assert.deepEqual(told, [entry.msg], 'one entry says it all');
    await stopped(service);
  });

  it('in Atomics.wait() is found there', async (t) => {
    const { service, entry } = await hanging(t, '/wait');
    assert.match(String(entry.stack), /sick\.mjs/);
    await stopped(service);
  });

  it('in a call of the system is told by what it waits for', async (t) => {
    const { service, entry } = await hanging(t, '/block');
    assert.match(entry.msg, /blocked in a system call/);
    assert.match(JSON.stringify(entry), /its child is \\"sh\\" with 2 arguments/);
    assert.doesNotMatch(service.daemon.output(), /sleep 8/);
    await stopped(service);
  });

  it('that was stopped by a signal is told from one that spins', async (t) => {
    const service = await serve(t, { app, env });
    const [victim = assert.fail()] = await readyPids(service);
    process.kill(victim, 'SIGSTOP');
    const [entry = assert.fail()] = await entriesOf(service.daemon, hung, 1);
    assert.match(entry.msg, /stopped by a signal/);
    await untilStats(service, 'a full set', ({ ready, wanted }) => ready === wanted);
    await stopped(service);
  });
});
