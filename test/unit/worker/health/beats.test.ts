import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Beat } from '../../../../src/protocol/heartbeat.js';
import { createBeats } from '../../../../src/worker/health/beats.js';
import { servers } from '../tracking.js';

function beating() {
  const sent: Beat[] = [];
  const delay = {
    on: false,
    enable: () => {
      delay.on = true;
      return true;
    },
    percentile: () => 25e6,
    reset: () => {},
  };
  const beats = createBeats({
    servers,
    kept: () => 0,
    send: (beat) => sent.push(beat),
    interval: 60_000,
    delay,
  });
  return { beats, sent, delay };
}

test('a spare beats without measuring its event loop, which would wake it up fifty times a second', () => {
  const { beats, sent, delay } = beating();
  beats.start({ withBytes: false, idle: true });
  assert.equal(sent.length, 1);
  assert.equal(delay.on, false);
});

test('a spare that takes over measures its event loop from then on', () => {
  const { beats, sent, delay } = beating();
  beats.start({ withBytes: false, idle: true });
  beats.start({ withBytes: false });
  assert.equal(sent.length, 2);
  assert.equal(delay.on, true);
});

test('what is told of the event loop is how late it was, without the interval of the looks', () => {
  const { beats, sent } = beating();
  beats.start({ withBytes: false });
  assert.equal(sent[0]?.eventLoopDelay, 5);
});

test('a worker without a free file descriptor beats on, with the memory that it had', (t) => {
  const { beats, sent } = beating();
  beats.start({ withBytes: false });
  const emfile = (): never => {
    throw Object.assign(new Error('EMFILE: too many open files, uv_resident_set_memory'), { code: 'EMFILE' });
  };
  t.mock.method(process, 'memoryUsage', Object.assign(emfile, { rss: emfile }));
  beats.now();
  const [before, now] = sent;
  assert.ok(before !== undefined && before.rss > 0);
  assert.equal(now?.rss, before.rss);
});
