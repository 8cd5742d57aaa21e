import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { makeDirectory } from '../../../src/files.js';
import { mostRuns, writeText } from '../../../src/jobs/history.js';
import { type JobStore, openStore, type UnderWay } from '../../../src/jobs/store.js';
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
    assert.deepEqual(await idsIn(open(dir)), ['whole']);
    await open(dir).add(run('next'));
    assert.deepEqual(
      await idsIn(open(dir)),
      ['next', 'whole'],
      'the cut line must not take the next one with it',
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

/** A disk that is full as long as the test says. What does not fit is written in part, as the kernel does. */
function openOnDisk(dir: string): { store: JobStore; disk: { full: boolean }; problems: string[] } {
  const disk = { full: true };
  const problems: string[] = [];
  const store = openStore({
    dir,
    onProblem: (message) => problems.push(message),
    write: async (path, text, flag) => {
      await writeText(path, disk.full ? text.slice(0, text.length / 2) : text, flag);
      if (disk.full) throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });
    },
  });
  return { store, disk, problems };
}

async function idsIn(store: JobStore): Promise<readonly string[]> {
  return (await store.runs('report')).map(({ id }) => id);
}

describe('on a full disk', () => {
  const entry: UnderWay = {
    ...{ run: run('one', { endedMs: null, verdict: null, by: 'ann' }), onLost: 'rerun', missed: 0 },
    ...{ master: { pid: 1, start: 'x' }, leader: null, cgroup: null },
  };
  const one = run('one', { verdict: 'failed', reason: 'status 3', exitCode: 3, outputBytes: 9, by: 'ann' });

  for (const isNoted of [true, false]) {
    test(`a run that ${isNoted ? 'was' : 'was not'} noted as under way is over for this master and the next`, async () => {
      const dir = await folder();
      const { store, disk, problems } = openOnDisk(dir);
      disk.full = !isNoted;
      await store.underWay(entry);
      disk.full = true;
      await store.add(one);
      assert.deepEqual(await store.runs('report'), [one]);
      assert.ok(problems.some((problem) => problem.startsWith('cannot add to the history of jobs')));

      const next = openOnDisk(dir);
      assert.deepEqual(await next.store.leftUnderWay(), [], 'it is not lost');
      const by = isNoted ? 'ann' : 'unknown';
      const known = { ...one, by, reason: 'why is not known: the disk was full when it ended' };
      assert.deepEqual(await next.store.runs('report'), [known]);
      next.disk.full = false;
      await next.store.add(run('two'));
      assert.deepEqual(await idsIn(open(dir)), ['two', 'one']);
      assert.deepEqual(await readdir(join(dir, 'running')), [], 'nothing is left of it');
    });
  }

  test('the whole run is written once there is space: when the next one begins', async () => {
    const dir = await folder();
    const { store, disk } = openOnDisk(dir);
    await store.add(one);
    disk.full = false;
    await store.underWay({ ...entry, run: run('two') });
    assert.deepEqual(await open(dir).runs('report'), [one]);
  });

  test('a run that ends each second leaves no more files than the history has runs', async () => {
    const dir = await folder();
    const { store } = openOnDisk(dir);
    for (let index = 0; index < 2 * mostRuns; index += 1) await store.add(run(`run-${index}`));
    assert.equal((await readdir(join(dir, 'running'))).length, mostRuns);
    assert.equal((await idsIn(store))[0], `run-${2 * mostRuns - 1}`);
  });

  test('a due time is taken, once, by a job whose due time before was', async () => {
    const dir = await folder();
    const { store, disk } = openOnDisk(dir);
    await assert.rejects(store.claim(due(1_000), config), /no space/);
    disk.full = false;
    assert.equal(await store.claim(due(1_000), config), true, 'the refused one is free');
    disk.full = true;
    assert.equal(await store.claim(due(2_000), config), true);
    assert.equal(await openOnDisk(dir).store.claim(due(2_000), config), false);
    assert.deepEqual(await open(dir).handledUntil([config]), { report: { untilMs: 2_000, runs: true } });
    await assert.rejects(store.claim(due(3_000), jobConfig({ schedule: '1 * * * *' })), /no space/);
  });

  test('what is written half is removed', async () => {
    const dir = await folder();
    await openOnDisk(dir).store.underWay(entry);
    assert.deepEqual(await readdir(join(dir, 'running')), []);
  });
});

test('a master that is killed between the line in the history and the end of its file has lost no run', async () => {
  const dir = await folder();
  const entry: UnderWay = {
    ...{ run: run('one', { endedMs: null, verdict: null }), onLost: 'rerun', missed: 0 },
    ...{ master: { pid: 1, start: 'x' }, leader: null, cgroup: null },
  };
  await open(dir).add(run('one'));
  await open(dir).underWay(entry);
  assert.deepEqual(await open(dir).leftUnderWay(), []);
});
