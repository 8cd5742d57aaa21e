import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Event } from '../../../../src/core/events.js';
import type { Worker } from '../../../../src/core/state.js';
import type { CaptureOptions } from '../../../../src/master/diagnostics/capture.js';
import { createLooker } from '../../../../src/master/diagnostics/evidence.js';
import type { Capture } from '../../../../src/protocol/capture.js';

const idle: Capture = { state: 'idle', stack: null, at: null, requests: null, detail: null };

interface Look extends CaptureOptions {
  readonly find: (capture: Capture) => void;
}

/** Fake looks: each is answered by hand, and time passes by hand. */
function fakes() {
  const looks: Look[] = [];
  const posted: Event[] = [];
  let alarms: { at: number; ring: () => void }[] = [];
  let now = 0;
  const looker = createLooker({
    own: 'file:///opt/rom-agent/dist/',
    commandLines: false,
    workers: () => [{ key: 1, pid: 4711 } as Worker, { key: 2, pid: null } as Worker],
    post: (event) => void posted.push(event),
    witness: () => null,
    after: (delay, ring) => {
      const alarm = { at: now + delay, ring };
      alarms.push(alarm);
      return () => {
        alarms = alarms.filter((other) => other !== alarm);
      };
    },
    capture: (options) =>
      new Promise((resolve) => {
        looks.push({ ...options, find: resolve });
      }),
  });
  /** Rings what is due by then. */
  const pass = async (ms: number): Promise<void> => {
    await settle();
    now += ms;
    const due = alarms.filter(({ at }) => at <= now);
    alarms = alarms.filter(({ at }) => at > now);
    for (const { ring } of due) ring();
    await settle();
  };
  return { looker, looks, posted, pass };
}

const settle = () => new Promise((resolve) => setImmediate(resolve));

describe('the effect capture', () => {
  test('posts what was found', async () => {
    const { looker, looks, posted } = fakes();
    looker.capture(1, 1_000);
    await settle();
    assert.deepEqual([looks[0]?.pid, looks[0]?.timeout], [4711, 1_000]);
    assert.equal(looks[0]?.own, 'file:///opt/rom-agent/dist/');
    looks[0]?.find(idle);
    await settle();
    assert.deepEqual(posted, [{ type: 'captured', key: 1, capture: idle }]);
  });

  test('posts something in any case: where there is no process, and when time is up', async () => {
    const { looker, posted, pass } = fakes();
    looker.capture(2, 1_000);
    looker.capture(9, 1_000);
    looker.capture(1, 1_000);
    await pass(1_000);
    const states = posted.map((event) => (event.type === 'captured' ? event.capture.state : event.type));
    assert.deepEqual(states, ['unknown', 'unknown', 'unknown']);
  });
});

describe('a look', () => {
  test('is shared by those who ask meanwhile', async () => {
    const { looker, looks } = fakes();
    const both = [looker.look(4711, 1_000), looker.look(4711, 2_000)];
    await settle();
    assert.equal(looks.length, 1);
    looks[0]?.find(idle);
    assert.deepEqual(await Promise.all(both), [idle, idle]);
  });

  test('of a process is followed by another one when it is over', async () => {
    const { looker, looks } = fakes();
    for (const index of [0, 1]) {
      const found = looker.look(4711, 2_000);
      await settle();
      looks[index]?.find(idle);
      await found;
    }
    assert.equal(looks.length, 2);
  });
});
