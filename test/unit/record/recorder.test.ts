import assert from 'node:assert/strict';
import { appendFileSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { lostMaster, readLines, readTurns, recordDirectory } from '../../../src/record/lines.js';
import { createRecorder, type Recorder } from '../../../src/record/recorder.js';
import { replay } from '../../../src/record/replay.js';
import type { Turn } from '../../../src/record/turn.js';
import { SimCluster } from '../../simulation/sim-cluster.js';
import { narrated, simEpoch, simRun, turnsOf } from '../../simulation/turns.js';
import { folder } from './folder.js';

const end = simEpoch + 60_000;

function recorder(stateDir: string, { size = 2 ** 20, pid = 1 } = {}): Recorder & { problems: string[] } {
  const problems: string[] = [];
  let time = 0;
  const made = createRecorder({
    stateDir,
    size,
    run: { ...simRun, pid },
    startedBy: 'started by systemd',
    now: () => time++,
    clock: () => end,
    makeDirectory: async (path) => void (await mkdir(path, { recursive: true })),
    soon: (callback) => void setImmediate(callback),
    onProblem: (message) => void problems.push(message),
  });
  return { ...made, problems };
}

/** A crash, and a stop at its end unless told. */
function turns({ stops = true, lasts = 10_000 } = {}): readonly Turn[] {
  const cluster = new SimCluster({
    play: ({ slot, nth }) => (slot === 2 && nth === 1 ? { crash: { after: 2_000, signal: 'SIGSEGV' } } : {}),
  });
  cluster.start().run(lasts);
  if (stops) cluster.stop().runToEnd();
  return turnsOf(cluster);
}

describe('the recorder', () => {
  test('writes what was decided, in words and to be run again, and says it when asked', async (t) => {
    const dir = folder(t);
    const record = recorder(dir);
    const all = turns();
    for (const turn of all) record.record(turn);
    const { lines, problem } = await record.why({});
    assert.equal(problem, null);
    assert.deepEqual(lines.slice(1), narrated(all));
    assert.deepEqual([lines[0]?.kind, lines[0]?.cause], ['master', 'started by systemd']);
    assert.deepEqual(
      lines,
      await readLines(dir, {}, end),
      'and so do the files, once it does not run any more',
    );
    assert.equal(await lostMaster(dir), null, 'the last line says that it ended');
    const again = replay(await readTurns(dir));
    assert.deepEqual([again.difference, again.turns, again.gaps], [null, all.length, []]);
  });

  test('answers about one worker, of the last seconds, and so many lines', async (t) => {
    const record = recorder(folder(t));
    for (const turn of turns()) record.record(turn);
    const { lines: second } = await record.why({ worker: 2 });
    assert.ok(second.length > 3 && second.every(({ worker }) => worker === 2));
    const { lines: late } = await record.why({ since: 51 });
    assert.ok(late.length > 3 && late.every(({ at }) => Date.parse(at) >= end - 51_000));
    assert.deepEqual(
      (await record.why({ lines: 2 })).lines.map(({ kind }) => kind),
      ['gone', 'exit'],
    );
  });

  test('tells of a master before it that ended without a word', async (t) => {
    const dir = folder(t);
    const killed = recorder(dir);
    for (const turn of turns({ stops: false })) killed.record(turn);
    await killed.settled();
    assert.equal((await lostMaster(dir))?.kind, 'lost');
    // What a master that is killed was writing.
    for (const name of ['turns', 'decisions'])
      appendFileSync(join(recordDirectory(dir), `${name}.ndjson`), '[12345,{"ty');
    const next = recorder(dir, { pid: 2 });
    const all = turns();
    for (const turn of all) next.record(turn);
    const { lines } = await next.why({});
    const lost = lines.findIndex(({ kind }) => kind === 'lost');
    assert.deepEqual([lines[lost - 1]?.kind, lines[lost + 1]?.kind], ['ready', 'master']);
    assert.match(lines[lost]?.text ?? '', /ended without a word/);
    const { difference, gaps, runs } = replay(await readTurns(dir));
    assert.deepEqual([difference, gaps.length, runs.map(({ pid }) => pid)], [null, 1, [1, 2]]);
  });

  test('stays within its size, and what is left can be run again', async (t) => {
    const dir = folder(t);
    const size = 24_000;
    const record = recorder(dir, { size });
    const all = turns({ lasts: 600_000 });
    for (const turn of all) record.record(turn);
    await record.settled();
    const names = ['turns.ndjson', 'turns.old.ndjson', 'decisions.ndjson', 'decisions.old.ndjson'];
    const paths = names.map((name) => join(recordDirectory(dir), name)).filter((path) => existsSync(path));
    const bytes = paths.map((path) => statSync(path).size);
    const total = bytes.reduce((sum, each) => sum + each, 0);
    assert.ok(total < size * 1.2, `${bytes}`);
    const { turns: count, gaps, difference } = replay(await readTurns(dir));
    assert.ok(count > 100 && count < all.length, `${count} of ${all.length} turns`);
    assert.deepEqual([gaps, difference], [[], null]);
  });

  test('harms nobody where the directory cannot be written, and still answers from memory', async (t) => {
    const dir = folder(t);
    writeFileSync(join(dir, 'record'), 'a file stands where the directory belongs');
    const record = recorder(dir);
    for (const turn of turns()) record.record(turn);
    const { lines, problem } = await record.why({ worker: 2 });
    assert.match(problem ?? '', /^the record cannot be written: /);
    assert.ok(lines.some(({ kind }) => kind === 'died'));
    assert.equal(record.problems.length, 1);
    await record.settled();
  });

  test('does not read what others have put into the directory as its own', async (t) => {
    const dir = folder(t);
    mkdirSync(recordDirectory(dir));
    const nonsense = ['7', 'null', '{"at":5}', '{"at":"x","text":"y","kind":"wedding"}', '{', ''].join('\n');
    writeFileSync(join(recordDirectory(dir), 'decisions.ndjson'), nonsense);
    assert.deepEqual(await readLines(dir, {}, end), []);
    assert.equal(await lostMaster(dir), null);
    assert.ok(
      existsSync(dir) && readFileSync(join(recordDirectory(dir), 'decisions.ndjson'), 'utf8') === nonsense,
    );
  });
});
