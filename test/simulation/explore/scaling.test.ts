import assert from 'node:assert/strict';
import { test } from 'node:test';
import { follow } from '../../../src/core/autoscale.js';
import { freshTrend } from '../../../src/core/scaling-state.js';
import { checkedDay } from '../scaling/model.js';

/** With EXPLORE_DEEPER=-1, as make test has it, a few. */
const days = Number(process.env.EXPLORE_DEEPER ?? 0) < 0 ? 5 : 60;

test(`the number of workers settles over each of ${days} days of load`, () => {
  for (let seed = 101; seed <= 100 + days; seed++) {
    assert.deepEqual(checkedDay({ follow, freshTrend }, seed), [], `seed ${seed}`);
  }
});
