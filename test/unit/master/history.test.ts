import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { openHistory } from '../../../src/master/history.js';
import type { ReloadRecord } from '../../../src/protocol/reload-record.js';

function directory(t: TestContext): string {
  const dir = mkdtempSync(join(tmpdir(), 'rom-agent-history-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

function record(generation: number, more: Partial<ReloadRecord> = {}): ReloadRecord {
  return {
    serial: generation,
    generation,
    from: generation - 1,
    release: '/srv/app',
    by: 'ann',
    atMs: 1_000 * generation,
    tookMs: 5,
    steps: [],
    accepted: 0,
    moved: 0,
    lost: 0,
    verdict: 'done',
    reason: null,
    ...more,
  };
}

function open(dir: string) {
  const problems: string[] = [];
  return { problems, history: openHistory({ dir, onProblem: (message) => problems.push(message) }) };
}

describe('the history of reloads', () => {
  test('is there again after a restart, newest first', async (t) => {
    const dir = join(directory(t), 'made', 'on', 'demand');
    const { history } = open(dir);
    history.add(record(1));
    history.add(record(2));
    await history.settled();
    const again = open(dir);
    await again.history.settled();
    assert.deepEqual(
      again.history.records().map(({ generation }) => generation),
      [2, 1],
    );
    again.history.add(record(3));
    await again.history.settled();
    assert.equal(again.history.records().length, 3);
    assert.deepEqual(again.problems, []);
  });

  test('of a build whose fields had no units is set aside, and the history begins anew', async (t) => {
    const dir = directory(t);
    const { atMs, tookMs, ...rest } = record(1);
    const old = JSON.stringify([{ ...rest, at: atMs, took: tookMs }]);
    writeFileSync(join(dir, 'reloads.json'), old);
    const { history, problems } = open(dir);
    assert.equal(await history.nextSerial(), 1);
    assert.deepEqual(history.records(), []);
    assert.match(problems.join(), /^cannot read the history of reloads .*: renamed it to .*\.bad$/);
    assert.equal(readFileSync(join(dir, 'reloads.json.bad'), 'utf8'), old);
  });

  test('keeps the last fifty, and the newest state of each', async (t) => {
    const { history } = open(directory(t));
    for (let generation = 1; generation <= 60; generation++) history.add(record(generation));
    history.add(record(60, { lost: 3 }));
    await history.settled();
    assert.equal(history.records().length, 50);
    assert.deepEqual([history.records()[0]?.generation, history.records()[0]?.lost], [60, 3]);
  });

  test('numbers reloads on over the lives of masters, whatever their generations', async (t) => {
    const dir = directory(t);
    const first = open(dir).history;
    assert.equal(await first.nextSerial(), 1);
    first.add(record(2, { serial: 1 }));
    first.add(record(3, { serial: 2 }));
    await first.settled();
    const second = open(dir).history;
    assert.equal(await second.nextSerial(), 3);
    second.add(record(2, { serial: 3, atMs: 9_000_000 }));
    await second.settled();
    assert.deepEqual(
      second.records().map(({ serial, generation }) => [serial, generation]),
      [
        [3, 2],
        [2, 3],
        [1, 2],
      ],
    );
  });

  test('numbers records of a version that gave them none', async (t) => {
    const dir = directory(t);
    const old = [3, 2].map((generation) => ({ ...record(generation), serial: undefined }));
    writeFileSync(join(dir, 'reloads.json'), JSON.stringify(old));
    const { history } = open(dir);
    assert.equal(await history.nextSerial(), 3);
    assert.deepEqual(
      history.records().map(({ serial }) => serial),
      [2, 1],
    );
  });

  test('a damaged file is put aside and told of', async (t) => {
    const dir = directory(t);
    writeFileSync(join(dir, 'reloads.json'), '[{"generation": 1');
    const { history, problems } = open(dir);
    history.add(record(7));
    await history.settled();
    assert.match(problems.join(), /cannot read .*reloads\.json: renamed it to .*\.bad/);
    assert.equal(readFileSync(join(dir, 'reloads.json.bad'), 'utf8'), '[{"generation": 1');
    assert.equal(JSON.parse(readFileSync(join(dir, 'reloads.json'), 'utf8')).length, 1);
  });

  test('a directory that cannot be written is told of once, and the records are there all the same', async (t) => {
    const file = join(directory(t), 'file');
    writeFileSync(file, '');
    const { history, problems } = open(file);
    history.add(record(1));
    history.add(record(2));
    await history.settled();
    assert.equal(problems.length, 1);
    assert.equal(history.records().length, 2);
  });
});
