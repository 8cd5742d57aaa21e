import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createHandOver, type HandOver, type Trouble } from '../../../src/master/hand-over.js';
import type { RawHandle } from '../../../src/protocol/handles.js';

interface Desk {
  readonly over: HandOver;
  /** `take 1 by 2 (0 hops)` */
  readonly handed: string[];
  readonly ready: { key: number; slot: number }[];
  readonly alive: Set<number>;
  /** `4 came`, what workers were told. */
  readonly told: string[];
  readonly troubles: Trouble[];
  /** What it has closed so that the client notices. */
  readonly ended: RawHandle[];
  /** All deadlines that are set pass. */
  expire(): void;
}

function desk(...keys: number[]): Desk {
  const handed: string[] = [];
  const ready = keys.map((key) => ({ key, slot: key }));
  const alive = new Set(keys);
  const told: string[] = [];
  const troubles: Trouble[] = [];
  const ended: RawHandle[] = [];
  const deadlines = new Set<() => void>();
  const over = createHandOver({
    ready: () => ready,
    isAlive: (key) => alive.has(key),
    hand: (key, { id, hops }) => handed.push(`take ${id} by ${key} (${hops} hops)`),
    send: (key, { id, came }) => told.push(`${key}: ${id} ${came ? 'came' : 'is lost'}`),
    now: () => 1_000,
    after: (_delay, act) => {
      deadlines.add(act);
      return () => deadlines.delete(act);
    },
    end: (handle) => {
      ended.push(handle);
      handle.close();
    },
    onTrouble: (trouble) => troubles.push(trouble),
  });
  const expire = (): void => {
    for (const act of [...deadlines]) {
      deadlines.delete(act);
      act();
    }
  };
  return { over, handed, ready, alive, told, troubles, ended, expire };
}

function connection(): RawHandle & { closed: number } {
  const handle = { closed: 0, close: () => void handle.closed++, readStop: () => 0 };
  return handle;
}

function handOn(more: { to?: number | null; slot?: number; hops?: number } = {}) {
  return {
    type: 'hand-on',
    id: 8,
    to: 2,
    slot: null,
    server: 's',
    hops: 0,
    head: null,
    silence: null,
    ...more,
  } as const;
}

test('a connection goes to the worker that it is meant for, and the copy is kept until that reads from it', () => {
  const { over, handed } = desk(1, 2, 3);
  const handle = connection();
  over.receive(1, handOn(), handle);
  assert.deepEqual(handed, ['take 1 by 2 (0 hops)']);
  assert.equal(handle.closed, 0);
  over.receive(2, { type: 'taken', id: 1, outcome: 'read' }, undefined);
  assert.equal(handle.closed, 1);
  over.receive(2, { type: 'taken', id: 1, outcome: 'read' }, undefined);
  over.gone(2);
  assert.equal(handle.closed, 1, 'once');
});

test('a worker that dies before it took a connection leaves it to another', () => {
  const { over, handed, ready, alive } = desk(1, 2, 3);
  const handle = connection();
  over.receive(1, handOn(), handle);
  ready.splice(1, 1);
  alive.delete(2);
  over.gone(2);
  assert.deepEqual(handed, ['take 1 by 2 (0 hops)', 'take 2 by 3 (0 hops)']);
  assert.equal(handle.closed, 0);
});

test('what nobody else is ready for goes back, also to a worker that drains', () => {
  const { over, handed, ready } = desk(1);
  over.receive(1, handOn(), connection());
  ready.splice(0);
  over.receive(1, handOn(), connection());
  assert.deepEqual(handed, ['take 1 by 1 (0 hops)', 'take 2 by 1 (0 hops)']);
});

test('a connection that nobody is there for is closed', () => {
  const { over, handed } = desk();
  const handle = connection();
  over.receive(1, handOn(), handle);
  assert.deepEqual([handed, handle.closed], [[], 1]);
});

test('a connection that everybody refuses is closed in the end', () => {
  const { over, handed } = desk(1, 2);
  const handle = connection();
  over.receive(1, handOn({ hops: 3 }), handle);
  assert.equal(handed.length, 1);
  over.receive(2, handOn({ to: 1, hops: 4 }), handle);
  assert.deepEqual([handed.length, handle.closed], [1, 1]);
});

test('a slot means its newest worker', () => {
  const { over, handed, ready } = desk(1, 2);
  ready.push({ key: 7, slot: 2 });
  over.receive(1, handOn({ to: null, slot: 2 }), connection());
  assert.deepEqual(handed, ['take 1 by 7 (0 hops)']);
});

test('a message that has lost its connection is no harm', () => {
  const { over, handed } = desk(1, 2);
  over.receive(1, handOn(), undefined);
  assert.deepEqual(handed, []);
});

test('a worker is told at once whether its connection has come', () => {
  const { over, told, troubles } = desk(1, 2);
  over.receive(1, handOn(), connection());
  over.receive(1, handOn(), undefined);
  assert.deepEqual([told, troubles], [['1: 8 came', '1: 8 is lost'], ['to-master']]);
});

test('a connection that did not reach a worker goes to another, and is closed where there is none', () => {
  const { over, handed, troubles, ended } = desk(1, 2, 3);
  const handle = connection();
  over.receive(1, handOn(), handle);
  over.receive(2, { type: 'taken', id: 1, outcome: 'lost' }, undefined);
  over.receive(3, { type: 'taken', id: 2, outcome: 'lost' }, undefined);
  assert.equal(handle.closed, 0);
  over.receive(1, { type: 'taken', id: 3, outcome: 'lost' }, undefined);
  assert.deepEqual(handed, ['take 1 by 2 (0 hops)', 'take 2 by 3 (0 hops)', 'take 3 by 1 (0 hops)']);
  assert.deepEqual(troubles, ['to-worker', 'to-worker', 'to-worker', 'ended']);
  assert.deepEqual([ended, handle.closed], [[handle], 1]);
});

test('a worker that does not take a connection in time gets it no more', () => {
  const { over, handed, troubles, expire } = desk(1, 2, 3);
  const handle = connection();
  over.receive(1, handOn(), handle);
  expire();
  assert.deepEqual(handed, ['take 1 by 2 (0 hops)', 'take 2 by 3 (0 hops)']);
  // It has found it by now, too late.
  over.receive(2, { type: 'taken', id: 1, outcome: 'late' }, undefined);
  over.gone(2);
  assert.deepEqual([handed.length, troubles, handle.closed], [2, ['late'], 0]);
  over.receive(3, { type: 'taken', id: 2, outcome: 'read' }, undefined);
  expire();
  assert.deepEqual([handed.length, handle.closed], [2, 1]);
});
