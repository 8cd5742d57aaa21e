import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { inspectionFor } from '../../src/master/pool.js';

describe('the inspector of a worker', () => {
  test('opens on a free port and without a word, when it is asked for', () => {
    assert.deepEqual(inspectionFor([], '', 9229), {
      flags: ['--inspect-publish-uid=http'],
      settings: { inspectPort: 0 },
    });
  });

  for (const [argv, options] of [
    [['--inspect=127.0.0.1:9300'], ''],
    [['--inspect-brk'], ''],
    [[], '--enable-source-maps --inspect'],
  ] as const) {
    test(`is the operator's with ${[...argv, options].join(' ')}`, () => {
      assert.deepEqual(inspectionFor(argv, options, 9300), { flags: [], settings: {} });
    });
  }

  test('has a port of its own where the master has any free one, from which node:cluster would count up', () => {
    assert.deepEqual(inspectionFor(['--inspect=0'], '', 0), { flags: [], settings: { inspectPort: 0 } });
  });
});
