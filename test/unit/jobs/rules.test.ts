import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { JobsSim, jobConfig } from './sim.js';

const noon = Date.parse('2026-05-05T12:00:00Z');
const second = 1_000;

type Action =
  | { readonly type: 'pass'; readonly ms: number }
  | { readonly type: 'sleep'; readonly ms: number }
  | { readonly type: 'ask' }
  | { readonly type: 'reload' }
  | { readonly type: 'refuse'; readonly on: boolean };

const actions = fc.array(
  fc.oneof(
    { weight: 5, arbitrary: fc.record({ type: fc.constant('pass' as const), ms: fc.nat(100 * second) }) },
    { weight: 2, arbitrary: fc.record({ type: fc.constant('sleep' as const), ms: fc.nat(600 * second) }) },
    {
      weight: 1,
      arbitrary: fc.record({
        type: fc.constant('sleep' as const),
        ms: fc.integer({ min: -120 * second, max: 0 }),
      }),
    },
    { weight: 2, arbitrary: fc.constant({ type: 'ask' as const }) },
    { weight: 1, arbitrary: fc.constant({ type: 'reload' as const }) },
    { weight: 1, arbitrary: fc.record({ type: fc.constant('refuse' as const), on: fc.boolean() }) },
  ),
  { maxLength: 40 },
);

const config = fc.record({
  schedule: fc.constantFrom('* * * * *', '*/20 * * * * *', '7,37 * * * * *'),
  overlap: fc.constantFrom('skip' as const, 'queue' as const, 'replace' as const),
  missed: fc.constantFrom('skip' as const, 'once' as const),
  retries: fc.nat(2),
  jitter: fc.constantFrom(0, 9 * second),
  timeout: fc.constantFrom(0, 15 * second),
});

interface Case {
  readonly rules: Parameters<typeof jobConfig>[0];
  readonly steps: readonly Action[];
  readonly takes: number;
}

function played({ rules, steps, takes }: Case): JobsSim {
  const jobs = [jobConfig(rules)];
  const behaviour = ({ attempt }: { attempt: number }) => ({ afterMs: takes, code: attempt === 1 ? 1 : 0 });
  const sim = new JobsSim({ startMs: noon, jobs, behaviour, dies: 50 });
  for (const step of steps) {
    if (step.type === 'pass') sim.pass(step.ms);
    else if (step.type === 'sleep') sim.sleep(step.ms);
    else if (step.type === 'ask') sim.ask();
    else if (step.type === 'reload') sim.post({ type: 'configure', jobs, handled: {} });
    else if (step.type === 'refuse') sim.refuses = step.on ? 'no space left on device' : null;
    const active = sim.state.runs.filter(({ phase }) => phase.name !== 'queued');
    assert.ok(active.length <= 1, 'two runs of a job at once');
  }
  sim.refuses = null;
  sim.pass(30 * second);
  return sim;
}

const cases = fc.record({ rules: config, steps: actions, takes: fc.nat(90 * second) });

describe('whatever happens', () => {
  test('no due time runs twice, none runs early, and two runs of a job are never there at once', () => {
    fc.assert(
      fc.property(cases, (each) => {
        const sim = played(each);
        const first = sim.started.filter(({ attempt, dueMs }) => attempt === 1 && dueMs !== null);
        assert.equal(new Set(first.map(({ dueMs }) => dueMs)).size, first.length);
        const handed = sim.handedOn.map(({ dueMs }) => dueMs);
        assert.equal(new Set(handed).size, handed.length);
        // A clock that is set back while a due time waits makes it early by the wall.
        if (each.steps.some((step) => step.type === 'sleep' && step.ms < 0)) return;
        for (const { atMs, dueMs } of sim.started) assert.ok(atMs >= (dueMs ?? 0));
      }),
      { numRuns: 60 },
    );
  });

  test('every run that began, or was left out, is over once, and a stop leaves none', () => {
    fc.assert(
      fc.property(cases, fc.nat(60 * second), (each, within) => {
        const sim = played(each);
        sim.post({ type: 'stop', within });
        sim.pass(within + 10 * second);
        assert.deepEqual(sim.state.runs, []);
        const ids = sim.over.map(({ id }) => id);
        assert.equal(new Set(ids).size, ids.length);
      }),
      { numRuns: 60 },
    );
  });

  test('without faults each due time of a job that is quick is run, once and in order', () => {
    const passes = fc.array(fc.nat(100 * second), { maxLength: 30 });
    fc.assert(
      fc.property(passes, (all) => {
        const jobs = [jobConfig({ schedule: '*/20 * * * * *' })];
        const sim = new JobsSim({ startMs: noon, jobs, behaviour: () => ({ afterMs: 100, code: 0 }) });
        for (const ms of all) sim.pass(ms);
        const expected = Math.floor((sim.wallMs - noon) / (20 * second));
        assert.deepEqual(
          sim.started.map(({ dueMs }) => dueMs),
          Array.from({ length: expected }, (_, index) => noon + (index + 1) * 20 * second),
        );
      }),
      { numRuns: 30 },
    );
  });
});
