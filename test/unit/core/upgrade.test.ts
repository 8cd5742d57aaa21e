import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  beginUpgrade,
  isOver,
  stepUpgrade,
  type Upgrade,
  type UpgradeEffect,
  type UpgradeEvent,
  upgradeDeadline,
} from '../../../src/core/upgrade.js';
import { emptyLatency, type Served } from '../../../src/protocol/heartbeat.js';
import type { FromNext } from '../../../src/protocol/upgrade.js';

const policy = { soak: 5_000, maxErrors: 0.02, maxLatency: 4, bootTimeout: 30_000, drainTimeout: 10_000 };
const url = 'http://127.0.0.1:3000';

function served(answers: number, errors = 0): Served {
  const latency = emptyLatency();
  latency[2] = answers;
  return { answers, errors, shed: 0, latency };
}

/** An upgrade, and what it does with each event. */
function play() {
  let upgrade: Upgrade = beginUpgrade(0, { urls: [url], policy });
  let at = 0;
  const feed = (event: UpgradeEvent, now = at): readonly UpgradeEffect['type'][] => {
    at = now;
    const [next, effects] = stepUpgrade(upgrade, event, now, policy);
    upgrade = next;
    return effects.map(({ type }) => type);
  };
  const say = (message: FromNext, now = at, blocked: string | null = null) =>
    feed({ type: 'said', message, others: served(1_000), blocked }, now);
  const report = (canary: Served, now = at, { deaths = 0, ageMs = 0 } = {}) =>
    say({ type: 'served', served: canary, deaths, ageMs }, now);
  return { feed, say, report, now: () => upgrade };
}

const hello: FromNext = { type: 'hello', pid: 42, version: '2.0.0', node: 'v24.1.0' };

function soaking() {
  const run = play();
  run.say(hello, 100);
  run.say({ type: 'ready', urls: [url, 'http://127.0.0.1:9090'] }, 1_000);
  return run;
}

function growing() {
  const run = soaking();
  run.report(served(100), 6_000);
  return run;
}

describe('an upgrade', () => {
  test('is handed over once the canary is soaked and every worker serves, and retires this master once that is taken', () => {
    const run = play();
    assert.deepEqual(run.say(hello, 100), ['step']);
    assert.deepEqual(run.say({ type: 'ready', urls: [url] }, 1_000), ['step']);
    assert.deepEqual(run.report(served(10), 3_000), []);
    assert.deepEqual(run.report(served(100), 6_000), ['step', 'grow']);
    assert.deepEqual(run.say({ type: 'grown' }, 7_000), ['step', 'hand-over']);
    assert.deepEqual(run.say({ type: 'taken' }, 7_100), ['retire']);
    assert.deepEqual([run.now().name, run.now().pid], ['done', 42]);
    assert.equal(upgradeDeadline(run.now()), null);
  });

  test('waits for a word of the canary that is of the end of its soak', () => {
    const run = soaking();
    assert.deepEqual(run.report(served(100), 6_100, { ageMs: 500 }), []);
    assert.deepEqual(run.report(served(100), 6_100, { ageMs: 50 }), ['step', 'grow']);
  });

  const faults: Record<string, (run: ReturnType<typeof soaking>) => readonly string[]> = {
    'whose worker dies': (run) => run.report(served(5), 2_000, { deaths: 1 }),
    'whose answers fail': (run) => run.report(served(50, 25), 2_000),
    'that says why it fails': (run) => run.say({ type: 'failed', reason: 'no database' }, 2_000),
    'that is silent': (run) => run.feed({ type: 'tick' }, 200_000),
    'that somebody aborts': (run) => run.feed({ type: 'end', reason: 'aborted by alice' }, 2_000),
  };
  for (const [name, cause] of Object.entries(faults)) {
    test(`${name} is withdrawn, and rolled back once it is gone`, () => {
      const run = soaking();
      assert.deepEqual(cause(run), ['step', 'withdraw']);
      assert.equal(isOver(run.now()), false);
      // Nothing that it says counts any more.
      assert.deepEqual(run.say({ type: 'grown' }), []);
      assert.deepEqual(run.feed({ type: 'gone' }), []);
      assert.equal(run.now().name, 'rolled-back');
    });
  }

  test('that does not end is killed, and given up', () => {
    const run = soaking();
    run.feed({ type: 'end', reason: 'aborted by alice' }, 2_000);
    assert.deepEqual(run.feed({ type: 'tick' }, 71_999), []);
    assert.deepEqual(run.feed({ type: 'tick' }, 72_000), ['kill']);
    assert.deepEqual(run.feed({ type: 'tick' }, 102_000), []);
    assert.equal(run.now().name, 'rolled-back');
  });

  test('that listens elsewhere is withdrawn', () => {
    const run = play();
    run.say(hello, 100);
    assert.deepEqual(run.say({ type: 'ready', urls: ['http://127.0.0.1:3001'] }, 1_000), [
      'step',
      'withdraw',
    ]);
  });

  test('is withdrawn where a job runs by the time of the hand-over', () => {
    assert.deepEqual(growing().say({ type: 'grown' }, 7_000, 'the job report runs'), ['step', 'withdraw']);
  });

  test('whose next master ends while it starts is rolled back', () => {
    const run = play();
    assert.deepEqual(run.feed({ type: 'gone' }, 500), []);
    assert.equal(run.now().name, 'rolled-back');
  });

  test('cannot be taken back from the hand-over on: systemd listens to the next master', () => {
    for (const end of [{ type: 'gone' }, { type: 'tick' }] as const) {
      const run = growing();
      run.say({ type: 'grown' }, 7_000);
      assert.deepEqual(run.feed({ type: 'end', reason: 'aborted by alice' }, 7_001), []);
      assert.deepEqual(run.say({ type: 'failed', reason: 'too late' }, 7_002), []);
      assert.deepEqual(run.feed(end, 40_000), ['retire']);
      const now = run.now();
      assert.ok(now.name === 'done' && now.trouble !== null);
    }
  });
});
