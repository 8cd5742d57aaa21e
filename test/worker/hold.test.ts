import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import test from 'node:test';
import type { TrackedServer } from '../../src/worker/follow-server.js';
import { holdConnections } from '../../src/worker/hold.js';

/** As much of a server as is looked at, and of its connections. */
function standIn() {
  const server = Object.assign(new EventEmitter(), { listening: true, closeIdleConnections: () => {} });
  const entry = { server, accepted: [], sockets: [], sessions: new Map(), upgraded: new Map() };
  const held = holdConnections({
    all: [entry as unknown as TrackedServer],
    counts: () => ({ inFlight: 0 }) as never,
  });
  return { held, come: () => void server.emit('connection', { pause: () => {}, resume: () => {} }) };
}

test('the queue counts as empty after a look at it that found nobody', async () => {
  const { held, come } = standIn();
  let left = 5;
  const arrive = (): void => {
    if (left-- === 0) return;
    come();
    setImmediate(arrive);
  };
  arrive();
  await held.empty();
  assert.ok(left <= 0, `${left} were still to come`);
});

test('clients that come at each look do not keep it from being closed', async (t) => {
  const { held, come } = standIn();
  let over = false;
  t.after(() => {
    over = true;
  });
  const arrive = (): void => {
    come();
    if (!over) setImmediate(arrive);
  };
  arrive();
  await held.empty();
});
