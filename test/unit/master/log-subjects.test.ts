import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { State } from '../../../src/core/state.js';
import { createLogSubjects } from '../../../src/master/log-subjects.js';

const stateWith = (...workers: readonly object[]) => ({ workers }) as unknown as State;

test('an entry with a worker’s pid is about its slot and generation, also in the change that ends it', () => {
  const subjects = createLogSubjects();
  const before = stateWith(
    { pid: 7, role: { kind: 'slot', slot: 2 }, generation: 3 },
    { pid: 8, role: { kind: 'spare' }, generation: 3 },
  );
  subjects.changed(before, stateWith({ pid: 9, role: { kind: 'slot', slot: 2 }, generation: 4 }));
  assert.deepEqual(subjects.of({ workerPid: 7 }), { ROM_WORKER: 2, ROM_GENERATION: 3 });
  assert.deepEqual(subjects.of({ workerPid: 9 }), { ROM_WORKER: 2, ROM_GENERATION: 4 });
  assert.deepEqual(subjects.of({ workerPid: 8 }), { ROM_GENERATION: 3 }, 'a spare has no slot');
  for (const other of [{}, { workerPid: 10 }, { workerPid: null }]) assert.deepEqual(subjects.of(other), {});
});
