import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { DaemonState } from '../../../src/admin/api.js';
import { createStream } from '../../../src/admin/stream.js';

const lost: DaemonState = { state: 'lost', reason: 'line\nbreak', sinceMs: 1 };

function streamOf(options: { mostEvents?: number; room?: number } = {}) {
  const counts: number[] = [];
  const stream = createStream({ boot: 'b1', onListeners: (count) => counts.push(count), ...options });
  const listen = (after: string | null = null) => {
    let text = '';
    const end = stream.listen({ write: (more) => (text += more) }, after);
    return {
      end,
      names: () => [...text.matchAll(/^event: (\w+)$/gm)].map(([, name]) => name),
      text: () => text,
    };
  };
  return { stream, counts, listen };
}

describe('the stream of events', () => {
  test('sends each event with an id, in lines of its own', () => {
    const { stream, listen } = streamOf();
    const client = listen();
    stream.publish('daemon', lost);
    const expected =
      'id: b1-1\nevent: daemon\ndata: {"state":"lost","reason":"line\\nbreak","sinceMs":1}\n\n';
    assert.equal(client.text(), `retry: 1000\n\n${expected}`);
    assert.equal(stream.lastId(), 'b1-1');
  });

  test('goes on where a client was cut', () => {
    const { stream, listen, counts } = streamOf();
    const first = listen();
    for (let index = 0; index < 3; index++) stream.publish('daemon', lost);
    first.end();
    stream.publish('evidence', []);
    assert.deepEqual(listen('b1-2').names(), ['daemon', 'evidence']);
    assert.deepEqual(listen('b1-4').names(), []);
    assert.deepEqual(listen().names(), []);
    assert.deepEqual(counts, [1, 0, 1, 2, 3]);
  });

  test('tells a client to begin anew that has missed too much, or knew another server', () => {
    const { stream, listen } = streamOf({ mostEvents: 2 });
    for (let index = 0; index < 5; index++) stream.publish('daemon', lost);
    assert.deepEqual(listen('b1-3').names(), ['daemon', 'daemon']);
    assert.deepEqual(listen('b1-2').names(), ['reset']);
    assert.deepEqual(listen('b0-5').names(), ['reset']);
    assert.deepEqual(listen('b1-9').names(), ['reset']);
    assert.deepEqual(listen('nonsense').names(), ['reset']);
  });

  test('keeps no more than it has room for, and nothing that comes each second', () => {
    const { stream, listen } = streamOf({ room: 300 });
    for (let index = 0; index < 10; index++) stream.publish('daemon', lost);
    assert.deepEqual(listen('b1-0').names(), ['reset']);
    stream.publish('reset', { reason: 'test' });
    assert.equal(stream.lastId(), 'b1-10');
  });
});
