import assert from 'node:assert/strict';
import { Socket } from 'node:net';
import test from 'node:test';
import type { Upgrade } from '../../../../src/worker/connections/follow-server.js';
import { createFarewells, farewellsDue } from '../../../../src/worker/drain/drain.js';

test('a hundred WebSockets are told at once, then 500 a second', () => {
  const due = (elapsed: number) => farewellsDue({ total: 1_000, elapsed, limit: 10_000 });
  assert.deepEqual([0, 100, 1_000, 1_800, 5_000].map(due), [100, 150, 600, 1_000, 1_000]);
});

test('where there are too many for that, all of them are told within the limit', () => {
  const due = (elapsed: number) => farewellsDue({ total: 20_000, elapsed, limit: 10_000 });
  assert.deepEqual([0, 5_000, 10_000].map(due), [100, 10_100, 20_000]);
  assert.equal(farewellsDue({ total: 5, elapsed: 0, limit: 0 }), 5);
});

interface Crowd {
  tell(): number;
  now: number;
}

function crowd(size: number, { last = false, silent = 0 } = {}): Crowd {
  let told = 0;
  const upgraded = new Map<Socket, Upgrade>();
  for (let index = 0; index < size; index++) {
    const goAway = (): boolean => index >= silent && ++told > 0;
    upgraded.set(new Socket(), { protocol: 'websocket', end: { goAway } });
  }
  upgraded.set(new Socket(), { protocol: 'other', end: null });
  const all: Crowd = {
    now: 0,
    tell: () => {
      farewells.tell([{ sessions: new Map(), upgraded }]);
      return told;
    },
  };
  const farewells = createFarewells(
    { linger: 0, closeWebSockets: true },
    { last, timeout: 30_000 },
    () => all.now,
  );
  return all;
}

test('each is told once, as its turn comes', () => {
  const all = crowd(300);
  assert.equal(all.tell(), 100);
  assert.equal(all.tell(), 100);
  all.now = 200;
  assert.equal(all.tell(), 200);
  all.now = 9_999;
  assert.equal(all.tell(), 300);
});

test('all are told at once where no worker goes on', () => {
  assert.equal(crowd(300, { last: true }).tell(), 300);
});

test('one that cannot be told yet keeps nobody waiting', () => {
  assert.equal(crowd(150, { silent: 120 }).tell(), 30);
});
