import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseProcStat } from '../../../src/processes.js';

test('the state of a process is told, whatever its name', () => {
  assert.deepEqual(parseProcStat('7 (a) Z (b) S 1 6 5 0 -1\n'), {
    name: 'a) Z (b',
    state: 'S',
    parent: 1,
    group: 6,
    session: 5,
    start: null,
  });
});

test('the time at which a process began is told', () => {
  const text = '7 (node) S 1 7 7 0 -1 4194560 20 0 0 0 3 1 0 0 20 0 11 0 123456 1000 90\n';
  assert.equal(parseProcStat(text).start, '123456');
});
