import assert from 'node:assert/strict';
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { ofFile, ofJournal } from '../../../src/logging/parse-line.js';
import { type KeptLog, type ReadOptions, readLog } from '../../../src/logging/read-log.js';
import type { LogLine } from '../../../src/protocol/log-line.js';

const never = new AbortController().signal;

function entry(second: number, msg: string, more: object = {}): string {
  const time = new Date(Date.UTC(2026, 10, 23, 12, 0, second)).toISOString();
  return `${JSON.stringify({ level: 'info', time, pid: 7, worker: 2, msg, ...more })}\n`;
}

describe('a line of the journal', () => {
  const entryOf = (MESSAGE: unknown, more: object = {}) =>
    ofJournal({ MESSAGE, PRIORITY: '4', _PID: '96', __REALTIME_TIMESTAMP: '1700000000123456', ...more });

  test('is taken apart into message and fields', () => {
    const line = entryOf('memory is short rssMiB=498 note="two words" worker=2 pid=96');
    assert.deepEqual(line, {
      atMs: 1_700_000_000_123,
      level: 'warn',
      worker: 2,
      pid: 96,
      from: 'worker',
      message: 'memory is short',
      fields: { rssMiB: 498, note: 'two words' },
    });
  });

  test('of the master is about the worker that it names', () => {
    const line = entryOf('worker 3 is ready tookMs=81 role=master pid=85');
    assert.equal(line.worker, 3);
    assert.equal(line.from, 'master');
    assert.equal(entryOf('ready role=master pid=85', { ROM_WORKER: '4' }).worker, 4);
  });

  test('of the app stays as it is, though it ends like one of ours', () => {
    const line = entryOf('order=12 worker=2');
    assert.equal(line.message, 'order=12 worker=2');
    assert.equal(line.from, 'app');
    assert.equal(line.pid, 96);
  });

  test('keeps quotes and equals signs within a value', () => {
    const line = entryOf('request failed err="Error: a \\"b\\" c=d | at x" err.code=EX worker=1 pid=9');
    assert.deepEqual(line.fields, { err: 'Error: a "b" c=d | at x', 'err.code': 'EX' });
    assert.equal(line.message, 'request failed');
  });

  test('that is not UTF-8 is read as far as it can be', () => {
    assert.equal(entryOf([72, 105, 255]).message, 'Hi\ufffd');
    assert.equal(entryOf(undefined).message, '');
  });
});

describe('a line of a file', () => {
  test('may be what the app printed', () => {
    assert.deepEqual(ofFile('<4>low on disk', 5), {
      atMs: 5,
      level: 'warn',
      worker: null,
      pid: null,
      from: 'app',
      message: 'low on disk',
      fields: {},
    });
    assert.equal(ofFile('{"half', 5).message, '{"half');
    assert.equal(ofFile('null', 5).message, 'null');
  });

  test('of ours has its fields without those of every line', () => {
    const line = ofFile(entry(1, 'request failed', { err: { code: 'EX' } }).trim(), 5);
    assert.deepEqual(line.fields, { err: { code: 'EX' } });
    assert.equal(line.atMs, Date.UTC(2026, 10, 23, 12, 0, 1));
    assert.equal(line.worker, 2);
  });
});

describe('the files of a log', () => {
  let directory = '';
  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'rom-agent-log-'));
  });
  after(() => rmSync(directory, { recursive: true, force: true }));

  const write = (day: string, text: string) => writeFileSync(join(directory, `${day}.log`), text);
  const read = async (options: Partial<ReadOptions>, source?: KeptLog): Promise<readonly LogLine[]> => {
    const lines: LogLine[] = [];
    const all = { lines: 100, since: null, follow: false, signal: never, ...options };
    await readLog(source ?? { kind: 'folder', path: directory }, all, (line) => lines.push(line));
    return lines;
  };
  const messages = async (options: Partial<ReadOptions>) =>
    (await read(options)).map(({ message }) => message);

  test('give the last lines, over midnight, oldest first', async () => {
    write('2026-11-22', entry(1, 'a') + entry(2, 'b'));
    write('2026-11-23', entry(3, 'c') + entry(4, 'd'));
    writeFileSync(join(directory, 'notes.txt'), 'no log\n');
    assert.deepEqual(await messages({}), ['a', 'b', 'c', 'd']);
    assert.deepEqual(await messages({ lines: 3 }), ['b', 'c', 'd']);
    assert.deepEqual(await messages({ since: Date.UTC(2026, 10, 23, 12, 0, 2) }), ['b', 'c', 'd']);
  });

  test('are searched as far as it takes for so many lines of a kind', async () => {
    const many = Array.from({ length: 3_000 }, (_, second) =>
      entry(second, `line ${second} é`, { worker: 1 }),
    );
    write('2026-11-23', entry(0, 'first of 2') + many.join(''));
    assert.deepEqual(await messages({ lines: 1, wants: ({ worker }) => worker === 2 }), ['first of 2']);
    const last = await messages({ lines: 2_500 });
    assert.equal(last.length, 2_500);
    assert.equal(last[0], 'line 500 é');
  });

  test('are followed: a line comes once, when it is whole, and that of the next day too', async () => {
    write('2026-11-23', `${entry(1, 'a')}{"level":"info","msg":"ha`);
    const end = new AbortController();
    const seen: string[] = [];
    const steps: (() => void)[] = [
      () => appendFileSync(join(directory, '2026-11-23.log'), 'lf"}\n'),
      () => write('2026-11-24', entry(9, 'next day')),
      () => end.abort(),
    ];
    const options = { lines: 1, since: null, follow: true, interval: 5, signal: end.signal };
    await readLog({ kind: 'folder', path: directory }, options, ({ message }) => {
      seen.push(message);
      steps.shift()?.();
    });
    assert.deepEqual(seen, ['a', 'half', 'next day']);
  });

  test('that are not there are named', async () => {
    const source: KeptLog = { kind: 'file', path: join(directory, 'none') };
    await assert.rejects(read({}, source), /the log cannot be read: ENOENT.*none/);
  });
});
