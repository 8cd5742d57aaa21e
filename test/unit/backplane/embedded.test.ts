import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { createEmbedded } from '../../../src/backplane/embedded/engine.js';
import { openJournal } from '../../../src/backplane/embedded/journal.js';
import type { JournalRecord } from '../../../src/backplane/embedded/records.js';
import { Store } from '../../../src/backplane/embedded/store.js';
import { type Engine, HandlerGone, type HeldJob, type Job } from '../../../src/backplane/engine.js';
import { type MemoryFile, memoryFile } from '../../support/memory-file.js';

/** A clock that moves when it is told to, and calls what is due. */
function handClock() {
  let now = 1_000_000;
  const timers = new Set<{ readonly at: number; readonly call: () => void }>();
  return {
    clock: () => now,
    after: (ms: number, call: () => void) => {
      const timer = { at: now + ms, call };
      timers.add(timer);
      return () => timers.delete(timer);
    },
    /** Moves it on, timer by timer. */
    pass: async (ms: number): Promise<void> => {
      const until = now + ms;
      for (;;) {
        await settle();
        const [next] = [...timers].filter(({ at }) => at <= until).sort((one, other) => one.at - other.at);
        if (next === undefined) break;
        now = Math.max(now, next.at);
        timers.delete(next);
        next.call();
      }
      now = until;
      await settle();
    },
  };
}

/** Everything that is to happen without time has happened: nothing here waits for more than a few turns. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
}

type HandClock = ReturnType<typeof handClock>;

async function engineOn(file: MemoryFile, time: HandClock = handClock(), alive = new Set<number>()) {
  const store = new Store();
  const journal = await openJournal(
    { file, snapshot: () => store.snapshot(time.clock()), onProblem: assert.fail },
    (record) => store.apply(record as JournalRecord),
  );
  let ids = 0;
  const engine = createEmbedded({
    ...{ store, journal, place: '/state', clock: time.clock, after: time.after },
    newId: () => `made-up-${++ids}`,
    isAlive: (pid) => alive.has(pid),
  });
  return { engine, time, file };
}

/** Handlers that end when they are told to. */
function handlers(engine: Engine, queue: string, concurrency: number) {
  const running = new Map<
    string,
    { job: Job; resolve: (value: null) => void; reject: (error: Error) => void }
  >();
  const order: string[] = [];
  let most = 0;
  const working = engine.work(queue, concurrency, (job) => {
    order.push(`${job.id}/${job.attempt}`);
    assert.ok(!running.has(job.id), `${job.id} is handled by two at once`);
    return new Promise((resolve, reject) => {
      const end = (act: () => void): void => {
        running.delete(job.id);
        act();
      };
      running.set(job.id, {
        job,
        resolve: () => end(() => resolve(null)),
        reject: (error) => end(() => reject(error)),
      });
      most = Math.max(most, running.size);
    });
  });
  return { working, running, order, most: () => most };
}

describe('a queue', () => {
  test('hands out by priority, then by age, and no more at once than it should', async () => {
    const { engine } = await engineOn(memoryFile());
    for (const [id, priority] of [
      ['c', 5],
      ['a', 0],
      ['d', 5],
      ['b', 1],
    ] as const)
      await engine.add('q', { id, data: null, priority });
    const { running, order, most } = handlers(engine, 'q', 2);
    await settle();
    assert.deepEqual(order, ['a/1', 'b/1']);
    running.get('a')?.resolve(null);
    running.get('b')?.resolve(null);
    await settle();
    assert.deepEqual(order, ['a/1', 'b/1', 'c/1', 'd/1']);
    assert.equal(most(), 2);
    assert.deepEqual(await engine.counts('q'), {
      waiting: 0,
      delayed: 0,
      active: 2,
      completed: 2,
      failed: 0,
    });
  });

  test('tries again later each time, then keeps the job as failed, and gives it all attempts again when asked', async () => {
    const { engine, time } = await engineOn(memoryFile());
    const { running, order } = handlers(engine, 'q', 1);
    await engine.add('q', { id: 'a', data: { n: 1 }, attempts: 3, backoffMs: 1_000 });
    await settle();
    for (const wait of [1_000, 2_000]) {
      running.get('a')?.reject(new Error('no paper'));
      await time.pass(wait - 1);
      assert.equal(running.size, 0, `not before ${wait} ms`);
      await time.pass(1);
      assert.equal(running.size, 1, `after ${wait} ms`);
    }
    running.get('a')?.reject(new Error('still no paper'));
    await settle();
    const failed = await engine.failed('q', 10);
    assert.deepEqual(failed, [
      {
        ...{ id: 'a', name: null, data: { n: 1 }, attempts: 3 },
        ...{ failedAtMs: time.clock(), error: 'still no paper' },
      },
    ]);
    assert.deepEqual(await engine.add('q', { id: 'a', data: null }), { id: 'a', added: false });
    await engine.retry('q', 'a');
    await settle();
    running.get('a')?.resolve(null);
    await settle();
    assert.deepEqual(order, ['a/1', 'a/2', 'a/3', 'a/1']);
    await assert.rejects(engine.retry('q', 'a'), { code: 'missing' });
  });

  test('knows for a day which ids were done', async () => {
    const { engine, time, file } = await engineOn(memoryFile());
    const { running } = handlers(engine, 'q', 1);
    await engine.add('q', { id: 'a', data: null });
    await settle();
    running.get('a')?.resolve(null);
    await settle();
    assert.equal((await engine.add('q', { id: 'a', data: null })).added, false);
    const again = await engineOn(file.afterCrash(1), time);
    assert.equal((await again.engine.add('q', { id: 'a', data: null })).added, false);
    await time.pass(24 * 3_600_000);
    assert.equal((await again.engine.add('q', { id: 'a', data: null })).added, true);
  });

  test('gives a job on at once where its handler is gone, and the attempt counts', async () => {
    const { engine } = await engineOn(memoryFile());
    const { running, order } = handlers(engine, 'q', 1);
    await engine.add('q', { id: 'a', data: null, attempts: 2, backoffMs: 60_000 });
    await settle();
    running.get('a')?.reject(new HandlerGone('killed'));
    await settle();
    assert.deepEqual(order, ['a/1', 'a/2']);
    running.get('a')?.reject(new HandlerGone('killed'));
    await settle();
    assert.deepEqual((await engine.failed('q', 1))[0]?.error, 'killed');
  });

  test('takes no job when it is closed, and lets those in progress end', async () => {
    const { engine } = await engineOn(memoryFile());
    const { running, working, order } = handlers(engine, 'q', 1);
    await engine.add('q', { id: 'a', data: null });
    await engine.add('q', { id: 'b', data: null });
    await settle();
    let isClosed = false;
    const closed = working.close().then(() => {
      isClosed = true;
    });
    await settle();
    assert.equal(isClosed, false);
    running.get('a')?.resolve(null);
    await closed;
    await settle();
    assert.deepEqual(order, ['a/1']);
    assert.equal((await engine.counts('q')).waiting, 1);
  });
});

describe('after a restart of the engine', () => {
  const owner = { id: 'worker', pid: 7 };

  async function crashed({ alive }: { alive: boolean }) {
    const time = handClock();
    const first = await engineOn(memoryFile(), time, new Set([7]));
    first.engine.work('q', 2, () => new Promise(() => {}), { owner });
    await first.engine.add('q', { id: 'a', data: null, attempts: 5 });
    await first.engine.add('q', { id: 'b', data: null, attempts: 5 });
    await settle();
    const second = await engineOn(first.file.afterCrash(1), time, new Set(alive ? [7] : []));
    return { ...second, time };
  }

  test('the jobs of a process that has ended go to others', async () => {
    const { engine } = await crashed({ alive: false });
    const { order } = handlers(engine, 'q', 5);
    await settle();
    assert.deepEqual(order.sort(), ['a/2', 'b/2']);
  });

  test('a process that lives keeps the jobs that it says it has, and nobody else gets them', async () => {
    const { engine, time } = await crashed({ alive: true });
    const { order } = handlers(engine, 'q', 5);
    await time.pass(5_000);
    assert.deepEqual(order, []);
    const settled: HeldJob[] = [];
    const held = { queue: 'q', id: 'a', attempt: 1 };
    const strange = { queue: 'q', id: 'z', attempt: 1 };
    let end = (): void => {};
    engine.reclaim?.(owner, [held, strange], {
      handle: () =>
        new Promise((resolve) => {
          end = () => resolve(null);
        }),
      onSettled: (job) => settled.push(job),
    });
    await settle();
    assert.deepEqual(order, ['b/2'], 'what it does not have goes to others');
    assert.deepEqual(settled, [strange]);
    end();
    await settle();
    assert.deepEqual(settled, [strange, held]);
    assert.equal((await engine.counts('q')).completed, 1);
  });
});

describe('the state', () => {
  test('has versions that never come back, a time to live, and numbers', async () => {
    const { engine, time } = await engineOn(memoryFile());
    const { version } = await engine.set('k', 1, { ifVersion: 0 });
    await assert.rejects(engine.set('k', 2, { ifVersion: 0 }), {
      code: 'version',
      message: `the entry "k" does not have the version 0: it has ${version}`,
    });
    await engine.delete('k');
    const { version: later } = await engine.set('k', 2, { ttlMs: 100 });
    assert.ok(later > version);
    assert.equal(await engine.increment('k', 5), 7);
    assert.equal((await engine.get('k'))?.ttlMs, 100);
    await time.pass(100);
    assert.equal(await engine.get('k'), undefined);
    await engine.set('text', 'x');
    await assert.rejects(engine.increment('text', 1), { code: 'type' });
  });

  test('is unchanged by what a full disk did not take, and says why', async () => {
    const { engine, file } = await engineOn(memoryFile());
    await engine.set('k', 'kept');
    const saved = file.content().length;
    file.setRoom(10);
    const outcomes = await Promise.allSettled([
      engine.set('k', 'lost'),
      engine.increment('n', 1),
      engine.add('q', { id: 'a', data: null }),
    ]);
    const reasons = outcomes.map((each) =>
      each.status === 'rejected' ? String(each.reason.message) : 'saved',
    );
    assert.deepEqual(reasons, [
      'no space left on the disk (ENOSPC), in /state',
      'no space left on the disk (ENOSPC), in /state',
      'the job "a" of the queue "q" was not saved: no space left on the disk (ENOSPC), in /state',
    ]);
    assert.equal((await engine.get('k'))?.value, 'kept');
    assert.equal(await engine.get('n'), undefined);
    assert.equal(file.content().length, saved);
    file.setRoom(null);
    assert.deepEqual(await engine.add('q', { id: 'a', data: null }), { id: 'a', added: true });
  });
});

describe('a job that is added twice at once', () => {
  test('is promised to nobody before it is saved', async () => {
    const { engine, file } = await engineOn(memoryFile());
    file.setRoom(10);
    const both = [1, 2].map(() => engine.add('q', { id: 'a', data: null }));
    const refused = await Promise.allSettled(both);
    assert.deepEqual(
      refused.map(({ status }) => status),
      ['rejected', 'rejected'],
    );
    file.setRoom(null);
    const again = await Promise.all([1, 2].map(() => engine.add('q', { id: 'a', data: null })));
    assert.deepEqual(
      again.map(({ added }) => added),
      [true, false],
    );
  });
});

describe('a handler that rejects with what has no text', () => {
  test('has its job fail like any other', async () => {
    const { engine } = await engineOn(memoryFile());
    for (const reason of [Object.create(null), Object.assign(new Error(), { message: { status: 500 } })]) {
      engine.work('q', 1, () => Promise.reject(reason));
      await engine.add('q', { data: null, attempts: 1 });
      await settle();
    }
    assert.equal((await engine.counts('q')).failed, 2);
  });
});

describe('a job that was done while the disk is full', () => {
  test('is recorded when there is room, and its handler hears of it then', async () => {
    const { engine, file, time } = await engineOn(memoryFile());
    const settled: string[] = [];
    let end = (): void => {};
    engine.work(
      'q',
      1,
      () =>
        new Promise((resolve) => {
          end = () => resolve(null);
        }),
      { onSettled: ({ id }) => settled.push(id) },
    );
    await engine.add('q', { id: 'a', data: null });
    await settle();
    file.setRoom(3);
    end();
    await time.pass(3_000);
    assert.deepEqual(settled, []);
    file.setRoom(null);
    await time.pass(3_000);
    assert.deepEqual(settled, ['a']);
    const again = await engineOn(file.afterCrash(0), time);
    assert.deepEqual((await again.engine.counts('q')).completed, 1);
  });
});

describe('a lock', () => {
  test('goes to who asked first when it is released or has run out, with a token that grows over restarts', async () => {
    const { engine, time, file } = await engineOn(memoryFile());
    const first = await engine.acquire('l', 1_000, 0);
    assert.equal(await engine.acquire('l', 1_000, 0), null);
    const order: string[] = [];
    const waiting = ['one', 'two'].map((name) =>
      engine.acquire('l', 1_000, 60_000).then((lock) => {
        order.push(name);
        return lock;
      }),
    );
    await settle();
    await first?.release();
    const second = await waiting[0];
    await time.pass(999);
    assert.deepEqual(order, ['one']);
    await time.pass(1);
    const third = await waiting[1];
    await assert.rejects(second?.extend() ?? assert.fail(), { code: 'lost' });
    const tokens = [first?.token ?? 0, second?.token ?? 0, third?.token ?? 0];
    assert.deepEqual(
      tokens,
      [...tokens].sort((one, other) => one - other),
    );
    const again = await engineOn(file.afterCrash(0), time);
    await time.pass(1_000);
    const fourth = await again.engine.acquire('l', 1_000, 0);
    assert.ok((fourth?.token ?? 0) > (third?.token ?? 0), `${fourth?.token} after ${third?.token}`);
  });

  test("is still its holder's after a restart", async () => {
    const { engine, time, file } = await engineOn(memoryFile());
    const held = await engine.acquire('l', 1_000, 0);
    const again = await engineOn(file.afterCrash(1), time);
    assert.equal(await again.engine.acquire('l', 1_000, 0), null);
    await again.engine.extend('l', held?.token ?? 0, 1_000);
  });

  test('is not given to who waits no longer', async () => {
    const { engine, time } = await engineOn(memoryFile());
    const held = await engine.acquire('l', 10_000, 0);
    const late = engine.acquire('l', 10_000, 500);
    await time.pass(500);
    assert.equal(await late, null);
    await held?.release();
    assert.notEqual(await engine.acquire('l', 10_000, 0), null);
  });
});

describe('with any operations, crashes and full disks', () => {
  const step = fc.oneof(
    {
      weight: 5,
      arbitrary: fc.record({ kind: fc.constant('add' as const), id: fc.integer({ min: 0, max: 30 }) }),
    },
    { weight: 5, arbitrary: fc.record({ kind: fc.constant('end' as const), ok: fc.boolean() }) },
    {
      weight: 3,
      arbitrary: fc.record({
        kind: fc.constant('set' as const),
        key: fc.integer({ min: 0, max: 3 }),
        value: fc.integer(),
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({ kind: fc.constant('increment' as const), by: fc.integer({ min: 1, max: 9 }) }),
    },
    {
      weight: 2,
      arbitrary: fc.record({ kind: fc.constant('pass' as const), ms: fc.integer({ min: 1, max: 5_000 }) }),
    },
    {
      weight: 1,
      arbitrary: fc.record({
        kind: fc.constant('room' as const),
        bytes: fc.option(fc.integer({ min: 0, max: 300 })),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({
        kind: fc.constant('crash' as const),
        share: fc.double({ min: 0, max: 1, noNaN: true }),
      }),
    },
  );

  test('no job that was promised is lost, none is handled by two at once, and the state is what was promised', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
        const time = handClock();
        let { engine, file } = await engineOn(memoryFile(), time);
        let work = handlers(engine, 'q', 3);
        const promised = new Set<string>();
        const handled = new Set<string>();
        const state = new Map<string, number>();
        for (const each of steps) {
          if (each.kind === 'add') {
            const id = `j${each.id}`;
            await engine.add('q', { id, data: null, attempts: 1_000_000, backoffMs: 10 }).then(
              () => promised.add(id),
              () => {},
            );
          } else if (each.kind === 'end') {
            const [first] = work.running.values();
            if (first === undefined) continue;
            if (each.ok) handled.add(first.job.id);
            if (each.ok) first.resolve(null);
            else first.reject(new Error('no'));
          } else if (each.kind === 'set') {
            const key = `k${each.key}`;
            await engine.set(key, each.value).then(
              () => state.set(key, each.value),
              () => {},
            );
          } else if (each.kind === 'increment') {
            await engine.increment('n', each.by).then(
              (value) => state.set('n', value),
              () => {},
            );
          } else if (each.kind === 'pass') await time.pass(each.ms);
          else if (each.kind === 'room') file.setRoom(each.bytes);
          else {
            ({ engine, file } = await engineOn(file.afterCrash(each.share), time));
            work = handlers(engine, 'q', 3);
          }
          for (const [key, value] of state) assert.equal((await engine.get(key))?.value, value, key);
        }
        file.setRoom(null);
        // One whose end a crash has cut off is handled again, and has to be ended again.
        const isOver = (): boolean => work.running.size === 0 && [...promised].every((id) => handled.has(id));
        await time.pass(10_000);
        for (let round = 0; round < 60 && !isOver(); round++) {
          for (const { job, resolve } of [...work.running.values()]) {
            handled.add(job.id);
            resolve(null);
          }
          await time.pass(10_000);
        }
        assert.deepEqual(
          [...promised].filter((id) => !handled.has(id)),
          [],
          'lost',
        );
        await time.pass(10_000);
        const { waiting, delayed, active } = await engine.counts('q');
        assert.deepEqual({ waiting, delayed, active }, { waiting: 0, delayed: 0, active: 0 });
      }),
      { numRuns: 40 },
    );
  });
});
