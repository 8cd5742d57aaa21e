import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createRest, mostUsed } from '../../../../src/worker/health/rest.js';

const mebi = 2 ** 20;

/** A worker with a beat a second; says at which beats it collects. */
function resting({ collections = 1, beats = 0 }: { collections?: number; beats?: number } = {}) {
  const world = { at: 0, busy: false, rss: 100 * mebi, heapUsed: 20 * mebi, collected: [] as number[] };
  const rest = createRest({
    interval: 1_000,
    busy: () => world.busy,
    rss: () => world.rss,
    heapUsed: () => world.heapUsed,
    collect: () => {
      world.collected.push(world.at);
      world.rss = 50 * mebi;
    },
    collections,
  });
  const live = (seconds: number): void => {
    for (let second = 0; second < seconds; second++) {
      world.at++;
      rest.beat();
    }
  };
  live(beats);
  return { world, live };
}

describe('a worker at rest', () => {
  test('collects once, after 45 seconds without work', () => {
    const { world, live } = resting();
    live(44);
    assert.deepEqual(world.collected, []);
    live(600);
    assert.deepEqual(world.collected, [45]);
  });

  test('is not at rest while it works, and begins to wait anew', () => {
    const { world, live } = resting({ beats: 44 });
    world.busy = true;
    live(30);
    world.busy = false;
    live(44);
    assert.deepEqual(world.collected, []);
    live(1);
    assert.deepEqual(world.collected, [119]);
  });

  test('collects twice where V8 needs it, and a load in between puts off the second time', () => {
    const { world, live } = resting({ collections: 2, beats: 60 });
    assert.deepEqual(world.collected, [45, 55]);
    const { world: other, live: goOn } = resting({ collections: 2, beats: 47 });
    other.busy = true;
    goOn(20);
    other.busy = false;
    goOn(60);
    assert.deepEqual(other.collected, [45, 112]);
    live(600);
    assert.equal(world.collected.length, 2);
  });

  test('collects again once it has grown, at most once in ten minutes', () => {
    const { world, live } = resting({ beats: 50 });
    world.rss += 20 * mebi;
    live(600);
    assert.deepEqual(world.collected, [45, 645]);
    world.rss += 7 * mebi;
    live(600);
    assert.equal(world.collected.length, 2);
    world.rss += 1 * mebi;
    live(1);
    assert.equal(world.collected.length, 3);
  });

  test('does not collect with so much in use that the next request would wait', () => {
    const { world, live } = resting();
    world.heapUsed = mostUsed + 1;
    live(600);
    assert.deepEqual(world.collected, []);
    world.heapUsed = mostUsed;
    live(1);
    assert.equal(world.collected.length, 1);
  });
});
