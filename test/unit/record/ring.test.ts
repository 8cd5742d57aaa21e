import assert from 'node:assert/strict';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { filesOf, openRing, type Ring } from '../../../src/record/ring.js';
import { folder } from './folder.js';

interface Opened {
  readonly ring: Ring;
  readonly problems: unknown[];
  /** Lets time pass. */
  readonly later: (ms: number) => void;
}

function opened(dir: string, limit = 100): Opened {
  const problems: unknown[] = [];
  let time = 0;
  const ring = openRing({
    dir,
    makeDirectory: async () => void (await mkdir(dir, { recursive: true })),
    name: 'lines.ndjson',
    limit,
    now: () => time,
    onProblem: (error) => void problems.push(error),
  });
  return {
    ring,
    problems,
    later: (ms) => {
      time += ms;
    },
  };
}

const contents = (dir: string): readonly string[] =>
  filesOf(dir, 'lines.ndjson').map((path) => (existsSync(path) ? readFileSync(path, 'utf8') : ''));

describe('a ring', () => {
  test('keeps the last lines in two files, of which neither grows beyond its limit and one line', async (t) => {
    const dir = join(folder(t), 'record');
    const { ring } = opened(dir);
    for (let number = 0; number < 100; number++) {
      ring.turnIfFull();
      ring.append(`${String(number).padStart(9, '0')}\n`);
      if (number % 7 === 0) await ring.flush();
    }
    await ring.flush();
    const [older = '', newer = ''] = contents(dir);
    assert.ok(older.length <= 110 && newer.length <= 110, `${older.length} and ${newer.length} bytes`);
    const lines = `${older}${newer}`.trim().split('\n').map(Number);
    assert.deepEqual(
      lines,
      Array.from({ length: lines.length }, (_, index) => 100 - lines.length + index),
    );
    assert.ok(lines.length >= 10);
    assert.equal(statSync(join(dir, 'lines.ndjson')).mode & 0o777, 0o640);
  });

  test('goes on behind what another process wrote, and behind a line that was torn', async (t) => {
    const dir = folder(t);
    writeFileSync(join(dir, 'lines.ndjson'), 'one\ntwo\nthr');
    const { ring } = opened(dir);
    ring.append('four\n');
    await ring.flush();
    assert.equal(contents(dir)[1], 'one\ntwo\nthr\nfour\n');
    const full = opened(dir, 10).ring;
    full.append('five\n');
    await full.flush();
    assert.deepEqual(contents(dir), ['one\ntwo\nthr\nfour\n', 'five\n']);
  });

  test('loses lines where it cannot write, says so once, and begins anew when it can', async (t) => {
    const parent = folder(t);
    const dir = join(parent, 'record');
    writeFileSync(dir, 'a file stands where the directory belongs');
    const { ring, problems, later } = opened(dir);
    assert.ok(ring.isFresh);
    ring.append('lost\n');
    assert.ok(!ring.isFresh);
    await ring.flush();
    assert.ok(ring.isFresh && !ring.accepts() && ring.failure !== null);
    ring.append('lost, too\n');
    await ring.flush();
    later(61_000);
    ring.append('still lost\n');
    await ring.flush();
    assert.equal(problems.length, 1);
    rmSync(dir);
    later(61_000);
    assert.ok(ring.accepts() && ring.isFresh);
    ring.append('kept\n');
    await ring.flush();
    assert.deepEqual([contents(dir)[1], ring.failure], ['kept\n', null]);
  });

  test('does not follow a link that the app has put in its place, nor write into what is no file', async (t) => {
    const dir = folder(t);
    const other = join(dir, 'other');
    writeFileSync(other, 'precious');
    symlinkSync(other, join(dir, 'lines.ndjson'));
    const { ring, problems } = opened(dir);
    ring.append('line\n');
    await ring.flush();
    assert.deepEqual([readFileSync(other, 'utf8'), problems.length], ['precious', 1]);
    rmSync(join(dir, 'lines.ndjson'));
    mkdirSync(join(dir, 'lines.ndjson'));
    const second = opened(dir);
    second.ring.append('line\n');
    await second.ring.flush();
    assert.equal(second.problems.length, 1);
  });

  test('keeps no more in memory than a disk that hangs may cost', (t) => {
    const { ring } = opened(folder(t));
    const line = `${'x'.repeat(2 ** 20)}\n`;
    for (let count = 0; count < 20; count++) ring.append(line);
    assert.ok(ring.waiting <= 4 * 2 ** 20, `${ring.waiting} bytes`);
  });

  test('writes each line once, whoever else flushes meanwhile', async (t) => {
    const dir = folder(t);
    const { ring } = opened(dir, 2 ** 20);
    const flushes: Promise<void>[] = [];
    for (let number = 0; number < 500; number++) {
      ring.append(`${number}\n`);
      flushes.push(ring.flush());
    }
    await Promise.all(flushes);
    assert.equal(contents(dir)[1], Array.from({ length: 500 }, (_, number) => `${number}\n`).join(''));
    appendFileSync(join(dir, 'lines.ndjson'), '');
  });
});
