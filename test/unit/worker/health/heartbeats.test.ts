import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Heartbeat } from '../../../../src/protocol/heartbeat.js';
import { createHeartbeats } from '../../../../src/worker/health/heartbeats.js';
import { servers } from '../tracking.js';

function heartbeating() {
  const sent: Heartbeat[] = [];
  const delay = {
    on: false,
    enable: () => {
      delay.on = true;
      return true;
    },
    disable: () => {
      delay.on = false;
      return true;
    },
    percentile: () => (delay.on ? 25e6 : 0),
    reset: () => {},
  };
  const turns = {
    begin: () => {},
    busy: () => false,
    worked: () => 0,
    onChange: (hear: (busy: boolean, at: number) => void) => {
      turns.change = (busy) => hear(busy, 0);
    },
    onTurn: () => {},
    settle: () => {},
    takeLongest: () => 3,
    change: (_busy: boolean) => {},
  };
  const heartbeats = createHeartbeats({
    servers,
    turns,
    kept: () => 0,
    send: (heartbeat) => sent.push(heartbeat),
    interval: 60_000,
    delay,
  });
  return { heartbeats, sent, delay, turns };
}

test('an idle worker tells its longest turn, and runs no timer that wakes it up fifty times a second', () => {
  const { heartbeats, sent, delay } = heartbeating();
  heartbeats.start({ withBytes: false });
  assert.equal(sent[0]?.eventLoopDelayMs, 3);
  assert.equal(delay.on, false);
});

test('a busy worker tells how late its event loop was, without the interval of the looks', () => {
  const { heartbeats, sent, delay, turns } = heartbeating();
  turns.change(true);
  heartbeats.start({ withBytes: false });
  assert.equal(sent[0]?.eventLoopDelayMs, 5);
  turns.change(false);
  assert.equal(delay.on, false);
});

test('a worker without a free file descriptor heartbeats on, with the memory that it had', (t) => {
  const { heartbeats, sent } = heartbeating();
  heartbeats.start({ withBytes: false });
  const emfile = (): never => {
    throw Object.assign(new Error('EMFILE: too many open files, uv_resident_set_memory'), { code: 'EMFILE' });
  };
  // Not t.mock.method(): its stand-in hands `rss` on to the original.
  const { memoryUsage } = process;
  process.memoryUsage = Object.assign(emfile, { rss: emfile });
  t.after(() => {
    process.memoryUsage = memoryUsage;
  });
  heartbeats.now();
  const [before, now] = sent;
  assert.ok(before !== undefined && before.rssBytes > 0);
  assert.equal(now?.rssBytes, before.rssBytes);
});

test('what is to be done each second is done with a heartbeat, and the worker wakes up for it no more often', (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] });
  const { heartbeats, sent } = heartbeating();
  heartbeats.start({ withBytes: false });
  const done: number[] = [];
  const end = heartbeats.every(120_000, () => done.push(sent.length));
  for (let beats = 0; beats < 5; beats++) t.mock.timers.tick(60_000);
  assert.deepEqual(done, [3, 5]);
  end();
  for (let beats = 0; beats < 5; beats++) t.mock.timers.tick(60_000);
  assert.deepEqual(done, [3, 5]);
});
