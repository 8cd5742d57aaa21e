import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { openJournal } from '../../../src/backplane/embedded/journal.js';
import { type MemoryFile, memoryFile } from '../../support/memory-file.js';

async function opened(file: MemoryFile, snapshot: () => Iterable<object> = () => []) {
  const records: object[] = [];
  const problems: string[] = [];
  const onProblem = (message: string): void => void problems.push(message);
  const journal = await openJournal({ file, snapshot, onProblem }, (record) => records.push(record));
  return { journal, records, problems };
}

const safe = { sync: true };

describe('the journal', () => {
  test('gives back what was appended, in order', async () => {
    const file = memoryFile();
    const { journal } = await opened(file);
    await Promise.all([1, 2, 3].map((n) => journal.append({ n, text: 'zwei Zeilen\n' }, safe)));
    const { records } = await opened(file);
    assert.deepEqual(
      records,
      [1, 2, 3].map((n) => ({ n, text: 'zwei Zeilen\n' })),
    );
  });

  test('loses at most its last record, wherever a crash cuts it off', async () => {
    const file = memoryFile();
    const { journal } = await opened(file);
    const ends: number[] = [];
    for (const n of [1, 2, 3]) {
      await journal.append({ n }, safe);
      ends.push(file.content().length);
    }
    for (let length = 0; length <= file.content().length; length++) {
      const cut = memoryFile(file.content().subarray(0, length));
      const { records, problems, journal: next } = await opened(cut);
      assert.equal(records.length, ends.filter((end) => end <= length).length, `cut at ${length}`);
      assert.deepEqual(problems, []);
      await next.append({ n: 4 }, safe);
      assert.deepEqual((await opened(cut)).records.at(-1), { n: 4 }, `cut at ${length}`);
    }
  });

  test('keeps a copy of a file that is damaged in its middle, and what is good of it', async () => {
    const file = memoryFile();
    const { journal } = await opened(file);
    for (const n of [1, 2, 3]) await journal.append({ n }, safe);
    const damaged = Buffer.from(file.content());
    damaged.write('X', damaged.indexOf('"n":2'));
    const broken = memoryFile(damaged);
    const { records, problems } = await opened(broken);
    assert.deepEqual(records, [{ n: 1 }, { n: 3 }]);
    assert.match(problems.join(), /1 damaged lines between good ones.*a copy of it is \/copy/);
    assert.deepEqual(broken.copies(), [damaged]);
  });

  test('takes back, in reverse, what a full disk did not take, and goes on when there is room', async () => {
    const file = memoryFile();
    const { journal } = await opened(file);
    await journal.append({ n: 1 }, safe);
    file.setRoom(25);
    const undone: number[] = [];
    const outcomes = await Promise.allSettled(
      [2, 3].map((n) => journal.append({ n }, { ...safe, undo: () => void undone.push(n) })),
    );
    assert.deepEqual(
      outcomes.map(({ status }) => status),
      ['rejected', 'rejected'],
    );
    assert.deepEqual(undone, [3, 2]);
    file.setRoom(null);
    await journal.append({ n: 4 }, safe);
    assert.deepEqual((await opened(file)).records, [{ n: 1 }, { n: 4 }]);
  });

  test('writes the file anew after a sync that failed: the kernel may have dropped what it could not write', async () => {
    const file = memoryFile();
    const { journal } = await opened(file, () => [{ all: true }]);
    await journal.append({ n: 1 }, safe);
    file.failSyncs(true);
    await assert.rejects(journal.append({ n: 2 }, safe), /EIO/);
    file.failSyncs(false);
    await journal.append({ n: 3 }, safe);
    assert.deepEqual((await opened(file)).records, [{ all: true }]);
  });

  test('does not grow for ever', async () => {
    const file = memoryFile();
    const { journal } = await opened(file, () => [{ small: true }]);
    const text = 'x'.repeat(1_000_000);
    for (let n = 0; n < 12; n++) await journal.append({ text }, { sync: false });
    assert.ok(file.content().length < 5_000_000, `${file.content().length} bytes`);
  });

  test('does not grow with the number of restarts', async () => {
    const file = memoryFile();
    const text = 'x'.repeat(1_000_000);
    for (let start = 0; start < 4; start++) {
      const { journal } = await opened(file, () => [{ small: true }]);
      for (let n = 0; n < 5; n++) await journal.append({ text }, { sync: false });
    }
    assert.ok(file.content().length < 7_000_000, `${file.content().length} bytes`);
  });

  test('goes on in the old file where there is no room for a new one', async () => {
    const file = memoryFile();
    const { journal } = await opened(file, () => {
      throw Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' });
    });
    const text = 'x'.repeat(1_000_000);
    for (let n = 0; n < 6; n++) await journal.append({ n, text }, { sync: false });
    assert.equal((await opened(file)).records.length, 6);
  });
});
