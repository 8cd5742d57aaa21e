import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createLanes } from '../../../src/admin/lanes.js';
import { examples } from '../../../src/control/openapi.js';
import type { ControlEvent } from '../../../src/protocol/control-api.js';
import type { WhyKind, WhyLine } from '../../../src/protocol/why.js';

type WorkerEvent = Extract<ControlEvent, { type: 'worker' }>;

const event = (more: Partial<WorkerEvent>): WorkerEvent => ({
  ...{ type: 'worker', worker: 1, pid: 7, generation: 1, phase: 'starting', reason: null, ending: null },
  ...more,
});
const crash = { kind: 'crash', cause: 'boom', code: 1, signal: null, lost: 2 } as const;

describe('the lanes of the workers', () => {
  test('have the phases of each process with their times, and how it ended', () => {
    const lanes = createLanes();
    assert.equal(lanes.heard(event({ pid: null }), 900), null);
    lanes.heard(event({}), 1_000);
    lanes.heard(event({ phase: 'ready' }), 1_500);
    lanes.heard(event({ phase: 'ready' }), 1_600);
    const ended = lanes.heard(event({ phase: 'gone', ending: crash }), 9_000);
    assert.deepEqual(ended, {
      worker: 1,
      pid: 7,
      generation: 1,
      phases: [
        { phase: 'starting', fromMs: 1_000, reason: null },
        { phase: 'ready', fromMs: 1_500, reason: null },
      ],
      endMs: 9_000,
      ending: crash,
    });
    // The same PID again is another process.
    lanes.heard(event({}), 10_000);
    assert.deepEqual(
      lanes.list().map(({ endMs }) => endMs),
      [9_000, null],
    );
  });

  test('begin with the workers that are there, and end with those that are not any more', () => {
    const lanes = createLanes();
    const [worker] = examples.Status.workers;
    assert.ok(worker);
    lanes.saw(examples.Status, 100_000);
    const [lane] = lanes.list();
    assert.deepEqual(
      [lane?.pid, lane?.phases[0]?.fromMs],
      [worker.pid, 100_000 - worker.uptimeSeconds * 1_000],
    );
    lanes.saw(examples.Status, 101_000);
    assert.equal(lanes.list().length, 1);
    lanes.saw({ ...examples.Status, workers: [] }, 102_000);
    assert.deepEqual(
      lanes.list().map(({ endMs, ending }) => [endMs, ending]),
      [[102_000, null]],
    );
  });

  test('are told by the record for the time before, but for what is known better', () => {
    const lanes = createLanes();
    lanes.heard(event({ pid: 8 }), 50_000);
    const line = (kind: WhyKind, ms: number, pid: number): WhyLine => ({
      at: new Date(ms).toISOString(),
      ...{ worker: 1, pid, generation: 1, kind, text: kind, cause: null, advice: null },
    });
    lanes.recall(
      [
        line('started', 1_000, 6),
        line('started', 20_000, 7),
        line('ready', 21_000, 7),
        { ...line('died', 30_000, 7), cause: 'ended by SIGSEGV' },
        line('gone', 30_001, 7),
        line('started', 40_000, 8),
      ],
      10_000,
    );
    assert.deepEqual(
      lanes
        .list()
        .map(({ pid, phases, endMs, ending }) => [pid, phases.length, endMs, ending?.kind, ending?.cause]),
      [
        [7, 2, 30_001, 'crash', 'ended by SIGSEGV'],
        [8, 1, null, undefined, undefined],
      ],
    );
  });

  test('are 500 at most', () => {
    const lanes = createLanes();
    for (let pid = 1; pid <= 600; pid++) lanes.heard(event({ pid }), pid);
    assert.equal(lanes.list().length, 500);
    assert.equal(lanes.list().at(-1)?.pid, 600);
  });
});
