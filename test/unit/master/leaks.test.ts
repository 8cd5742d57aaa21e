import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { createLeakWatch } from '../../../src/master/leaks.js';
import type { Collection, Leak } from '../../../src/protocol/leak.js';

const mebibyte = 2 ** 20;
const leak = (kind: string): Leak => ({
  kind,
  bytesPerRequest: mebibyte,
  lowBytes: mebibyte,
  highBytes: mebibyte,
  share: 1,
});

/** A watch over one worker that grows by 10 MiB a look, and an analysis that finds what it is told to find. */
function watched() {
  const told: (readonly string[])[] = [];
  const heard: (readonly Leak[])[] = [];
  const looks: number[] = [];
  let found: readonly Leak[] = [];
  let generation = 1;
  let atMs = 0;
  const watch = createLeakWatch({
    workers: () => [{ key: 1, generation }],
    post: ({ leaks }) => {
      heard.push(leaks);
      told.push(leaks.map(({ kind }) => kind));
    },
    load: async () => ({
      leaks: (all) => {
        looks.push(all.length);
        return found;
      },
    }),
  });
  return {
    told,
    heard,
    looks,
    find: (...kinds: string[]) => {
      found = kinds.map(leak);
    },
    reload: () => {
      generation += 1;
    },
    work: async (ms: number) => {
      atMs += ms;
      const counts = { 'GET /': atMs };
      watch.worked(1, { atMs, cpuMs: 0, loopMs: 0, longestMs: 0, outsideBytes: atMs * 1_000, counts });
      await turn();
    },
    look: async (change: Partial<Collection> = {}, key = 1) => {
      atMs += 1_000;
      watch.collected(key, { atMs, bytes: atMs * 10_000, counts: { 'GET /': atMs }, ...change });
      await turn();
    },
  };
}

describe('the watch for leaks', () => {
  it('analyses nothing while no heap grows', async () => {
    const { look, looks } = watched();
    for (let count = 0; count < 10; count += 1) await look({ bytes: 50 * mebibyte });
    assert.deepEqual(looks, []);
  });

  it('tells what two analyses in a row have found, and that it is over', async () => {
    const { look, told, find } = watched();
    await look();
    await look();
    find('GET /a', 'GET /b');
    await look();
    assert.deepEqual(told, []);
    find('GET /b');
    await look();
    find();
    await look();
    await look();
    assert.deepEqual(told, [['GET /b'], []]);
  });

  it('looks at another generation by itself, and no more at the one before', async () => {
    const { look, told, find, looks, reload } = watched();
    find('GET /a');
    for (let count = 0; count < 5; count += 1) await look();
    assert.deepEqual(told.at(-1), ['GET /a']);
    reload();
    await look();
    assert.deepEqual(told.at(-1), []);
    const before = looks.length;
    await look();
    await look();
    assert.deepEqual(looks.slice(before), [3]);
  });

  it('tells what is outside of the heaps beside what is in them, with a look in twenty seconds', async () => {
    const { look, told, find, work, looks, heard } = watched();
    find('GET /a');
    for (let count = 0; count < 40; count += 1) await work(5_000);
    assert.deepEqual(looks, [2, 3, 4, 5, 6, 7, 8, 9, 10]);
    assert.deepEqual(told.at(-1), ['GET /a']);
    assert.equal(heard.at(-1)?.[0]?.isOutside, true);
    find('GET /b');
    for (let count = 0; count < 4; count += 1) await look();
    assert.deepEqual(told.at(-1), ['GET /b', 'GET /a']);
    assert.deepEqual(
      heard.at(-1)?.map(({ isOutside }) => isOutside),
      [undefined, true],
    );
  });

  it('ignores a worker that nobody knows', async () => {
    const { look, looks } = watched();
    for (let count = 0; count < 5; count += 1) await look({}, 9);
    assert.deepEqual(looks, []);
  });
});
