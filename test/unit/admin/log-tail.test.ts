import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createLogTail, type ReadLog } from '../../../src/admin/log-tail.js';
import type { LogLine, LogSource } from '../../../src/protocol/log-line.js';

const line = (message: string): LogLine => ({
  ...{ atMs: 1, level: 'info', worker: null, pid: 1, from: 'app', message, fields: {} },
});
const journal: LogSource = { kind: 'journal', unit: 'shop.service', ofUser: false };

function tailOf(source: LogSource) {
  const told: string[] = [];
  const readers: { write: (line: LogLine) => void; fail: (error: Error) => void; signal: AbortSignal }[] = [];
  const read: ReadLog = (_, { signal }, write) =>
    new Promise((_, fail) => {
      readers.push({ write, fail, signal });
    });
  const tail = createLogTail({ read, onLine: ({ message }) => told.push(message) });
  tail.heard({ type: 'source', source, lines: 0 });
  const messages = () => tail.lines().map(({ message }) => message);
  return { tail, told, readers, messages };
}

describe('the tail of the log', () => {
  test("is the master's own lines where standard output cannot be read again", () => {
    const { tail, told, messages, readers } = tailOf({ kind: 'none' });
    tail.watch(true);
    tail.heard({ type: 'line', line: line('one') });
    assert.deepEqual([messages(), told, readers.length], [['one'], ['one'], 0]);
    assert.match(tail.source(), /^the master's own lines: standard output goes to a terminal or a pipe/);
  });

  test('is read from where all lines are, while somebody looks', () => {
    const { tail, told, messages, readers } = tailOf(journal);
    tail.heard({ type: 'line', line: line('own') });
    assert.equal(readers.length, 0);
    tail.watch(true);
    readers[0]?.write(line('of the app'));
    assert.deepEqual(
      [messages(), told, tail.source()],
      [['of the app'], ['of the app'], 'the journal of shop.service'],
    );
    tail.watch(false);
    assert.equal(readers[0]?.signal.aborted, true);
    readers[0]?.write(line('late'));
    assert.deepEqual(messages(), []);
    tail.watch(true);
    assert.equal(readers.length, 2);
  });

  test("falls back to the master's own lines where the journal may not be read, and says so", async () => {
    const { tail, told, messages, readers } = tailOf(journal);
    tail.heard({ type: 'line', line: line('own') });
    tail.watch(true);
    readers[0]?.fail(new Error('no permission'));
    await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual([messages(), told], [['own'], ['own']]);
    assert.equal(
      tail.source(),
      "the master's own lines: the journal of shop.service cannot be read: no permission",
    );
    tail.heard({ type: 'line', line: line('next') });
    assert.deepEqual(
      [messages(), told],
      [
        ['own', 'next'],
        ['own', 'next'],
      ],
    );
  });

  test('is not doubled by a daemon that was restarted', () => {
    const { tail, messages } = tailOf({ kind: 'none' });
    tail.heard({ type: 'line', line: line('one') });
    tail.heard({ type: 'source', source: { kind: 'none' }, lines: 0 });
    tail.heard({ type: 'line', line: line('two') });
    assert.deepEqual(messages(), ['two']);
  });

  test('is bounded', () => {
    const { tail, messages } = tailOf({ kind: 'none' });
    for (let index = 0; index < 600; index++) tail.heard({ type: 'line', line: line(String(index)) });
    assert.deepEqual([messages().length, messages().at(-1)], [500, '599']);
  });
});
