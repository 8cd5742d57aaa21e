import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { State, Worker } from '../../../src/core/state.js';
import { createAnnouncer, isHeard } from '../../../src/master/siblings.js';
import { simHeartbeat } from '../../simulation/sim-policy.js';

const ready = (key: number): Worker =>
  ({ key, role: { kind: 'slot', slot: key }, phase: 'ready', heartbeatAt: 0 }) as Worker;

/** Who was told which keys, since the last look. */
function fakes() {
  const silent = new Set<number>();
  const told: string[] = [];
  const announce = createAnnouncer({
    send: (to, message) => {
      if (message.type === 'workers') told.push(`${to}: ${message.ready.map(({ key }) => key)}`);
    },
    isHeard: ({ key }) => !silent.has(key),
  });
  return {
    silent,
    changed: (...workers: readonly Worker[]): readonly string[] => {
      announce({ workers } as unknown as State, { type: 'tick' });
      return told.splice(0);
    },
    heartbeatOf: (key: number, ...workers: readonly Worker[]): readonly string[] => {
      announce({ workers } as unknown as State, { type: 'heartbeat', key, heartbeat: simHeartbeat() });
      return told.splice(0);
    },
  };
}

describe('who is ready', () => {
  test('is told to each of them when it has changed, and only then', () => {
    const { changed } = fakes();
    assert.deepEqual(changed(ready(1)), ['1: 1']);
    assert.deepEqual(changed(ready(1)), []);
    assert.deepEqual(changed(ready(1), ready(2)), ['1: 1,2', '2: 1,2']);
    assert.deepEqual(changed(ready(2), { ...ready(1), phase: 'draining' } as Worker), ['2: 2']);
  });

  test('leaves out who is not heard any more, though he is told himself', () => {
    const { changed, silent } = fakes();
    changed(ready(1), ready(2));
    silent.add(2);
    assert.deepEqual(changed(ready(1), ready(2)), ['1: 1', '2: 1']);
    silent.delete(2);
    assert.deepEqual(changed(ready(1), ready(2)), ['1: 1,2', '2: 1,2']);
  });

  test('is not looked at when a worker that is listed sends a heartbeat, but when one that was not heard does', () => {
    const { changed, heartbeatOf, silent } = fakes();
    changed(ready(1), ready(2), ready(3));
    silent.add(2);
    assert.deepEqual(heartbeatOf(1, ready(1), ready(2), ready(3)), []);
    assert.deepEqual(changed(ready(1), ready(2), ready(3)), ['1: 1,3', '2: 1,3', '3: 1,3']);
    silent.delete(2);
    assert.deepEqual(heartbeatOf(2, ready(1), ready(2), ready(3)), ['1: 1,2,3', '2: 1,2,3', '3: 1,2,3']);
  });

  test('is everybody where nobody is heard', () => {
    const { changed, silent } = fakes();
    changed(ready(1), ready(2));
    silent.add(1).add(2);
    assert.deepEqual(changed(ready(1), ready(2)), []);
  });
});

describe('a worker', () => {
  test('is heard until two heartbeats and a half are missing', () => {
    const heardAt = (now: number) => isHeard(ready(1), { now, heartbeatInterval: 1_000 });
    assert.deepEqual([heardAt(2_500), heardAt(2_501)], [true, false]);
  });
});
