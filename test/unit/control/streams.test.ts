import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { mostWaiting, openLineStream } from '../../../src/control/answers.js';
import type { ReloadAnswer } from '../../../src/protocol/control-api.js';
import { waitFor } from '../../support/wait.js';
import { acceptedReload, record, recordEvent, stepEvent } from './fake-commands.js';
import { folder, opened, streaming } from './place.js';

const answerLine = { type: 'answer', ...acceptedReload };
const reload = { method: 'POST', route: '/v1/reload' };

describe('the stream of a reload', () => {
  test('has the answer first, even where steps were faster, then the steps, and ends with the verdict', async (t) => {
    const fake = await opened(t);
    fake.reload = async () => {
      fake.emit(stepEvent);
      return acceptedReload;
    };
    const stream = await streaming(fake.path, reload);
    await waitFor('the early step', () => stream.lines.length === 2);
    assert.deepEqual(stream.lines, [answerLine, stepEvent]);
    assert.equal(stream.ended(), 'no');
    fake.emit(recordEvent);
    fake.emit(stepEvent);
    await waitFor('the end', () => stream.ended() === 'cleanly');
    assert.deepEqual(stream.lines, [answerLine, stepEvent, recordEvent]);
    assert.equal(fake.listeners.size, 0);
  });

  test('has nothing of other generations, nor of anything but the reload', async (t) => {
    const fake = await opened(t);
    const stream = await streaming(fake.path, reload);
    fake.emit({ type: 'step', generation: 2, step: stepEvent.step });
    fake.emit({ type: 'record', record: { ...record, generation: 2 } });
    fake.emit({ type: 'service', status: 'serving', wanted: 2 });
    fake.emit(recordEvent);
    await waitFor('the end', () => stream.ended() === 'cleanly');
    assert.deepEqual(stream.lines, [answerLine, recordEvent]);
  });

  test('goes on after a record without a verdict', async (t) => {
    const fake = await opened(t);
    const stream = await streaming(fake.path, reload);
    fake.emit({ type: 'record', record: { ...record, verdict: null } });
    fake.emit(recordEvent);
    await waitFor('the end', () => stream.ended() === 'cleanly');
    assert.equal(stream.lines.length, 3);
  });

  test('is given up with its client, and the reload is not', async (t) => {
    const fake = await opened(t);
    const stream = await streaming(fake.path, reload);
    assert.equal(fake.listeners.size, 1);
    stream.leave();
    await waitFor('the end of the subscription', () => fake.listeners.size === 0);
    assert.deepEqual(fake.calls, [['reload', { by: 'control', soak: true, rollback: true }]]);
  });

  test('leaves no subscription behind where the client goes away before the answer', async (t) => {
    const fake = await opened(t);
    let accept: (answer: ReloadAnswer) => void = () => {};
    fake.reload = () =>
      new Promise((resolve) => {
        accept = resolve;
      });
    const socket = connect(fake.path).on('error', () => {});
    socket.write('POST /v1/reload HTTP/1.1\r\nHost: x\r\n\r\n');
    await waitFor('the reload', () => fake.calls.length === 1);
    socket.destroy();
    await once(socket, 'close');
    accept(acceptedReload);
    await waitFor('the end of the subscription', () => fake.listeners.size === 0);
    assert.deepEqual(fake.errors, []);
  });

  test('leaves no subscription behind where the master throws', async (t) => {
    const fake = await opened(t);
    fake.reload = () => Promise.reject(new Error('a bug'));
    const stream = await streaming(fake.path, reload);
    await waitFor('the end', () => stream.ended() === 'cleanly');
    assert.equal(fake.listeners.size, 0);
    assert.equal(fake.errors.length, 1);
  });
});

describe('the stream of events', () => {
  test('has what happens from its first byte on, for everybody who listens', async (t) => {
    const fake = await opened(t);
    const streams = [
      await streaming(fake.path, { route: '/v1/events' }),
      await streaming(fake.path, { route: '/v1/events' }),
    ];
    fake.emit(stepEvent);
    fake.emit({ type: 'service', status: 'stopping', wanted: 2 });
    for (const { lines } of streams) {
      await waitFor('both events', () => lines.length === 2);
      assert.deepEqual(lines, [stepEvent, { type: 'service', status: 'stopping', wanted: 2 }]);
    }
  });

  test('ends when the socket is closed, cleanly', async (t) => {
    const fake = await opened(t);
    const stream = await streaming(fake.path, { route: '/v1/events' });
    fake.emit(stepEvent);
    await fake.server.close();
    await waitFor('the end', () => stream.ended() === 'cleanly');
    assert.equal(fake.listeners.size, 0);
  });

  test('is not opened for HEAD', async (t) => {
    const fake = await opened(t);
    const stream = await streaming(fake.path, { method: 'HEAD', route: '/v1/events' });
    await waitFor('the end', () => stream.ended() === 'cleanly');
    assert.equal(fake.listeners.size, 0);
  });

  for (const requests of [1, 3]) {
    test(`is cut where ${requests} pipelined and nobody reads, before memory grows`, async (t) => {
      const fake = await opened(t);
      const socket = connect(fake.path).on('error', () => {});
      t.after(() => socket.destroy());
      socket.pause().write('GET /v1/events HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(requests));
      await waitFor('the subscriptions', () => fake.listeners.size === requests);
      const reader = await streaming(fake.path, { route: '/v1/events' });
      const event = { type: 'service', status: 'serving', wanted: 2 } as const;
      let bytes = 0;
      await waitFor(
        'the cut',
        () => {
          for (let count = 0; count < 100; count += 1) fake.emit(event);
          bytes += 100 * `${JSON.stringify(event)}\n`.length;
          return fake.listeners.size === 1;
        },
        { interval: 1 },
      );
      // Each line has its share of HTTP's framing; what the kernel holds for the two ends comes on top.
      assert.ok(bytes > mostWaiting / 2 && bytes < mostWaiting + 1024 * 1024, `${bytes} bytes`);
      await waitFor('the reader to have all', () => reader.lines.length * 50 >= bytes);
      assert.equal(reader.ended(), 'no');
    });
  }
});

describe('a stream of lines', () => {
  test('sends blank lines while there is nothing to say, and stops with its client', async (t) => {
    let over = 0;
    const server = createServer((_, response) => {
      openLineStream(response, 10).onOver(() => over++);
    });
    const path = join(folder(t), 'stream.sock');
    await once(server.listen(path), 'listening');
    t.after(() => server.close());
    const stream = await streaming(path, { route: '/' });
    await waitFor('three signs of life', () => stream.blank() >= 3);
    assert.deepEqual(stream.lines, []);
    stream.leave();
    await waitFor('the end', () => over === 1);
  });
});
