import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { describe, test } from 'node:test';
import type { Event } from '../../src/core/events.js';
import { onSignals } from '../../src/master/signals.js';

function paperProcess() {
  const emitter = new EventEmitter();
  const posted: Event[] = [];
  const forget = onSignals(emitter as NodeJS.Process, (event) => posted.push(event));
  return { emitter, posted, forget };
}

describe('signals', () => {
  for (const signal of ['SIGTERM', 'SIGHUP'] as const) {
    test(`${signal} asks for a stop, and a second one for no more than that`, () => {
      const { emitter, posted } = paperProcess();
      emitter.emit(signal);
      emitter.emit(signal);
      const stop = { type: 'stop', why: signal, now: false };
      assert.deepEqual(posted, [stop, stop]);
    });
  }

  test('a second Ctrl-C does not wait', () => {
    const { emitter, posted } = paperProcess();
    for (let index = 0; index < 3; index++) emitter.emit('SIGINT');
    assert.deepEqual(
      posted.map((event) => event.type === 'stop' && event.now),
      [false, true, true],
    );
  });

  test('a first Ctrl-C after a SIGTERM waits all the same', () => {
    const { emitter, posted } = paperProcess();
    emitter.emit('SIGTERM');
    emitter.emit('SIGINT');
    assert.deepEqual(posted.at(-1), { type: 'stop', why: 'SIGINT', now: false });
  });

  test('are left to whoever else listens once they are forgotten', () => {
    const { emitter, posted, forget } = paperProcess();
    let others = 0;
    emitter.on('SIGTERM', () => others++);
    forget();
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP']) emitter.emit(signal);
    assert.deepEqual(posted, []);
    assert.equal(others, 1);
  });
});
