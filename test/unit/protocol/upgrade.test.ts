import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseFromNext, parseTakeOver, parseToNext } from '../../../src/protocol/upgrade.js';

describe('what two masters say to each other', () => {
  test('is read as it was written', () => {
    const hello = { type: 'hello', pid: 5, version: '1.0.0', node: 'v24.0.0' };
    assert.deepEqual(parseFromNext(JSON.stringify(hello)), hello);
    const grow = { type: 'grow', workers: 4 };
    assert.deepEqual(parseToNext(JSON.stringify(grow)), grow);
  });

  test('of another version is passed over where it is not understood', () => {
    for (const line of ['', 'no JSON', 'null', '[]', '{"type":"later"}', '{"type":"hello","pid":"5"}'])
      assert.equal(parseFromNext(line), null, line);
    const bad = {
      type: 'served',
      deaths: 0,
      ageMs: 0,
      served: { answers: 1, errors: 0, shed: 0, latency: ['1'] },
    };
    assert.equal(parseFromNext(JSON.stringify(bad)), null);
    for (const line of ['{"type":"grow","workers":0}', '{"type":"take-over"}', '7'])
      assert.equal(parseToNext(line), null, line);
  });

  test('begins with sockets above the standard streams', () => {
    const given = { channel: 3, listeners: [{ name: ':3000', fd: 4 }], passed: [] };
    assert.deepEqual(parseTakeOver(JSON.stringify(given)), given);
    assert.throws(() => parseTakeOver('{"channel":3}'), /expected channel, listeners and passed/);
    const low = { ...given, listeners: [{ name: ':3000', fd: 1 }] };
    assert.throws(() => parseTakeOver(JSON.stringify(low)), /name and fd/);
  });
});
