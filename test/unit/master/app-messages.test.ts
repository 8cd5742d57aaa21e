import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createAppMessages } from '../../../src/master/siblings.js';

function fakes() {
  const told: [number, object][] = [];
  const warnings: string[] = [];
  const messages = createAppMessages({
    tell: (key, message) => told.push([key, message]),
    warn: (message) => warnings.push(message),
  });
  return { messages, told, warnings };
}

const ofAdapter = { source: '_sio_adapter', type: 3, data: {} };

describe("an app's message to the primary", () => {
  test('is told of once for each kind, by what tells it from others', () => {
    const { messages, told, warnings } = fakes();
    for (let count = 0; count < 3; count++) messages.receive(1, { topic: 'my-logger', text: `${count}` });
    messages.receive(2, { topic: 'my-logger' });
    messages.receive(2, { x: 1, y: 2 });
    messages.receive(2, 'flush');
    assert.deepEqual(
      warnings.map((warning) => /\((.*?)\)/.exec(warning)?.[1]),
      ['topic my-logger', 'an object with x, y', 'flush'],
    );
    assert.deepEqual(told, []);
  });

  test('comes with what to do about it where a common library sends it', () => {
    const { messages, warnings } = fakes();
    messages.receive(1, { topic: 'log4js:message', data: '' });
    assert.match(warnings[0] ?? '', /disableClustering: true in log4js/);
  });

  test('is not told of where nobody waits for anything: what PM2 would hear', () => {
    const { messages, warnings } = fakes();
    for (const message of ['ready', { type: 'axm:monitor', data: {} }, 7, null]) messages.receive(1, message);
    assert.deepEqual(warnings, []);
  });

  test('is told of for a limited number of kinds', () => {
    const { messages, warnings } = fakes();
    for (let count = 0; count < 500; count++) messages.receive(1, { topic: `${count}` });
    assert.equal(warnings.length, 20);
  });

  test("reaches the other workers with such an adapter, and those alone, where Socket.IO's sends it", () => {
    const { messages, told, warnings } = fakes();
    messages.receive(1, ofAdapter);
    messages.receive(2, ofAdapter);
    messages.receive(3, ofAdapter);
    assert.deepEqual(told, [
      [1, ofAdapter],
      [1, ofAdapter],
      [2, ofAdapter],
    ]);
    messages.gone(1);
    messages.receive(2, ofAdapter);
    assert.deepEqual(told.slice(3), [[3, ofAdapter]]);
    assert.deepEqual(warnings, []);
  });
});
