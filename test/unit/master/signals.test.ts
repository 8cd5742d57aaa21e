import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { describe, test } from 'node:test';
import type { Event } from '../../../src/core/events.js';
import { onSignals, type SignalSeam } from '../../../src/master/signals.js';

function fakeProcess({ terminal = false, terminalGone = false } = {}) {
  const emitter = new EventEmitter();
  const clock = { now: 1_000 };
  const posted: Event[] = [];
  const asked: unknown[] = [];
  const commands: SignalSeam['commands'] = {
    reload: async (options) => {
      asked.push(options);
      return { accepted: false, reason: 'simulated' };
    },
    scale: async (change, by) => {
      asked.push({ ...change, by });
      return { accepted: false, reason: 'simulated' };
    },
  };
  const seam = {
    post: (event: Event) => void posted.push(event),
    commands,
    terminal: { isThere: terminal || terminalGone, isGone: () => terminalGone },
    now: () => clock.now,
  };
  const forget = onSignals(emitter as NodeJS.Process, seam);
  return { emitter, posted, asked, forget, clock };
}

describe('signals', () => {
  test('SIGTERM asks for a stop, and a second one for no more than that', () => {
    const { emitter, posted } = fakeProcess();
    emitter.emit('SIGTERM');
    emitter.emit('SIGTERM');
    const stop = { type: 'stop', why: 'SIGTERM', now: false };
    assert.deepEqual(posted, [stop, stop]);
  });

  test('SIGHUP asks for a reload with a canary, SIGUSR2 for one without a way back', () => {
    const { emitter, posted, asked } = fakeProcess();
    emitter.emit('SIGHUP');
    emitter.emit('SIGUSR2');
    assert.deepEqual(asked, [
      { by: 'SIGHUP', soak: true, rollback: true },
      { by: 'SIGUSR2', soak: false, rollback: false },
    ]);
    assert.deepEqual(posted, []);
  });

  test('SIGHUP of a terminal that has gone asks for a stop', () => {
    const { emitter, posted, asked } = fakeProcess({ terminalGone: true });
    emitter.emit('SIGHUP');
    assert.deepEqual(posted, [{ type: 'stop', why: 'SIGHUP', now: false }]);
    assert.deepEqual(asked, []);
  });

  test('SIGTTIN and SIGTTOU are left to a terminal, which stops jobs in the background by them', () => {
    const { emitter } = fakeProcess({ terminal: true });
    assert.deepEqual([emitter.listenerCount('SIGTTIN'), emitter.listenerCount('SIGTTOU')], [0, 0]);
  });

  test('SIGTTIN and SIGTTOU ask for a worker more and one less', () => {
    const { emitter, asked } = fakeProcess();
    emitter.emit('SIGTTIN');
    emitter.emit('SIGTTOU');
    assert.deepEqual(asked, [
      { add: 1, by: 'SIGTTIN' },
      { add: -1, by: 'SIGTTOU' },
    ]);
  });

  test('a second Ctrl-C does not wait', () => {
    const { emitter, posted, clock } = fakeProcess();
    for (let index = 0; index < 3; index++, clock.now += 500) emitter.emit('SIGINT');
    assert.deepEqual(
      posted.map((event) => event.type === 'stop' && event.now),
      [false, true, true],
    );
  });

  test('a Ctrl-C that comes several times within moments, from the terminal and from npm, is one', () => {
    const { emitter, posted, clock } = fakeProcess();
    for (let index = 0; index < 5; index++, clock.now += 99) emitter.emit('SIGINT');
    assert.ok(posted.every((event) => event.type === 'stop' && !event.now));
  });

  test('a first Ctrl-C after a SIGTERM waits all the same', () => {
    const { emitter, posted } = fakeProcess();
    emitter.emit('SIGTERM');
    emitter.emit('SIGINT');
    assert.deepEqual(posted.at(-1), { type: 'stop', why: 'SIGINT', now: false });
  });

  test('are left to whoever else listens once they are forgotten', () => {
    const { emitter, posted, asked, forget } = fakeProcess();
    let others = 0;
    emitter.on('SIGTERM', () => others++);
    forget();
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGUSR2', 'SIGTTIN', 'SIGTTOU'])
      emitter.emit(signal);
    assert.deepEqual([posted, asked], [[], []]);
    assert.equal(others, 1);
  });
});
