import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { createCostWatch } from '../../../src/master/route-costs.js';
import type { RouteCost } from '../../../src/protocol/route-cost.js';
import { anyCost } from '../../support/route-cost.js';

function watched() {
  const told: (readonly string[])[] = [];
  const looks: number[] = [];
  let found: readonly RouteCost[] = [];
  let generation = 1;
  let now = 0;
  const watch = createCostWatch({
    workers: () => [{ key: 1, generation }],
    post: ({ heavy }) => told.push(heavy.map(({ kind }) => kind)),
    now: () => now,
    load: async () => ({
      spending: (all) => {
        looks.push(all.length);
        return { overSeconds: 60, restShare: 0, routes: found };
      },
    }),
  });
  return {
    told,
    looks,
    watch,
    find: (...kinds: string[]) => {
      found = kinds.map((kind) => ({ ...anyCost, kind }));
    },
    reload: () => {
      generation += 1;
    },
    work: async (seconds: number, key = 1) => {
      now += seconds * 1_000;
      const counts = { 'GET /': now };
      watch.worked(key, { atMs: now, cpuMs: now, loopMs: now, longestMs: 1, outsideBytes: 0, counts });
      await turn();
    },
  };
}

describe('the watch for what routes cost', () => {
  it('analyses every half a minute, and keeps what it knows', async () => {
    const { work, looks, watch, find } = watched();
    find('GET /a');
    for (let count = 0; count < 5; count += 1) await work(5);
    assert.deepEqual(looks, []);
    assert.equal(watch.costs(), null);
    await work(5);
    await work(5);
    assert.deepEqual(looks, [6]);
    assert.deepEqual(
      watch.costs()?.routes.map(({ kind }) => kind),
      ['GET /a'],
    );
  });

  it('tells what stands out twice in a row, once, and that it is over', async () => {
    const { work, told, find } = watched();
    find('GET /a', 'GET /b');
    await work(30);
    assert.deepEqual(told, []);
    find('GET /b');
    await work(30);
    await work(30);
    await work(30);
    assert.deepEqual(told, [['GET /b']]);
    find();
    await work(30);
    assert.deepEqual(told, [['GET /b'], []]);
  });

  it('looks at another generation by itself, and no more at the one before', async () => {
    const { work, told, find, looks, reload, watch } = watched();
    find('GET /a');
    for (let count = 0; count < 4; count += 1) await work(30);
    assert.deepEqual(told, [['GET /a']]);
    reload();
    await work(1);
    assert.deepEqual(told.at(-1), []);
    assert.equal(watch.costs(), null);
    await work(30);
    assert.equal(looks.at(-1), 2);
  });

  it('ignores a worker that nobody knows, and keeps no more than it needs', async () => {
    const { work, looks } = watched();
    for (let count = 0; count < 10; count += 1) await work(30, 9);
    assert.deepEqual(looks, []);
    for (let count = 0; count < 1_000; count += 1) await work(1);
    assert.equal(looks.at(-1), 480);
  });
});
