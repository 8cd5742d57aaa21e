import assert from 'node:assert/strict';
import test from 'node:test';
import { holdConnections } from '../../../../src/worker/drain/last-close.js';

/** Of which as many connections as the test says were accepted. */
function hold() {
  const counts = { inFlight: 0, accepted: 0 };
  return { counts, ...holdConnections({ all: [], counts: () => counts as never }) };
}

test('the queue counts as empty after a look at it that found nobody, however many there were', async () => {
  const { counts, empty } = hold();
  const accept = (): void => {
    if (counts.accepted++ < 200) setImmediate(accept);
  };
  accept();
  await empty();
  assert.ok(counts.accepted > 200, `${counts.accepted} of 200`);
});

test('clients that come at each look do not keep it from being closed', async (t) => {
  const { counts, empty } = hold();
  let over = false;
  t.after(() => {
    over = true;
  });
  const accept = (): void => {
    counts.accepted++;
    if (!over) setImmediate(accept);
  };
  accept();
  await empty();
});
