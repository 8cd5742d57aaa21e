import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { markOf } from '../../../src/jobs/processes.js';
import { createRunner } from '../../../src/jobs/runner.js';
import { createScheduler, type Scheduler, type SchedulerSeam } from '../../../src/jobs/scheduler.js';
import { openStore } from '../../../src/jobs/store.js';
import type { JobLine, JobRun } from '../../../src/protocol/jobs.js';
import type { JobConfig } from '../../../src/settings/jobs.js';
import { jobConfig } from './sim.js';

/** Real processes, a state directory, and the system's clock; jobs are asked for, so that nothing has to be waited for. */
const folders = new Set<string>();
after(() => Promise.all([...folders].map((folder) => rm(folder, { recursive: true, force: true }))));

interface Opened {
  readonly scheduler: Scheduler;
  readonly dir: string;
  readonly logs: readonly string[];
}

async function open(
  jobs: readonly JobConfig[],
  given: { dir?: string; zones?: SchedulerSeam['zones'] } = {},
): Promise<Opened> {
  const dir = given.dir ?? (await mkdtemp(join(tmpdir(), 'rom-jobs-')));
  folders.add(dir);
  const logs: string[] = [];
  const say = (message: string): void => void logs.push(message);
  const scheduler = createScheduler({
    store: openStore({ dir, onProblem: (message, error) => assert.fail(`${message}: ${error}`) }),
    runner: createRunner({
      surroundings: () => ({
        cwd: dir,
        env: { PATH: process.env.PATH },
        nodeArgs: () => [],
        url: () => null,
      }),
      cgroups: async () => null,
      procs: () => null,
    }),
    self: await markOf(process.pid),
    cgroups: async () => null,
    procs: () => null,
    now: () => ({ wallMs: Date.now(), ms: performance.now() }),
    wake: timer(),
    log: { info: say, warn: say, error: say },
    ...(given.zones === undefined ? {} : { zones: given.zones }),
  });
  await scheduler.configure(jobs);
  return { scheduler, dir, logs };
}

const timers = new Set<NodeJS.Timeout>();
after(() => {
  for (const each of timers) clearTimeout(each);
});

function timer(): (after: number | null, callback: () => void) => void {
  let current: NodeJS.Timeout | undefined;
  return (delay, callback) => {
    clearTimeout(current);
    if (delay === null) return;
    current = setTimeout(callback, delay);
    timers.add(current);
  };
}

/** A job that is never due by itself while the test runs. */
function command(line: string, change: Partial<JobConfig> = {}): JobConfig {
  const work = { kind: 'command', command: ['/bin/sh', '-c', line] } as const;
  return jobConfig({ schedule: '0 0 29 2 *', work, ...change });
}

async function ran(
  { scheduler }: Pick<Opened, 'scheduler'>,
  job = 'report',
): Promise<{ readonly run: JobRun; readonly text: string }> {
  const id = scheduler.ask(job, 'test');
  assert.ok(id !== null);
  return ended(scheduler, id);
}

function ended(scheduler: Scheduler, id: string, on: (line: JobLine) => void = () => {}) {
  return new Promise<{ readonly run: JobRun; readonly text: string }>((resolve) => {
    let text = '';
    scheduler.follow(id, (line) => {
      on(line);
      if (line.type === 'output') text += line.text;
      if (line.type === 'ended') resolve({ run: line.run, text });
    });
  });
}

function lives(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return !execFileSync('/bin/ps', ['-o', 'stat=', '-p', `${pid}`])
      .toString()
      .startsWith('Z');
  } catch {
    return false;
  }
}

describe('a run', () => {
  test('has its output kept, and knows what it is', async () => {
    const opened = await open([
      command('echo "$ROM_JOB $ROM_JOB_ATTEMPT $TO"; echo oops >&2', { env: { TO: 'ops' } }),
    ]);
    const { run, text } = await ran(opened);
    assert.equal(run.verdict, 'done');
    assert.deepEqual(text.split('\n').sort(), ['', 'oops', 'report 1 ops']);
    assert.equal((await opened.scheduler.output(run)).length, text.length);
    assert.deepEqual(
      (await opened.scheduler.runs('report'))?.map(({ id }) => id),
      [run.id],
    );
  });

  test('that fails says how, after as many attempts as it may have', async () => {
    const opened = await open([command('exit 3', { retries: 2, backoff: 100 })]);
    const { run } = await ran(opened);
    const { verdict, attempts, exitCode, reason } = run;
    assert.deepEqual(
      { verdict, attempts, exitCode, reason },
      {
        ...{ verdict: 'failed', attempts: 3, exitCode: 3, reason: 'it ended with status 3' },
      },
    );
  });

  test('of a program that does not exist says so', async () => {
    const work = { kind: 'command', command: ['/nowhere/report'] } as const;
    const { run } = await ran(await open([command('', { work })]));
    assert.equal(run.verdict, 'failed');
    assert.match(run.reason ?? '', /cannot start \/nowhere\/report: .*ENOENT/);
  });

  test('leaves no process behind, whether it stayed in its group or not', async () => {
    const setsid = process.platform === 'linux' ? 'setsid sleep 3600 & echo $!;' : '';
    const line = `sleep 3600 & echo $!; ${setsid} exit 0`;
    const { run, text } = await ran(await open([command(line)]));
    assert.equal(run.verdict, 'done');
    const pids = text.trim().split('\n').map(Number);
    assert.ok(pids.length > 0 && pids.every((pid) => pid > 0), text);
    assert.deepEqual(pids.filter(lives), []);
  });

  test('that writes without end is kept in its beginning and its end', async () => {
    const opened = await open([command('head -c 3000000 /dev/zero | tr "\\0" x; echo end')]);
    const { run } = await ran(opened);
    const kept = await opened.scheduler.output(run);
    assert.equal(run.outputBytes, 3_000_004);
    assert.ok(kept.length < 300_000, `${kept.length}`);
    assert.match(kept, /^x+\n\[\d+ bytes left out\]\nx+end\n$/);
  });

  test('that ignores SIGTERM is killed', async () => {
    const opened = await open([command('trap "" TERM; echo ready; while :; do sleep 0.05; done')]);
    const id = opened.scheduler.ask('report', 'test') ?? '';
    let stopped: Promise<void> | null = null;
    const { run } = await ended(opened.scheduler, id, (line) => {
      if (line.type === 'output') stopped ??= opened.scheduler.stop(1_000);
    });
    await stopped;
    assert.equal(run.verdict, 'ended');
    assert.equal(run.signal, 'SIGKILL');
  });

  test('that takes more memory than it may is killed, where the kernel keeps no limit', async () => {
    const script = 'const all = []; setInterval(() => all.push(Buffer.alloc(8e6, 1)), 20)';
    const work = { kind: 'command', command: [process.execPath, '-e', script] } as const;
    const { run } = await ran(await open([command('', { work, memoryLimit: 128 })]));
    assert.equal(run.verdict, 'memory');
  });

  test('may be a function of a module', async () => {
    const opened = await open([]);
    const path = join(opened.dir, 'job.mjs');
    await writeFile(
      path,
      'export const nightly = async ({ job, attempt }) => { console.log(job, attempt); setInterval(() => {}, 1000) };',
    );
    const work = { kind: 'module', path, export: 'nightly' } as const;
    await opened.scheduler.configure([
      command('', { work }),
      command('', { name: 'missing', work: { ...work, export: 'hourly' } }),
    ]);
    const { run, text } = await ran(opened);
    assert.deepEqual([run.verdict, text], ['done', 'report 1\n']);
    const missing = await ran(opened, 'missing');
    assert.equal(missing.run.verdict, 'failed');
    assert.match(missing.text, /exports no function hourly: it exports nightly/);
  });
});

describe('a master that was killed', () => {
  test('has its run reported as lost by the next one, which ends its processes, and reruns it by its rule', async () => {
    for (const onLost of ['report', 'rerun'] as const) {
      const dir = await mkdtemp(join(tmpdir(), 'rom-jobs-'));
      folders.add(dir);
      // A group of its own, as a run has it.
      const left = spawn('sleep', ['3600'], { detached: true, stdio: 'ignore' });
      const gone = once(left, 'exit');
      const job = command('echo again', { onLost });
      const run: JobRun = {
        ...{ id: 'lost-run', job: 'report', dueMs: 1_000, by: 'schedule', startedMs: 1_000, endedMs: null },
        ...{
          verdict: null,
          reason: null,
          attempts: 1,
          exitCode: null,
          signal: null,
          outputBytes: 0,
          missed: 0,
        },
      };
      const leader = await markOf(left.pid ?? 0);
      const store = openStore({ dir, onProblem: assert.fail });
      const master = { pid: 2 ** 22 - 1, start: '1' };
      await store.underWay({ run, onLost, missed: 0, master, leader, cgroup: null });
      const { scheduler, logs } = await open([job], { dir });
      const told = onLost === 'rerun' ? ': running it again' : '';
      assert.ok(logs.includes(`the job report was lost: its daemon was killed${told}`), logs.join());
      await scheduler.stop(30_000);
      const verdicts = (await scheduler.runs('report'))?.map(({ verdict, dueMs }) => [verdict, dueMs]);
      assert.deepEqual(
        verdicts?.reverse(),
        onLost === 'report'
          ? [['lost', 1_000]]
          : [
              ['lost', 1_000],
              ['done', 1_000],
            ],
      );
      assert.deepEqual(await gone, [null, 'SIGKILL']);
    }
  });

  test('finds on disk each run that has a process', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'rom-jobs-'));
    const job = command(`ls ${dir}/running`);
    const { scheduler } = await open([job], { dir });
    const id = scheduler.ask('report', 'alice');
    await scheduler.stop(30_000);
    const [run] = (await scheduler.runs('report')) ?? [];
    assert.ok(run !== undefined);
    assert.match(await scheduler.output(run), new RegExp(`^${id}\\.json$`, 'm'));
  });

  test('takes no path for a name of a job', async () => {
    const { scheduler, dir } = await open([command('true')]);
    await writeFile(join(dir, 'secret.ndjson'), '{"id":"x","startedMs":1}\n');
    assert.equal(await scheduler.runs('../secret'), null);
  });

  test('has a due time that it had taken and not begun reported as lost', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'rom-jobs-'));
    folders.add(dir);
    const job = command('true');
    await openStore({ dir, onProblem: assert.fail }).claim({ job: 'report', dueMs: 5_000, missed: 0 }, job);
    const { scheduler } = await open([job], { dir });
    await scheduler.stop(1_000);
    assert.ok(
      (await scheduler.runs('report'))?.some(({ verdict, dueMs }) => verdict === 'lost' && dueMs === 5_000),
    );
  });

  test('is left out where Node does not know its time zone, and the others are scheduled', async () => {
    const schedule = '0 12 * * *';
    const jobs = [
      command('true', { name: 'lost', schedule, timezone: 'America/Nowhere' }),
      command('true', { name: 'kept', schedule, timezone: 'Asia/Kathmandu' }),
    ];
    const ahead = 5.75 * 3_600_000;
    const zones = async (): Promise<Map<string, (() => number) | null>> =>
      new Map([
        ['America/Nowhere', null],
        ['Asia/Kathmandu', () => ahead],
      ]);
    const { scheduler, logs } = await open(jobs, { zones });
    const [lost, kept] = scheduler.status();
    assert.equal(lost?.nextMs, null);
    assert.equal(((kept?.nextMs ?? 0) + ahead) % 86_400_000, 43_200_000);
    const reason = 'this Node does not know the time zone America/Nowhere';
    assert.deepEqual(logs, [`the job lost is not scheduled: ${reason}`]);
    await scheduler.stop(1_000);
  });

  test('is scheduled, too, where no process tells the time zones', async () => {
    const job = command('true', { schedule: '0 12 * * *', timezone: 'Asia/Kathmandu' });
    const { scheduler, logs } = await open([job], { zones: () => Promise.reject(new Error('EAGAIN')) });
    const ahead = 5.75 * 3_600_000;
    assert.equal(((scheduler.status()[0]?.nextMs ?? 0) + ahead) % 86_400_000, 43_200_000);
    assert.match(logs.join(), /no process tells the time zones/);
    await scheduler.stop(1_000);
  });
});
