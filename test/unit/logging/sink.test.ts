import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Device } from '../../../src/logging/device.js';
import { createSink } from '../../../src/logging/sink.js';

/** A device that takes `room` bytes and then none, until more is given. */
function fakeDevice({ room = Number.POSITIVE_INFINITY }: { room?: number } = {}) {
  const state = { room, error: null as string | null, out: '', writes: [] as string[], closed: 0 };
  const writeSync = (chunk: Buffer): number => {
    if (state.error !== null) throw fail(state.error);
    if (state.room <= 0) throw fail('EAGAIN');
    const part = chunk.subarray(0, state.room).toString();
    state.room -= part.length;
    state.out += part;
    state.writes.push(part);
    return part.length;
  };
  const device: Device = {
    reopens: false,
    writeSync,
    write(chunk, done) {
      try {
        done(null, writeSync(chunk));
      } catch (error) {
        done(error as NodeJS.ErrnoException, 0);
      }
    },
    close: () => {
      state.closed += 1;
    },
  };
  return { state, device };
}

function fail(code: string): NodeJS.ErrnoException {
  return Object.assign(new Error(code), { code });
}

describe('a sink', () => {
  it('writes each line at once while there is room', () => {
    const { state, device } = fakeDevice();
    const sink = createSink({ device });
    sink.write('a\n');
    sink.write('b\n');
    assert.deepEqual(state.writes, ['a\n', 'b\n']);
  });

  it('keeps order and every byte through partial writes, whole lines up to PIPE_BUF in a write', (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const { state, device } = fakeDevice({ room: 3 });
    const sink = createSink({ device });
    const lines = Array.from({ length: 200 }, (_, index) => `${String(index).padStart(99, '.')}\n`);
    for (const line of lines) sink.write(line);
    assert.equal(state.out.length, 3);
    state.room = Number.POSITIVE_INFINITY;
    t.mock.timers.tick(100);
    assert.equal(state.out, lines.join(''));
    for (const write of state.writes.slice(1)) assert.ok(write.length <= 4096 && write.endsWith('\n'));
    assert.ok(state.writes.length < 10);
  });

  it('drops what exceeds its bound, counts it, and reports it once it flows again', (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const { state, device } = fakeDevice({ room: 0 });
    const reports: number[] = [];
    const sink = createSink({ device, maxBytes: 10, onRecovered: (lost) => reports.push(lost) });
    for (let index = 0; index < 8; index += 1) sink.write(`${index}...\n`);
    assert.equal(sink.dropped(), 6);
    t.mock.timers.tick(1000);
    assert.deepEqual(reports, []);
    state.room = Number.POSITIVE_INFINITY;
    t.mock.timers.tick(100);
    assert.equal(state.out, '0...\n1...\n');
    sink.write('next\n');
    assert.deepEqual(reports, [6]);
    assert.equal(sink.dropped(), 6);
  });

  it('gives up a dead reader, and takes and counts lines without a word', () => {
    const { state, device } = fakeDevice();
    const sink = createSink({ device });
    state.error = 'EPIPE';
    sink.write('a\n');
    sink.write('b\n');
    sink.flush();
    assert.equal(sink.dropped(), 2);
    assert.equal(state.closed, 1);
  });

  it('tells of trouble once, tries again, and tells of the next trouble', (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const { state, device } = fakeDevice();
    const troubles: string[] = [];
    const sink = createSink({ device, retryDelay: 500, onTrouble: ({ message }) => troubles.push(message) });
    state.error = 'ENOSPC';
    sink.write('a\n');
    t.mock.timers.tick(2000);
    sink.write('b\n');
    assert.deepEqual(troubles, ['ENOSPC']);
    state.error = null;
    t.mock.timers.tick(500);
    assert.equal(state.out, 'a\nb\n');
    state.error = 'EROFS';
    sink.write('c\n');
    assert.deepEqual(troubles, ['ENOSPC', 'EROFS']);
  });

  it('flushes what waits, and gives up at its limit where there is no room', () => {
    const { state, device } = fakeDevice({ room: 0 });
    const sink = createSink({ device, flushLimit: 30 });
    sink.write('last\n');
    sink.flush();
    assert.equal(state.out, '');
    state.room = 100;
    sink.flush();
    assert.equal(state.out, 'last\n');
  });

  it('hears of the end of a write that was out while its thread was busy, and then writes the rest', async () => {
    const { state, device } = fakeDevice();
    const ends = (chunk: Buffer, done: (error: null, written: number) => void) =>
      setTimeout(() => done(null, device.writeSync(chunk)), 0);
    const sink = createSink({ device: { ...device, write: (chunk, done) => void ends(chunk, done) } });
    sink.write('first\n');
    sink.write('last\n');
    const busy = performance.now() + 150;
    while (performance.now() < busy);
    await sink.drained();
    sink.flush();
    assert.equal(state.out, 'first\nlast\n');
  });

  it('does not wait for a write that is blocked beyond its limit', async () => {
    const { device } = fakeDevice();
    const sink = createSink({ device: { ...device, write: () => {} }, drainLimit: 20 });
    sink.write('first\n');
    await sink.drained();
    sink.flush();
    assert.equal(sink.dropped(), 0);
  });

  it('closes its device when it was ended and all is out', (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const { state, device } = fakeDevice({ room: 0 });
    const sink = createSink({ device });
    sink.write('last\n');
    sink.end();
    assert.equal(state.closed, 0);
    state.room = 100;
    t.mock.timers.tick(100);
    assert.deepEqual([state.out, state.closed], ['last\n', 1]);
  });
});
