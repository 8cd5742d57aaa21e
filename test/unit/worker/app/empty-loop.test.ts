import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { test } from 'node:test';
import { watchEmptyLoop } from '../../../../src/worker/app/moments.js';

/** A process on paper: `active` is what keeps its event loop. */
function paperProcess() {
  const heard: string[] = [];
  const active: string[] = [];
  const worker = new EventEmitter().on('beforeExit', () => heard.push('app')) as unknown as NodeJS.Process;
  const loop = watchEmptyLoop(worker, () => active);
  const empty = () => void worker.emit('beforeExit', 0);
  return { heard, active, worker, loop, empty };
}

test('the app hears of an empty event loop as in plain Node', () => {
  const { heard, empty } = paperProcess();
  empty();
  assert.deepEqual(heard, ['app']);
});

test('what is still to come keeps it from the app', () => {
  const { heard, loop, empty } = paperProcess();
  loop.onEmpty(() => true);
  empty();
  assert.deepEqual(heard, []);
});

test('the end is told after the app has heard, and not where the app goes on', () => {
  const { heard, active, loop, empty } = paperProcess();
  loop.onEnd(() => heard.push('end'));
  active.push('Timeout');
  empty();
  assert.deepEqual(heard, ['app']);
  active.pop();
  empty();
  assert.deepEqual(heard, ['app', 'app', 'end']);
});

test('afterwards the process is as it was', () => {
  const { worker, loop } = paperProcess();
  loop.release();
  assert.ok(!Object.hasOwn(worker, 'emit'));
});

test('whoever has put something before it keeps that, and only the app hears', () => {
  const { heard, worker, loop, empty } = paperProcess();
  const { emit } = worker;
  worker.emit = ((...args: Parameters<typeof emit>) => emit.apply(worker, args)) as typeof emit;
  loop.onEmpty(() => true);
  loop.release();
  empty();
  assert.deepEqual(heard, ['app']);
  assert.ok(Object.hasOwn(worker, 'emit'));
});
