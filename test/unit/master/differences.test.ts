import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Event } from '../../../src/core/events.js';
import { differences } from '../../../src/master/commands.js';
import type { ControlEvent } from '../../../src/protocol/control-api.js';
import { SimCluster } from '../../simulation/sim-cluster.js';
import { simHeartbeat } from '../../simulation/sim-policy.js';

type WorkerEvent = Extract<ControlEvent, { type: 'worker' }>;

/** What is told of worker 1 of two, which serves with two requests in flight, after these events. */
function toldAfter(...events: readonly Event[]): readonly Partial<WorkerEvent>[] {
  const cluster = new SimCluster({ play: () => ({ hang: 0, immortal: true }) }).start().run(500);
  cluster.post({ type: 'heartbeat', key: 1, heartbeat: simHeartbeat({ inFlight: 2 }) });
  return events.flatMap((event) => {
    const before = cluster.state;
    cluster.post(event);
    return differences(before, cluster.state, event)
      .filter((told): told is WorkerEvent => told.type === 'worker' && told.worker === 1 && told.pid === 1001)
      .map(({ phase, reason, ending }) => ({ phase, reason, ending }));
  });
}

const exited = { type: 'exited', key: 1, code: null, signal: null } as const;

test('a worker that is killed from outside crashed, with its signal and what it lost', () => {
  assert.deepEqual(toldAfter({ ...exited, signal: 'SIGKILL' }), [
    {
      phase: 'gone',
      reason: null,
      ending: { kind: 'crash', cause: null, code: null, signal: 'SIGKILL', lost: 2 },
    },
  ]);
});

test('a worker that says why it fails drains for that reason, and then crashed', () => {
  const failure = { message: 'Error: boom', exitCode: 70 };
  const told = toldAfter({ type: 'failed', key: 1, failure }, { ...exited, code: 70 });
  assert.deepEqual(told, [
    { phase: 'draining', reason: 'Error: boom', ending: null },
    {
      phase: 'gone',
      reason: null,
      ending: { kind: 'crash', cause: 'Error: boom', code: 70, signal: null, lost: 2 },
    },
  ]);
});

test('a worker that ends after its drain drained, and lost nothing', () => {
  const told = toldAfter(
    { type: 'restart', slot: 1, by: 'ann', request: 1 },
    { type: 'ready', key: 3, urls: [] },
    { type: 'drained', key: 1 },
    { ...exited, code: 0 },
  );
  assert.deepEqual(told, [
    { phase: 'draining', reason: null, ending: null },
    { phase: 'gone', reason: null, ending: { kind: 'drained', cause: null, code: 0, signal: null, lost: 0 } },
  ]);
});
