import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { RomAgentError } from '../../../src/errors.js';
import { createDailyFile, localDate, openDailyFile } from '../../../src/logging/daily-file.js';
import { until } from './wait.js';

describe('the daily file', () => {
  let root = '';
  let dir = '';
  let now = 0;
  const clock = () => now;
  const read = (day: string) => {
    const path = join(dir, `${day}.log`);
    return fs.existsSync(path) ? fs.readFileSync(path, 'utf8') : '';
  };
  beforeEach(() => {
    root = fs.mkdtempSync(join(tmpdir(), 'rom-agent-daily-'));
    dir = join(root, 'deep', 'logs');
    now = new Date(2026, 1, 28, 23, 59, 59, 999).getTime();
  });
  afterEach(() => fs.rmSync(root, { recursive: true }));

  it('is named after the local date', () => {
    assert.equal(localDate(new Date(2026, 0, 2, 0, 0, 0).getTime()), '2026-01-02');
    assert.equal(localDate(new Date(2026, 11, 31, 23, 59, 59).getTime()), '2026-12-31');
  });

  it('is a new one at midnight, the directory created', async () => {
    const file = createDailyFile({ dir, clock });
    file.write('late\n');
    file.write('later\n');
    now += 1;
    file.write('early\n');
    await until(
      () => read('2026-03-01'),
      (text) => text === 'early\n',
    );
    await until(
      () => read('2026-02-28'),
      (text) => text === 'late\nlater\n',
    );
    assert.deepEqual(fs.readdirSync(dir).sort(), ['2026-02-28.log', '2026-03-01.log']);
  });

  it('is added to, not begun anew, by the next process', async () => {
    fs.mkdirSync(dir, { recursive: true });
    fs.writeFileSync(join(dir, '2026-02-28.log'), 'before\n');
    createDailyFile({ dir, clock }).write('after\n');
    await until(
      () => read('2026-02-28'),
      (text) => text === 'before\nafter\n',
    );
  });

  it('is complete after a flush', async () => {
    const file = createDailyFile({ dir, clock });
    for (let index = 0; index < 1000; index += 1) file.write(`${index}\n`);
    file.flush();
    await until(
      () => read('2026-02-28').split('\n').length,
      (lines) => lines === 1001,
    );
  });

  it('is begun again when it was moved away or its directory vanished', async () => {
    const file = createDailyFile({ dir, clock });
    file.write('one\n');
    await until(
      () => read('2026-02-28'),
      (text) => text === 'one\n',
    );
    now -= 60_000;
    fs.renameSync(join(dir, '2026-02-28.log'), join(root, 'moved.log'));
    file.write('two\n');
    await until(
      () => read('2026-02-28'),
      (text) => text === 'two\n',
    );
    now += 2000;
    fs.rmSync(dir, { recursive: true });
    file.write('three\n');
    await until(
      () => read('2026-02-28'),
      (text) => text === 'three\n',
    );
    assert.equal(file.dropped(), 0);
  });

  it('survives a full disk: one word of trouble, then everything that waited', async (t) => {
    if (!fs.existsSync('/dev/full')) return t.skip('no /dev/full here');
    fs.mkdirSync(dir, { recursive: true });
    const path = join(dir, '2026-02-28.log');
    fs.symlinkSync('/dev/full', path);
    const troubles: string[] = [];
    const onTrouble = (error: NodeJS.ErrnoException) => troubles.push(error.code ?? '');
    const file = createDailyFile({ dir, clock, retryDelay: 10, onTrouble });
    file.write('one\n');
    await until(
      () => troubles.length,
      (length) => length > 0,
    );
    file.write('two\n');
    fs.unlinkSync(path);
    now -= 2000;
    await until(
      () => read('2026-02-28'),
      (text) => text === 'one\ntwo\n',
    );
    assert.deepEqual(troubles, ['ENOSPC']);
  });

  it('is refused at start, with status 73 and the name of the directory, where it cannot be written', () => {
    openDailyFile({ dir, clock });
    assert.equal(read('2026-02-28'), '');
    fs.writeFileSync(join(root, 'file'), '');
    const bad = join(root, 'file', 'logs');
    assert.throws(
      () => openDailyFile({ dir: bad, clock }),
      (error) => error instanceof RomAgentError && error.exitCode === 73 && error.message.includes(bad),
    );
  });
});
