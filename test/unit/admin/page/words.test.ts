import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  ago,
  bytes,
  count,
  duration,
  inWords,
  ownFrame,
  percent,
  placeOf,
} from '../../../../src/admin/page/words.js';

describe('the words of the page', () => {
  test('have a unit with each number, and no more digits than say something', () => {
    assert.deepEqual([0, 0.25, 9.94, 12.5, 1240].map(count), ['0', '0.3', '9.9', '13', '1,240']);
    assert.deepEqual([0, 0.004, 0.374, 1].map(percent), ['0 %', '<1 %', '37 %', '100 %']);
    assert.deepEqual([0, 900, 1536, 200 * 1024 ** 2, 1.25 * 1024 ** 3].map(bytes), [
      '0 B',
      '900 B',
      '1.5 KiB',
      '200 MiB',
      '1.3 GiB',
    ]);
    assert.deepEqual([0, 0.4, 850, 4_210, 12_400, 185_000, 7_800_000, 270_000_000].map(duration), [
      '0 ms',
      '<1 ms',
      '850 ms',
      '4.2 s',
      '12 s',
      '3 min 5 s',
      '2 h 10 min',
      '3 d 3 h',
    ]);
    assert.deepEqual([ago(900), ago(12_300)], ['just now', '12 s ago']);
  });

  test('say where code stands as a reader would', () => {
    assert.deepEqual(placeOf('    at spin (file:///srv/shop/server.js:12:5)'), {
      name: 'spin',
      short: 'server.js:12',
      full: '/srv/shop/server.js:12:5',
    });
    assert.equal(inWords('checkout (/srv/shop/server.js:40:21)'), 'checkout at server.js:40');
    assert.equal(inWords('/srv/shop/server.js:40:21'), 'an unnamed function at server.js:40');
    assert.equal(inWords('spin'), 'an unnamed function at spin');
  });

  test('find the frame of a stack that is the app’s', () => {
    const stack =
      'Error: no\n    at Object.writeSync (node:fs:921:3)\n    at log (/srv/shop/node_modules/pino/pino.js:1:1)\n    at save (/srv/shop/store.js:7:3)';
    assert.equal(ownFrame(stack), 'save (/srv/shop/store.js:7:3)');
    assert.equal(ownFrame('Error: no'), null);
    assert.equal(ownFrame(null), null);
  });
});
