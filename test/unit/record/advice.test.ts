import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { KeptDeath } from '../../../src/core/state.js';
import { adviceOnDeath, adviceOnIllness } from '../../../src/record/advice.js';

const crash = {
  kind: 'crash',
  worker: 3,
  signal: null,
  oomKills: 0,
  cause: 'TypeError: x is not a function',
  stack: 'at priceOf (/srv/shop/server.js:7:26)',
} as KeptDeath;

describe('advice', () => {
  for (const [what, death, words] of [
    ['a crash with a stack names the log', crash, 'rom-agent logs --level error has its stack'],
    ['a crash without one names nothing', { ...crash, stack: null }, null],
    [
      'a hang names the log',
      { ...crash, kind: 'hang' },
      'rom-agent logs --level error has the stack that it hung in',
    ],
    [
      'a hang without a stack names the command and the worker',
      { ...crash, kind: 'hang', stack: null },
      'rom-agent stack 3 shows what a worker does while it hangs',
    ],
    [
      'a full heap names the snapshot of the worker',
      { ...crash, cause: 'aborted: most likely it reached its heap limit (max_old_space_size)' },
      'raise max_old_space_size, or look for a leak: rom-agent heap-snapshot 3 says what keeps the memory',
    ],
  ] as const) {
    test(`on ${what}`, () => {
      assert.equal(adviceOnDeath(death), words);
    });
  }

  test('on a worker that is ill of its memory names the snapshot', () => {
    const words = 'once the next one has grown, rom-agent heap-snapshot 2 says what keeps its memory';
    assert.equal(adviceOnIllness('its heap is full: 500 of 512 MiB', 2), words);
    assert.equal(adviceOnIllness('its resident set is 900 MiB, over the limit of 700 MiB', 2), words);
    assert.equal(adviceOnIllness('it has been degraded for 30 s, most others are not', 2), null);
  });
});
