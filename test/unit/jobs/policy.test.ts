import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { endGrace, mostQueued, nextDeadline } from '../../../src/jobs/policy.js';
import { JobsSim, jobConfig } from './sim.js';

const second = 1_000;
const minute = 60 * second;
const hour = 60 * minute;
const day = 24 * hour;
const at = (text: string): number => Date.parse(text);
const noon = at('2026-05-05T12:00:00Z');

describe('a due time', () => {
  test('runs the job once, at that time', () => {
    const sim = new JobsSim({ startMs: noon, jobs: [jobConfig()] });
    sim.pass(3 * day);
    const days = ['2026-05-06T02:00:00Z', '2026-05-07T02:00:00Z', '2026-05-08T02:00:00Z'];
    assert.deepEqual(
      sim.started.map(({ atMs }) => atMs),
      days.map(at),
    );
    assert.deepEqual(
      sim.over.map(({ verdict }) => verdict),
      ['done', 'done', 'done'],
    );
  });

  test('needs no wake-up but its own', () => {
    const sim = new JobsSim({ startMs: noon, jobs: [jobConfig()] });
    const before = sim.steps;
    sim.pass(13 * hour);
    assert.equal(sim.steps, before);
    assert.equal(nextDeadline(sim.state, { wallMs: sim.wallMs, ms: sim.ms }), hour);
  });

  test('no job, no deadline', () => {
    const sim = new JobsSim({ startMs: noon, jobs: [] });
    assert.equal(nextDeadline(sim.state, { wallMs: noon, ms: 0 }), null);
    const off = new JobsSim({ startMs: noon, jobs: [jobConfig({ enabled: false })] });
    assert.equal(nextDeadline(off.state, { wallMs: noon, ms: 0 }), null);
  });

  test('that comes every second is run each second, through a stall of ten', () => {
    const jobs = [jobConfig({ schedule: '* * * * * *', overlap: 'queue' })];
    const sim = new JobsSim({ startMs: noon, jobs });
    sim.pass(20 * second);
    sim.sleep(10 * second);
    sim.pass(30 * second);
    const dues = sim.started.map(({ dueMs }) => dueMs);
    assert.deepEqual(
      dues,
      Array.from({ length: 60 }, (_, index) => noon + (index + 1) * second),
    );
  });

  test('with jitter is run within it, and no due time is lost for it', () => {
    const sim = new JobsSim({
      startMs: noon,
      jobs: [jobConfig({ schedule: '0 * * * *', jitter: 10 * minute })],
    });
    sim.pass(2 * day + 11 * minute);
    assert.equal(sim.started.length, 48);
    const delays = sim.started.map(({ atMs, dueMs }) => atMs - (dueMs ?? 0));
    assert.ok(
      delays.every((delay) => delay >= 0 && delay <= 10 * minute),
      String(delays),
    );
    assert.ok(new Set(delays).size > 10);
  });

  test('that cannot be handed on is handed on again', () => {
    const sim = new JobsSim({ startMs: noon, jobs: [jobConfig()] });
    sim.refuses = 'no space left on device';
    sim.pass(14 * hour + 30 * second);
    assert.deepEqual(sim.started, []);
    assert.match(sim.logs('warn')[0] ?? '', /the job report is due, but could not be started/);
    sim.refuses = null;
    sim.pass(10 * second);
    assert.deepEqual(sim.handedOn, [{ job: 'report', dueMs: at('2026-05-06T02:00:00Z'), missed: 0 }]);
  });
});

describe('missed due times', () => {
  test('a laptop that sleeps over a due time runs it once when it wakes up', () => {
    const sim = new JobsSim({ startMs: noon, jobs: [jobConfig()] });
    sim.sleep(20 * hour);
    sim.pass(hour);
    assert.deepEqual(
      sim.started.map(({ atMs, dueMs }) => [atMs, dueMs]),
      [[noon + 20 * hour, at('2026-05-06T02:00:00Z')]],
    );
    assert.deepEqual(sim.logs('warn'), ['the job report missed 1 due time: running it once']);
  });

  test('a week of them is run once, and the run says for how many it stands', () => {
    const handled = { report: noon - 7 * day };
    const sim = new JobsSim({ startMs: noon, jobs: [jobConfig()], handled });
    sim.pass(hour);
    assert.deepEqual(sim.handedOn, [{ job: 'report', dueMs: at('2026-05-05T02:00:00Z'), missed: 6 }]);
  });

  test('with missed = "skip" they are told, and not run', () => {
    const handled = { report: noon - 7 * day };
    const sim = new JobsSim({ startMs: noon, jobs: [jobConfig({ missed: 'skip' })], handled });
    sim.pass(hour);
    assert.deepEqual(sim.started, []);
    assert.deepEqual(
      sim.over.map(({ verdict, missed }) => [verdict, missed]),
      [['missed', 7]],
    );
  });

  test('a run that is due anyway stands for them', () => {
    const jobs = [jobConfig({ schedule: '0 * * * *' })];
    const sim = new JobsSim({ startMs: noon + 10 * second, jobs, handled: { report: noon - 5 * hour } });
    sim.pass(minute);
    assert.deepEqual(sim.handedOn, [{ job: 'report', dueMs: noon, missed: 4 }]);
  });

  test('a job that is seen for the first time has missed nothing', () => {
    const sim = new JobsSim({ startMs: noon, jobs: [jobConfig({ schedule: '* * * * *' })] });
    assert.deepEqual(sim.started, []);
    assert.ok(sim.effects.some((each) => each.type === 'handled' && each.untilMs === noon));
  });

  test('a schedule that a reload changes has missed nothing either', () => {
    const sim = new JobsSim({ startMs: noon, jobs: [jobConfig()] });
    sim.pass(20 * hour);
    const jobs = [jobConfig({ schedule: '*/10 * * * *' })];
    sim.post({ type: 'configure', jobs, handled: {} });
    assert.equal(sim.started.length, 1);
    sim.pass(10 * minute);
    assert.equal(sim.started.length, 2);
  });

  test('a year in which a job was due each second is counted up to a thousand', () => {
    const handled = { report: noon - 365 * day };
    const sim = new JobsSim({ startMs: noon, jobs: [jobConfig({ schedule: '* * * * * *' })], handled });
    assert.match(sim.logs('warn')[0] ?? '', /missed 1000 or more due times: running it once/);
  });
});

describe('a clock that is set', () => {
  test('back by minutes runs nothing twice', () => {
    const sim = new JobsSim({ startMs: noon, jobs: [jobConfig({ schedule: '* * * * *' })] });
    sim.pass(10 * minute);
    sim.sleep(-5 * minute);
    sim.pass(5 * minute);
    assert.equal(sim.started.length, 10);
    sim.pass(minute);
    assert.equal(sim.started.length, 11);
  });

  test('back by years, after it was wrong, does not silence a job', () => {
    const sim = new JobsSim({ startMs: noon, jobs: [jobConfig()], handled: { report: noon + 400 * day } });
    assert.match(sim.logs('warn')[0] ?? '', /the clock was set back/);
    sim.pass(day);
    assert.equal(sim.started.length, 1);
  });

  test('has no influence on the timeout of a run', () => {
    const jobs = [jobConfig({ timeout: minute })];
    const sim = new JobsSim({ startMs: noon, jobs, behaviour: () => null });
    sim.ask();
    sim.sleep(3 * hour);
    assert.equal(sim.over.length, 0);
    sim.pass(minute + second);
    assert.equal(sim.over[0]?.verdict, 'timeout');
  });
});

describe('a run that is due while the one before is not over', () => {
  const slow = () => ({ afterMs: 90 * second, code: 0 });
  const jobs = (overlap: 'skip' | 'queue' | 'replace') => [jobConfig({ schedule: '* * * * *', overlap })];

  test('is left out with overlap = "skip"', () => {
    const sim = new JobsSim({ startMs: noon, jobs: jobs('skip'), behaviour: slow });
    sim.pass(4 * minute + second);
    assert.deepEqual(
      sim.started.map(({ dueMs }) => dueMs),
      [noon + minute, noon + 3 * minute],
    );
    assert.deepEqual(
      sim.over.map(({ verdict }) => verdict),
      ['skipped', 'done', 'skipped'],
    );
  });

  test('waits with overlap = "queue", and one job does not hold up another', () => {
    const other = jobConfig({ name: 'other', schedule: '* * * * *' });
    const sim = new JobsSim({ startMs: noon, jobs: [...jobs('queue'), other], behaviour: slow });
    sim.pass(4 * minute + second);
    const of = (name: string) => sim.started.filter(({ job }) => job === name).map(({ atMs }) => atMs - noon);
    assert.deepEqual(of('report'), [minute, 150 * second, 240 * second]);
    assert.deepEqual(of('other'), [minute, 3 * minute]);
  });

  test('a queue has an end', () => {
    const sim = new JobsSim({ startMs: noon, jobs: jobs('queue'), behaviour: () => null });
    for (let asked = 0; asked < mostQueued + 3; asked += 1) sim.ask();
    assert.equal(sim.state.runs.length, mostQueued + 1);
    assert.deepEqual(
      sim.over.map(({ verdict }) => verdict),
      ['skipped', 'skipped'],
    );
  });

  test('ends the one before with overlap = "replace", and begins when that is gone', () => {
    const sim = new JobsSim({ startMs: noon, jobs: jobs('replace'), behaviour: () => null, dies: 700 });
    sim.pass(2 * minute + 2 * second);
    assert.deepEqual(
      sim.started.map(({ atMs }) => atMs - noon),
      [minute, 2 * minute + 700],
    );
    assert.deepEqual(
      sim.over.map(({ verdict }) => verdict),
      ['replaced'],
    );
  });

  test('of the fleet: the run makes room for one that is not here, also while it waits for its next attempt', () => {
    for (const behaviour of [() => null, () => ({ afterMs: 0, code: 1 })]) {
      const job = jobConfig({ schedule: '* * * * *', overlap: 'replace', retries: 3, backoff: hour });
      const sim = new JobsSim({ startMs: noon, jobs: [job], behaviour, dies: 700 });
      sim.pass(minute + second);
      sim.post({ type: 'replace', due: { job: 'report', dueMs: noon }, byMs: noon + 2 * minute });
      assert.equal(sim.over.length, 0, 'it is of another due time');
      sim.post({ type: 'replace', due: { job: 'report', dueMs: noon + minute }, byMs: noon + 2 * minute });
      sim.pass(second);
      const reason = 'a run was due at 2026-05-05T12:02:00.000Z';
      assert.deepEqual(
        sim.over.map(({ verdict, reason }) => [verdict, reason]),
        [['replaced', reason]],
      );
    }
  });
});

describe('a run that fails', () => {
  test('is tried again, later each time, and is one run', () => {
    const jobs = [jobConfig({ retries: 3, backoff: 10 * second })];
    const behaviour = ({ attempt }: { attempt: number }) => ({ afterMs: 0, code: attempt === 4 ? 0 : 1 });
    const sim = new JobsSim({ startMs: noon, jobs, behaviour });
    sim.ask();
    sim.pass(5 * minute);
    assert.deepEqual(
      sim.started.map(({ atMs }) => (atMs - noon) / second),
      [0, 10, 30, 70],
    );
    assert.deepEqual(
      sim.over.map(({ verdict, attempts }) => [verdict, attempts]),
      [['done', 4]],
    );
  });

  test('is an error when its last attempt has failed', () => {
    const jobs = [jobConfig({ retries: 1 })];
    const sim = new JobsSim({ startMs: noon, jobs, behaviour: () => ({ afterMs: 0, code: 3 }) });
    sim.ask();
    sim.pass(minute);
    assert.deepEqual(sim.logs('error'), ['the job report failed: it ended with status 3']);
  });

  test('gets SIGTERM at its timeout, SIGKILL if it ignores that, and its time anew with a retry', () => {
    const jobs = [jobConfig({ timeout: 2 * second, retries: 1 })];
    const sim = new JobsSim({ startMs: noon, jobs, behaviour: () => null, dies: null });
    sim.ask();
    sim.pass(minute);
    const signals = sim.effects.flatMap((each) => (each.type === 'signal' ? [each.signal] : []));
    assert.deepEqual(signals, ['SIGTERM', 'SIGKILL', 'SIGTERM', 'SIGKILL']);
    assert.deepEqual(
      sim.over.map(({ verdict, attempts }) => [verdict, attempts]),
      [['timeout', 2]],
    );
  });
});

describe('a stop', () => {
  test('waits for runs with on_stop = "wait", and ends them before its own limit', () => {
    const sim = new JobsSim({ startMs: noon, jobs: [jobConfig()], behaviour: () => null, dies: null });
    sim.ask();
    sim.post({ type: 'stop', within: 30 * second });
    sim.pass(20 * second);
    assert.equal(sim.run('asked-1')?.phase.name, 'running');
    sim.pass(10 * second - 1);
    assert.deepEqual(
      sim.over.map(({ verdict }) => verdict),
      ['ended'],
    );
    assert.ok(endGrace < 30 * second);
  });

  test('ends runs with on_stop = "end" at once, and those that wait', () => {
    const jobs = [jobConfig({ onStop: 'end', overlap: 'queue' })];
    const sim = new JobsSim({ startMs: noon, jobs, behaviour: () => null });
    sim.ask();
    sim.ask();
    sim.post({ type: 'stop', within: 30 * second });
    sim.pass(10);
    assert.deepEqual(
      sim.over.map(({ verdict }) => verdict),
      ['ended', 'ended'],
    );
    assert.equal(sim.started.length, 1);
  });

  test('begins nothing more, and tries nothing again', () => {
    const jobs = [jobConfig({ schedule: '* * * * * *', retries: 5 })];
    const sim = new JobsSim({ startMs: noon, jobs, behaviour: () => ({ afterMs: 500, code: 1 }) });
    sim.pass(1_100);
    sim.post({ type: 'stop', within: 30 * second });
    sim.ask();
    sim.pass(minute);
    assert.equal(sim.started.length, 1);
    assert.deepEqual(
      sim.over.map(({ verdict }) => verdict),
      ['skipped', 'failed'],
    );
    assert.equal(nextDeadline(sim.state, { wallMs: sim.wallMs, ms: sim.ms }), null);
  });
});

describe('a reload', () => {
  test('that removes a job lets its run go on, or ends it, by on_stop', () => {
    for (const onStop of ['wait', 'end'] as const) {
      const behaviour = () => ({ afterMs: minute, code: 0 });
      const sim = new JobsSim({ startMs: noon, jobs: [jobConfig({ onStop })], behaviour });
      sim.ask();
      sim.post({ type: 'configure', jobs: [], handled: {} });
      sim.pass(2 * minute);
      assert.deepEqual(
        sim.over.map(({ verdict }) => verdict),
        [onStop === 'wait' ? 'done' : 'ended'],
      );
    }
  });

  test('that changes nothing runs nothing twice and misses nothing', () => {
    const jobs = [jobConfig({ schedule: '* * * * * *' })];
    const sim = new JobsSim({ startMs: noon, jobs });
    for (let reloads = 0; reloads < 20; reloads += 1) {
      sim.pass(700);
      sim.post({ type: 'configure', jobs, handled: {} });
    }
    assert.equal(sim.started.length, 14);
  });
});
