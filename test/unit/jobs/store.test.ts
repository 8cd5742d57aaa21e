import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { makeDirectory } from '../../../src/files.js';
import { type JobStore, mostRuns, openStore, type UnderWay } from '../../../src/jobs/store.js';
import type { JobRun } from '../../../src/protocol/jobs.js';
import { jobConfig } from './sim.js';

const folders: string[] = [];
after(() => Promise.all(folders.map((folder) => rm(folder, { recursive: true }))));

async function folder(): Promise<string> {
  const made = await mkdtemp(join(tmpdir(), 'rom-jobs-'));
  folders.push(made);
  return made;
}

function open(dir: string): JobStore {
  return openStore({ dir, onProblem: (message, error) => assert.fail(`${message}: ${error}`) });
}

const config = jobConfig();
const due = (dueMs: number) => ({ job: config.name, dueMs, missed: 0 });

function run(id: string, change: Partial<JobRun> = {}): JobRun {
  return {
    ...{ id, job: config.name, dueMs: null, by: 'test', startedMs: 1, endedMs: 2, verdict: 'done' },
    ...{ reason: null, attempts: 1, exitCode: 0, signal: null, outputBytes: 0, missed: 0 },
    ...change,
  };
}

describe('a due time', () => {
  test('is taken once, whichever of two masters asks, and however often', async () => {
    const dir = await folder();
    const masters = [open(dir), open(dir)];
    for (let round = 1; round <= 20; round += 1) {
      const taken = await Promise.all(
        [0, 1, 0, 1].map((index) => (masters[index] as JobStore).claim(due(round * 1_000), config)),
      );
      assert.equal(taken.filter(Boolean).length, 1, `round ${round}`);
    }
    assert.equal((await readdir(join(dir, 'claims'))).length, 1, 'claims pile up');
  });

  test('is not taken any more when a later one was', async () => {
    const dir = await folder();
    assert.equal(await open(dir).claim(due(5_000), config), true);
    assert.equal(await open(dir).claim(due(4_000), config), false);
  });

  test('of a stall are all taken, in their order', async () => {
    const store = open(await folder());
    const taken = await Promise.all([1, 2, 3].map((at) => store.claim(due(at * 1_000), config)));
    assert.deepEqual(taken, [true, true, true]);
  });

  test('is remembered by the next master, as long as the schedule is the same', async () => {
    const dir = await folder();
    await open(dir).claim(due(5_000), config);
    assert.deepEqual(await open(dir).handledUntil([config]), { report: { untilMs: 5_000, runs: true } });
    assert.deepEqual(await open(dir).handledUntil([jobConfig({ timezone: null })]), {});
    assert.deepEqual(await open(dir).handledUntil([config]), {});
  });

  test('that was only noted was not taken to be run', async () => {
    const store = open(await folder());
    await store.handled(config, 7_000);
    assert.deepEqual(await store.handledUntil([config]), { report: { untilMs: 7_000, runs: false } });
    await store.forget('report');
    assert.deepEqual(await store.handledUntil([config]), {});
  });

  test('of a job whose name begins like another is apart', async () => {
    const store = open(await folder());
    await store.claim({ job: 'report-all', dueMs: 9_000, missed: 0 }, jobConfig({ name: 'report-all' }));
    assert.equal(await store.claim(due(1_000), config), true);
  });
});

describe('the history', () => {
  test('keeps the last runs, and removes the output of the others', async () => {
    const dir = await folder();
    const store = open(dir);
    for (let index = 0; index < 3 * mostRuns; index += 1) {
      const path = store.outputFile('report', `run-${index}`);
      await makeDirectory(join(path, '..'), 0o750);
      await writeFile(path, `output ${index}`);
      await store.add(run(`run-${index}`));
    }
    const runs = await open(dir).runs('report');
    assert.equal(runs.length, mostRuns);
    assert.equal(runs[0]?.id, `run-${3 * mostRuns - 1}`);
    assert.equal(await store.output('report', `run-${3 * mostRuns - 1}`), `output ${3 * mostRuns - 1}`);
    assert.ok((await readdir(join(dir, 'output/report'))).length < 2 * mostRuns);
    assert.ok((await stat(join(dir, 'runs/report.ndjson'))).size < 2 * mostRuns * 300);
  });

  test('is not filled by runs that were left out', async () => {
    const store = open(await folder());
    await store.add(run('first'));
    for (let index = 0; index < 4 * mostRuns; index += 1)
      await store.add(run(`left-out-${index}`, { verdict: 'skipped', attempts: 0 }));
    assert.ok((await store.runs('report')).some(({ id }) => id === 'first'));
  });

  test('keeps no more than 4 MiB of the output of a job, the newest', async () => {
    const dir = await folder();
    const store = open(dir);
    for (let index = 0; index < 8; index += 1) {
      const path = store.outputFile('report', `run-${index}`);
      await makeDirectory(join(path, '..'), 0o750);
      await writeFile(path, Buffer.alloc(2 ** 20));
      await store.add(run(`run-${index}`));
    }
    const left = await readdir(join(dir, 'output/report'));
    assert.ok(left.length <= 4 && left.length > 1, left.join());
    assert.ok(left.includes('run-7.log'));
  });

  test('survives a line that a crash has cut', async () => {
    const dir = await folder();
    await open(dir).add(run('whole'));
    await writeFile(join(dir, 'runs/report.ndjson'), '{"id":"cut","jo', { flag: 'a' });
    assert.deepEqual(
      (await open(dir).runs('report')).map(({ id }) => id),
      ['whole'],
    );
  });

  test('of a run that is under way is found by the next master, until the run is over', async () => {
    const dir = await folder();
    const entry: UnderWay = {
      ...{ run: run('under-way', { endedMs: null, verdict: null }), onLost: 'report', missed: 0 },
      ...{ master: { pid: 1, start: 'x' }, leader: null, cgroup: null },
    };
    await open(dir).underWay(entry);
    assert.deepEqual(await open(dir).leftUnderWay(), [entry]);
    await open(dir).add(run('under-way', { verdict: 'lost' }));
    assert.deepEqual(await open(dir).leftUnderWay(), []);
  });
});
