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
    percentile: () => 25e6,
    reset: () => {},
  };
  const heartbeats = createHeartbeats({
    servers,
    kept: () => 0,
    send: (heartbeat) => sent.push(heartbeat),
    interval: 60_000,
    delay,
  });
  return { heartbeats, sent, delay };
}

test('a spare heartbeats without measuring its event loop, which would wake it up fifty times a second', () => {
  const { heartbeats, sent, delay } = heartbeating();
  heartbeats.start({ withBytes: false, idle: true });
  assert.equal(sent.length, 1);
  assert.equal(delay.on, false);
});

test('a spare that takes over measures its event loop from then on', () => {
  const { heartbeats, sent, delay } = heartbeating();
  heartbeats.start({ withBytes: false, idle: true });
  heartbeats.start({ withBytes: false });
  assert.equal(sent.length, 2);
  assert.equal(delay.on, true);
});

test('what is told of the event loop is how late it was, without the interval of the looks', () => {
  const { heartbeats, sent } = heartbeating();
  heartbeats.start({ withBytes: false });
  assert.equal(sent[0]?.eventLoopDelay, 5);
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
  assert.ok(before !== undefined && before.rss > 0);
  assert.equal(now?.rss, before.rss);
});
