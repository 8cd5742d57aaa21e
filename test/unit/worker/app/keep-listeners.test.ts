import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { describe, test } from 'node:test';
import { keepListeners } from '../../../../src/worker/app/surroundings.js';

function worker() {
  const heard: string[] = [];
  const emitter = new EventEmitter();
  const hear = (name: string, who: string) => emitter.on(name, () => heard.push(`${who}: ${name}`));
  return { emitter, hear, heard };
}

describe('keepListeners', () => {
  for (const [what, remove] of [
    ['all listeners', (emitter: EventEmitter) => emitter.removeAllListeners()],
    ['those of one event', (emitter: EventEmitter) => emitter.removeAllListeners('internalMessage')],
  ] as const) {
    test(`what hears the master stays when the app removes ${what}`, () => {
      const { emitter, hear, heard } = worker();
      hear('internalMessage', 'ours');
      keepListeners(emitter);
      hear('internalMessage', "the app's");
      assert.equal(remove(emitter), emitter);
      emitter.emit('internalMessage');
      assert.deepEqual(heard, ['ours: internalMessage']);
    });
  }

  test('a listener for one time is kept as such', () => {
    const { emitter, heard } = worker();
    emitter.once('disconnect', () => heard.push('gone'));
    keepListeners(emitter);
    emitter.removeAllListeners();
    emitter.emit('disconnect');
    emitter.emit('disconnect');
    assert.deepEqual(heard, ['gone']);
  });

  test('what Node prints of warnings can be removed as without us, and so can what the app listens to', () => {
    const { emitter, hear, heard } = worker();
    hear('warning', 'Node');
    keepListeners(emitter);
    hear('message', "the app's");
    emitter.removeAllListeners();
    emitter.emit('warning');
    emitter.emit('message');
    assert.deepEqual(heard, []);
  });
});
