import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseProcStat } from '../../../src/config/proc.js';

test('the state of a process is told, whatever its name', () => {
  assert.deepEqual(parseProcStat('7 (a) Z (b) S 1 6 5 0 -1\n'), {
    name: 'a) Z (b',
    state: 'S',
    parent: 1,
    group: 6,
    session: 5,
  });
});
