import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { followTurns, type Turn } from '../../../../src/worker/health/turns.js';

/** An event loop by hand: it waits and works as told. */
function loop() {
  const time = { now: 1_000, waited: 0, count: 0 };
  let next: (() => void) | null = null;
  const turns = followTurns({
    interval: 1_000,
    now: () => time.now,
    waited: () => time.waited,
    count: () => time.count,
    atTurn: (act) => {
      assert.equal(next, null, 'one call per turn is enough');
      next = act;
    },
  });
  const changes: boolean[] = [];
  const heard: Turn[] = [];
  turns.onChange((busy) => changes.push(busy));
  turns.onTurn((turn) => heard.push(turn));
  turns.begin();
  const turn = (waits: number, works: number): void => {
    time.now += waits + works;
    time.waited += waits;
    time.count++;
    const act = next;
    next = null;
    act?.();
  };
  return { turns, changes, heard, turn, calls: () => next !== null };
}

test('a turn of an idle worker is as long as it worked, whatever it had waited for events before', () => {
  const { heard, turn, turns } = loop();
  turn(900, 3);
  turn(400, 8);
  assert.deepEqual(
    heard.map(({ tookMs }) => tookMs),
    [3, 8],
  );
  assert.deepEqual(heard[1], { from: 1_903, to: 2_311, tookMs: 8 });
  assert.equal(turns.takeLongest(), 8);
  assert.equal(turns.takeLongest(), 0);
});

test('a worker that works for a fifth of an interval is busy, and hears of no turn until it works for less than a tenth', () => {
  const { changes, heard, turn, turns, calls } = loop();
  turn(500, 150);
  assert.deepEqual(changes, []);
  turn(100, 60);
  assert.deepEqual(changes, [true]);
  assert.equal(calls(), false);
  turns.settle();
  assert.deepEqual(changes, [true]);
  turn(850, 150);
  turns.settle();
  assert.deepEqual(changes, [true]);
  turn(950, 50);
  turns.settle();
  assert.deepEqual(changes, [true, false]);
  assert.equal(heard.length, 2);
  turn(300, 1);
  assert.deepEqual(heard.at(-1), { from: 3_810, to: 4_111, tookMs: 1 });
});

test('a worker with more than a thousand turns in a second is busy however little it works, until there are half as many', () => {
  const { changes, turn, turns } = loop();
  const second = (each: number): void => {
    for (let at = 0; at < each; at++) turn(1_000 / each - 0.01, 0.01);
    turns.settle();
  };
  second(900);
  second(900);
  assert.deepEqual(changes, []);
  second(1_100);
  assert.deepEqual(changes, [true]);
  second(600);
  assert.deepEqual(changes, [true]);
  second(400);
  assert.deepEqual(changes, [true, false]);
});

test('the wake-ups of a busy worker do not keep it busy, on a machine that makes each wait for a CPU', () => {
  const { changes, turn, turns } = loop();
  turn(100, 300);
  assert.deepEqual(changes, [true]);
  turns.settle();
  for (let at = 0; at < 150; at++) turn(6, 0.6);
  turns.settle();
  assert.deepEqual(changes, [true, false]);
});

test('the work of many intervals makes no worker busy that does little in each', () => {
  const { changes, turn, turns } = loop();
  for (let at = 0; at < 100; at++) {
    turn(950, 50);
    turns.settle();
  }
  assert.deepEqual(changes, []);
  assert.equal(Math.round(turns.worked() * 1_000), 50);
});

test('a second begin makes no second chain of calls', () => {
  const { turns, heard, turn } = loop();
  turns.begin();
  turn(10, 1);
  assert.equal(heard.length, 1);
});

test("Node's event loop is followed without being woken up", async () => {
  const turns = followTurns({ interval: 1_000_000 });
  const heard: Turn[] = [];
  turns.onTurn((turn) => heard.push(turn));
  turns.begin();
  const before = readSwitches();
  await sleep(300);
  const after = readSwitches();
  const end = performance.now() + 20;
  while (performance.now() < end);
  await sleep(1);
  await sleep(1);
  assert.ok(heard.length < 50, `${heard.length} turns`);
  assert.ok(after - before < 50, `${after - before} wake-ups`);
  const longest = heard.find(({ tookMs }) => tookMs >= 20) ?? assert.fail(JSON.stringify(heard));
  assert.ok(longest.tookMs < longest.to - longest.from + 0.001);
});

function readSwitches(): number {
  try {
    return Number(/^voluntary_ctxt_switches:\s+(\d+)/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]);
  } catch {
    return 0;
  }
}
