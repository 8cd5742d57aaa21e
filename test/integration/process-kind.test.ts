import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { ask, freePort } from '../support/net.js';
import { waitFor } from '../support/wait.js';
import { type Reloading, reload, serveReloading } from './releases.js';
import {
  begin,
  ended,
  entriesOf,
  fixture,
  patience,
  problems,
  readyPids,
  stopped,
  temporaryDirectory,
  untilStats,
} from './service.js';

const queueWorker = fixture('integration/queue-worker.mjs');
/** Of an app that is no server. The operational routes that the helpers ask for are none of its business. */
const ofProcess = { ROM_AGENT_KIND: 'process', ROM_AGENT_ROUTES_PREFIX: '' };

interface Done {
  readonly pid: number;
  readonly release: string;
  readonly worker: string;
}

/** A queue in a directory, whose workers are fixtures/integration/queue-worker.mjs. */
class Queue {
  readonly #root: string;

  constructor(t: TestContext) {
    this.#root = temporaryDirectory(t);
    for (const name of ['jobs', 'taken', 'done', 'stopping']) mkdirSync(join(this.#root, name));
  }

  get env(): Readonly<Record<string, string>> {
    return { QUEUE: this.#root };
  }

  add(...jobs: readonly string[]): void {
    for (const job of jobs) writeFileSync(join(this.#root, 'jobs', job), '');
  }

  /** What keeps slow jobs is over. */
  letGo(): void {
    writeFileSync(join(this.#root, 'go'), '');
  }

  isDone(job: string): boolean {
    return existsSync(join(this.#root, 'done', job));
  }

  async taken(job: string): Promise<void> {
    await waitFor(`${job} to be taken`, () => existsSync(join(this.#root, 'taken', job)), {
      timeout: patience,
    });
  }

  async done(job: string): Promise<Done> {
    await waitFor(`${job} to be done`, () => this.isDone(job) && this.#read(job) !== '', {
      timeout: patience,
    });
    return JSON.parse(this.#read(job)) as Done;
  }

  /** A worker has heard that it is to end. */
  async stopping(count: number): Promise<void> {
    const heard = () => readdirSync(join(this.#root, 'stopping')).length;
    await waitFor('a worker to hear SIGTERM', heard, { timeout: patience, until: (size) => size >= count });
  }

  #read(job: string): string {
    return readFileSync(join(this.#root, 'done', job), 'utf8');
  }
}

function serveQueue(
  t: TestContext,
  { queue, env = {}, app = queueWorker }: { queue: Queue; env?: Record<string, string>; app?: string },
): Promise<Reloading> {
  return serveReloading(t, { app, env: { ...ofProcess, ...queue.env, ...env } });
}

// They wait more than they work.
describe('an app that is no server', { timeout: 1_800_000, concurrency: 3 }, () => {
  it('finishes its job at a stop, on SIGTERM as under plain Node, and takes no other', async (t) => {
    const queue = new Queue(t);
    const service = await serveQueue(t, { queue, env: { WORKERS: '1' } });
    queue.add('slow-1');
    await queue.taken('slow-1');
    service.daemon.kill('SIGTERM');
    await queue.stopping(1);
    queue.add('quick-2');
    queue.letGo();
    await ended(service.daemon, 0);
    assert.ok(queue.isDone('slow-1'));
    assert.ok(!queue.isDone('quick-2'));
    assert.deepEqual(problems(service.daemon), []);
  });

  it('is restarted after a crash, and after an end of its own, whatever its exit status', async (t) => {
    const queue = new Queue(t);
    const service = await serveQueue(t, { queue, env: { WORKERS: '1' } });
    const pids = [];
    for (const job of ['throw-1', 'exit-2', 'end-3']) {
      pids.push(...(await readyPids(service)));
      queue.add(job);
      await entriesOf(service.daemon, /^worker 1 crashed: /, pids.length);
      await untilStats(
        service,
        'a full set',
        ({ ready, restarts }) => ready === 1 && restarts === pids.length,
      );
    }
    assert.equal(new Set([...pids, ...(await readyPids(service))]).size, 4);
    assert.deepEqual(problems(service.daemon), [
      'worker 1 crashed: Error: a job that cannot be done',
      'worker 1 crashed: ended by itself with code 0',
      'worker 1 crashed: ended by itself with code 0',
    ]);
    await stopped(service);
  });

  it('is replaced where it hangs, with its stack in the log, while its sibling works on', async (t) => {
    const queue = new Queue(t);
    const service = await serveQueue(t, { queue, env: { ROM_AGENT_HANG_TIMEOUT: '6s' } });
    queue.add('spin-1');
    const [entry] = await entriesOf(service.daemon, /^worker \d hung: silent for/, 1);
    assert.match(String(entry?.stack), /spin/);
    queue.add('quick-2');
    await queue.done('quick-2');
    await untilStats(service, 'a full set', ({ ready, restarts }) => ready === 2 && restarts === 1);
    await stopped(service);
  });

  it('is reloaded worker by worker, each of which finishes its job; all of them are of the new release then', async (t) => {
    const queue = new Queue(t);
    const app = join(temporaryDirectory(t), 'app.mjs');
    const release = (name: string) =>
      writeFileSync(app, `process.env.RELEASE = '${name}';\nawait import('${queueWorker}');\n`);
    release('1');
    const service = await serveQueue(t, { queue, app });
    queue.add('slow-1', 'slow-2');
    await Promise.all([queue.taken('slow-1'), queue.taken('slow-2')]);
    release('2');
    assert.deepEqual(await reload(service), { verdict: 'done', generation: 2, reason: '' });
    queue.add('quick-3');
    assert.equal((await queue.done('quick-3')).release, '2');
    queue.letGo();
    for (const job of ['slow-1', 'slow-2']) assert.equal((await queue.done(job)).release, '1');
    assert.deepEqual(problems(service.daemon), []);
    await stopped(service);
  });

  it('stays with its release where the new one throws as soon as it has begun', async (t) => {
    const queue = new Queue(t);
    const app = join(temporaryDirectory(t), 'app.mjs');
    writeFileSync(app, `await import('${queueWorker}');\n`);
    const service = await serveQueue(t, { queue, app });
    const before = await readyPids(service);
    writeFileSync(app, "setImmediate(() => { throw new Error('no broker'); });\n");
    const verdict = await reload(service);
    assert.equal(verdict.verdict, 'rolled back');
    assert.match(verdict.reason, /could not start: Error: no broker$/);
    assert.deepEqual(await readyPids(service), before);
    queue.add('quick-1');
    await queue.done('quick-1');
    await stopped(service);
  });

  it('has a port beside to itself in each slot: a reload hands it on, and a second worker finds it in use', async (t) => {
    const queue = new Queue(t);
    const port = await freePort('127.0.0.1');
    const metrics = async () => (await ask({ port, path: '/' })).text;
    const service = await serveQueue(t, { queue, env: { WORKERS: '1', METRICS_PORT: String(port) } });
    const [before] = await readyPids(service);
    assert.equal(await metrics(), String(before));
    assert.equal((await reload(service)).verdict, 'done');
    const [after] = await readyPids(service);
    assert.notEqual(after, before);
    await waitFor('the new worker alone', metrics, {
      timeout: patience,
      until: (pid) => pid === String(after),
    });
    await stopped(service);
    const two = await begin(t, {
      app: queueWorker,
      env: { ...ofProcess, ...queue.env, METRICS_PORT: String(port) },
    });
    await ended(two.daemon, 69);
    assert.match(two.daemon.output(), new RegExp(`cannot start: 127\\.0\\.0\\.1 port ${port} is in use`));
  });

  it('that does not run ends the start with the reason', async (t) => {
    const app = join(temporaryDirectory(t), 'app.mjs');
    writeFileSync(app, "console.log('a report, and that is all');\n");
    const { daemon } = await begin(t, { app, env: ofProcess });
    await ended(daemon, 70);
    assert.match(daemon.output(), /cannot start: app: it has nothing left to do, .*systemd timer or cron/);
  });

  it('with wait_ready is ready when it says so', async (t) => {
    const app = join(temporaryDirectory(t), 'app.mjs');
    writeFileSync(app, "setInterval(() => {}, 20);\nsetTimeout(() => process.send('ready'), 20);\n");
    const service = await serveReloading(t, { app, env: { ...ofProcess, ROM_AGENT_WAIT_READY: 'on' } });
    assert.deepEqual(problems(service.daemon), []);
    await stopped(service);
  });
});
