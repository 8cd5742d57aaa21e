import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import type { Event } from '../../../../src/core/events.js';
import type { Worker } from '../../../../src/core/state.js';
import { createEvidence } from '../../../../src/master/diagnostics/evidence.js';
import type { Capture } from '../../../../src/protocol/capture.js';
import type { MasterMessage } from '../../../../src/protocol/messages.js';
import { waitFor } from '../../../support/wait.js';

const idle: Capture = { state: 'idle', stack: null, at: null, requests: [], detail: null };

function worker(key: number, slot: number | null, phase = 'ready'): Worker {
  const role = slot === null ? { kind: 'spare' } : { kind: 'slot', slot };
  return { key, role, phase, pid: 4710 + key } as Worker;
}

/** The evidence of fake workers: what they are sent, what is posted, and alarms that do not ring by themselves. */
function fakes(t: TestContext, workers: Worker[] = [worker(1, 1), worker(2, 2)]) {
  const stateDir = join(mkdtempSync(join(tmpdir(), 'rom-agent-evidence-')), 'state');
  t.after(() => rmSync(dirname(stateDir), { recursive: true }));
  const sent: Extract<MasterMessage, { type: 'evidence' }>[] = [];
  const posted: Event[] = [];
  const looks: number[] = [];
  const alarms: { delay: number; ring: () => void }[] = [];
  const evidence = createEvidence({
    workers: () => workers,
    send: (_, message) => {
      if (message.type === 'evidence') sent.push(message);
    },
    post: (event) => void posted.push(event),
    capture: async (pid, timeout) => {
      looks.push(pid, timeout);
      return idle;
    },
    stateDir,
    clock: () => Date.UTC(2026, 10, 24, 9, 15, 30, 123),
    onAsked: () => {},
    after: (delay, ring) => {
      const alarm = { delay, ring };
      alarms.push(alarm);
      return () => void alarms.splice(alarms.indexOf(alarm), 1);
    },
  });
  const order = async () => {
    await waitFor('an order', () => sent.length > 0);
    return sent.shift() as (typeof sent)[number];
  };
  const answer = (key: number, id: number, failure: string | null = null): void =>
    evidence.receive(key, { type: 'evidence', id, path: 'x', bytes: 7, failure });
  return { evidence, workers, stateDir, posted, looks, alarms, order, answer };
}

describe('evidence', () => {
  test('is ordered of a worker, which is excused meanwhile', async (t) => {
    const { evidence, stateDir, posted, alarms, order, answer } = fakes(t);
    const asked = evidence.profile(2, 30, 'ann');
    const { id, kind, path, seconds } = await order();
    assert.deepEqual([kind, seconds], ['profile', 30]);
    assert.equal(path, join(stateDir, 'evidence/2026-11-24T09-15-30.123Z-worker-2-pid-4712.cpuprofile'));
    assert.equal(statSync(dirname(path)).mode & 0o777, 0o700);
    assert.deepEqual(posted.splice(0), [{ type: 'excused', key: 2, for: 35_000 }]);
    assert.deepEqual(
      alarms.map(({ delay }) => delay),
      [35_000],
    );
    answer(2, id);
    assert.deepEqual(await asked, { accepted: true, path: 'x', bytes: 7 });
    assert.deepEqual(posted, [{ type: 'excused', key: 2, for: 0 }]);
    assert.deepEqual(alarms, []);
  });

  test('of the heap may take five minutes', async (t) => {
    const { evidence, posted, order, answer } = fakes(t);
    const asked = evidence.heapSnapshot(1, 'ann');
    const { id, path } = await order();
    assert.match(path, /-worker-1-pid-4711\.heapsnapshot$/);
    assert.deepEqual(posted, [{ type: 'excused', key: 1, for: 300_000 }]);
    answer(1, id, 'no space');
    assert.deepEqual(await asked, { accepted: false, reason: 'no space' });
  });

  test('is one at a time of a worker, and of others besides', async (t) => {
    const { evidence, order, answer } = fakes(t);
    const first = evidence.profile(1, 10, 'ann');
    const { id } = await order();
    const reason = 'worker 1 is writing a CPU profile already';
    assert.deepEqual(await evidence.heapSnapshot(1, 'bob'), { accepted: false, reason });
    const other = evidence.profile(2, 10, 'bob');
    answer(2, (await order()).id);
    assert.equal((await other).accepted, true);
    answer(1, id);
    assert.equal((await first).accepted, true);
    const again = evidence.profile(1, 10, 'ann');
    answer(1, (await order()).id);
    assert.equal((await again).accepted, true);
  });

  test('is one at a time of a worker of which two are asked at once, too', async (t) => {
    const { evidence, order, answer } = fakes(t);
    const both = [evidence.profile(1, 10, 'ann'), evidence.profile(1, 10, 'bob')];
    const { id } = await order();
    // Before that one is over: the other would be the next one.
    assert.equal((await Promise.race(both)).accepted, false);
    answer(1, id);
    const accepted = (await Promise.all(both)).map((each) => each.accepted);
    assert.deepEqual(accepted.sort(), [false, true]);
  });

  test('is not to be had of a worker that ends', async (t) => {
    const { evidence, order, posted } = fakes(t);
    const asked = evidence.profile(1, 10, 'ann');
    await order();
    evidence.gone(1);
    const answer = await asked;
    assert.match(answer.accepted ? '' : answer.reason, /ended before it had written a CPU profile/);
    assert.deepEqual(posted.at(-1), { type: 'excused', key: 1, for: 0 });
  });

  test('is given up where the worker says nothing', async (t) => {
    const { evidence, order, alarms, answer } = fakes(t);
    const asked = evidence.profile(1, 10, 'ann');
    const { id } = await order();
    alarms[0]?.ring();
    const refusal = await asked;
    assert.match(
      refusal.accepted ? '' : refusal.reason,
      /pid 4711\) did not write a CPU profile within 15 s/,
    );
    // What comes later is left alone, and so is what nobody asked for.
    answer(1, id);
    answer(2, 99);
  });

  test('is of the newest worker that serves', async (t) => {
    const { evidence, looks, workers } = fakes(t, [
      worker(1, 1, 'draining'),
      worker(2, 1),
      worker(3, 1, 'starting'),
    ]);
    assert.deepEqual(await evidence.stack(1, 'ann'), { accepted: true, worker: 1, pid: 4712, ...idle });
    assert.deepEqual(looks.splice(0), [4712, 5_000]);
    workers.splice(1, 1);
    await evidence.stack(1, 'ann');
    assert.deepEqual(looks, [4713, 5_000], 'else of the newest');
  });

  test('of a worker that does not exist is refused, with those that do', async (t) => {
    const { evidence } = fakes(t, [worker(2, 2), worker(1, 1), worker(3, null, 'spare')]);
    const reason = 'there is no worker 9; expected one of 1, 2';
    assert.deepEqual(await evidence.stack(9, 'ann'), { accepted: false, reason });
    assert.deepEqual(await evidence.profile(9, 1, 'ann'), { accepted: false, reason });
  });
});
