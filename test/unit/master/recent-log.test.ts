import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { LazyLog } from '../../../src/logging/lazy-log.js';
import { createRecentLog } from '../../../src/master/recent-log.js';
import type { LogLine } from '../../../src/protocol/log-line.js';

function recent(room?: number) {
  const written: unknown[] = [];
  const write = (...line: unknown[]): void => void written.push(line);
  const log = {
    ...{ trace: write, debug: write, info: write, warn: write, error: write, fatal: write },
    ...{ format: 'json', flush: () => {}, close: async () => {} },
  } as LazyLog;
  const made = createRecentLog({
    log,
    level: 'info',
    subject: ({ workerPid }) => (workerPid === 12 ? { ROM_WORKER: 3 } : {}),
    clock: () => 77,
    ...(room === undefined ? {} : { room }),
  });
  return { ...made, written };
}

describe("the master's last lines", () => {
  test('are written as before, and remembered with the worker that they are about', () => {
    const { log, lines, written } = recent();
    log.warn('worker 3 died', { workerPid: 12, error: new RangeError('too far') });
    log.info('worker 2 is ready', { worker: 2 });
    log.debug('not at this level');
    assert.equal(written.length, 3);
    const [first, second, ...others] = lines();
    assert.deepEqual(others, []);
    assert.deepEqual([first?.atMs, first?.level, first?.worker, first?.pid], [77, 'warn', 3, process.pid]);
    assert.match(String(first?.fields.error), /^RangeError: too far\n {4}at /);
    assert.deepEqual([second?.message, second?.worker], ['worker 2 is ready', 2]);
  });

  test('are bounded: the oldest make room', () => {
    const { log, lines } = recent(2_000);
    for (let index = 0; index < 100; index++) log.info(`line ${index}`);
    const kept = lines();
    assert.equal(kept.at(-1)?.message, 'line 99');
    assert.ok(JSON.stringify(kept).length < 2_200);
    log.info('long', { stack: 'x'.repeat(100_000) });
    assert.deepEqual(lines().at(-1)?.fields, {});
  });

  test('take fields that JSON cannot have', () => {
    const { log, lines } = recent();
    const circle: Record<string, unknown> = {};
    circle.circle = circle;
    log.info('circle', circle);
    log.info('large', { large: 1n });
    assert.deepEqual(
      lines().map(({ fields }) => fields),
      [{}, { large: '1' }],
    );
  });

  test('are told to those who follow, until they end it', () => {
    const { log, follow } = recent();
    const heard: LogLine[] = [];
    const end = follow((line) => heard.push(line));
    log.info('one');
    end();
    log.info('two');
    assert.deepEqual(
      heard.map(({ message }) => message),
      ['one'],
    );
  });
});
