import assert from 'node:assert/strict';
import { channel } from 'node:diagnostics_channel';
import { describe, test } from 'node:test';
import { BackplaneError, broadcast, lock, queue, schedule, state } from '../../../src/app-api/index.js';
import { keepExtending } from '../../../src/app-api/schedule.js';

/** Under plain node: the engine is in this process. */
delete process.env.ROM_AGENT_BACKPLANE;

describe('the face for apps under plain node', () => {
  test('has queues', async () => {
    const pdf = queue<{ page: number }>('pdf');
    const pages: number[] = [];
    const working = pdf.work(
      async (job) => {
        if (job.data.page === 2 && job.attempt === 1) throw new Error('no paper');
        pages.push(job.data.page);
      },
      { concurrency: 2 },
    );
    for (const page of [1, 2]) await pdf.add({ page }, { id: `page-${page}`, backoff: 1, attempts: 2 });
    assert.equal((await pdf.add({ page: 1 }, { id: 'page-1' })).added, false);
    while ((await pdf.counts()).completed < 2) await new Promise((resolve) => setImmediate(resolve));
    await working.close();
    assert.deepEqual(pages.sort(), [1, 2]);
    await assert.rejects(pdf.add({ page: new Date() as unknown as number }), {
      code: 'input',
      message: /^data\.page: a Date is not JSON/,
    });
    await assert.rejects(pdf.add({ page: 1 }, { attempts: 0 }), /options\.attempts: 0 is not right/);
    assert.throws(() => queue(''), BackplaneError);
  });

  test('has state, which two may change at once', async () => {
    const sessions = state<number>('sessions');
    await Promise.all(Array.from({ length: 20 }, () => sessions.update('a', (value = 0) => value + 1)));
    assert.equal(await sessions.get('a'), 20);
    const { version } = (await sessions.entry('a')) ?? assert.fail();
    await assert.rejects(sessions.set('a', 1, { ifVersion: version + 1 }), { code: 'version' });
    assert.equal(await sessions.ttl('a'), null);
    await sessions.set('b', 1, { ttl: '1h' });
    await sessions.update('b', () => 2);
    const left = (await sessions.ttl('b')) ?? 0;
    assert.ok(left > 0 && left <= 3_600_000, `${left} ms`);
    assert.equal(await sessions.increment('c'), 1);
    assert.equal(await sessions.delete('c'), true);
    assert.equal(await sessions.ttl('c'), undefined);
    assert.equal(await state('other').get('a'), undefined);
    assert.throws(() => state('a:b'), /expected a name without ':'/);
  });

  test('gives away copies: what an app changes in them is kept nowhere', async () => {
    const lists = state<number[]>('lists');
    await lists.set('a', [1]);
    (await lists.get('a'))?.push(2);
    assert.deepEqual(await lists.get('a'), [1]);
    const news = broadcast<number[]>('lists');
    const heard: number[][] = [];
    const offs = [1, 2].map(() => news.on((list) => void heard.push([...list, list.push(0)])));
    await news.send([1]);
    for (const off of offs) off();
    assert.deepEqual(heard, [
      [1, 2],
      [1, 2],
    ]);
    const q = queue<number[]>('lists');
    const working = q.work((job) => {
      job.data.push(2);
      throw new Error('no');
    });
    await q.add([1], { attempts: 1 });
    while ((await q.counts()).failed < 1) await new Promise((resolve) => setImmediate(resolve));
    await working.close();
    assert.deepEqual((await q.failed())[0]?.data, [1]);
  });

  test('names the value that is wrong, whatever it is', async () => {
    await assert.rejects(state<number>('n').increment('a', Number.NaN), { message: /^by: NaN is not right/ });
    await assert.rejects(state<number>('n').increment('a', 5n as unknown as number), {
      code: 'input',
      message: 'by: 5n is not right: expected a finite number',
    });
    await assert.rejects(queue('n').add(1, { attempts: Number.POSITIVE_INFINITY }), {
      message: /^options\.attempts: Infinity is not right/,
    });
  });

  test('aborts the signal of a lock when its time is over and nobody answers', async () => {
    const silent = { token: 1, extend: () => new Promise<void>(() => {}), release: async () => {} };
    const error = await new Promise((resolve) => keepExtending(silent, 30, resolve));
    assert.equal((error as BackplaneError).code, 'lost');
  });

  test('has locks', async () => {
    const log: string[] = [];
    let inside = 0;
    const tokens = await Promise.all(
      ['a', 'b', 'c'].map((name) =>
        lock('l').run(async (token) => {
          assert.equal(++inside, 1);
          log.push(name);
          await new Promise((resolve) => setImmediate(resolve));
          inside--;
          return token;
        }),
      ),
    );
    assert.deepEqual(log, ['a', 'b', 'c']);
    assert.deepEqual(
      tokens,
      [...tokens].sort((one, other) => one - other),
    );
    await lock('l').run(async () => {
      await assert.rejects(
        lock('l').run(() => {}, { wait: 1 }),
        { code: 'busy' },
      );
    });
    await assert.rejects(
      lock('l').run(() => {
        throw new Error('own');
      }),
      /own/,
    );
  });

  test('has broadcasts, which the sender hears too', async () => {
    const news = broadcast<{ n: number }>('news');
    const heard: number[] = [];
    const off = news.on(({ n }) => heard.push(n));
    await news.send({ n: 1 });
    off();
    await news.send({ n: 2 });
    assert.deepEqual(heard, [1]);
  });

  test('has schedules', async () => {
    let times = 0;
    const done = new Promise<number>((resolve) => {
      const every = schedule('tick', '* * * * * *', ({ dueAtMs }) => {
        times++;
        resolve(dueAtMs);
        void every.close();
      });
    });
    assert.equal((await done) % 1_000, 0);
    assert.equal(times, 1);
    const night = schedule('night', '0 2 * * *', () => {}, { timezone: 'America/Sao_Paulo' });
    assert.equal(night.next()?.getUTCHours(), 5);
    await night.close();
    assert.throws(
      () => schedule('bad', '61 * * * *', () => {}),
      /schedule\("bad"\): "61 \* \* \* \*" is not right: expected a cron expression/,
    );
    assert.throws(
      () => schedule('bad', '* * * * *', () => {}, { timezone: 'Mars/Olympus' }),
      /Mars\/Olympus.*expected a cron expression such as '0 2 \* \* \*', and a time zone/,
    );
  });

  test('takes no more jobs when the worker drains, and has the drain wait for those in progress', async () => {
    const q = queue('drained');
    let end = (): void => {};
    const begun = new Promise<void>((resolve) => {
      q.work(() => {
        resolve();
        return new Promise<void>((done) => {
          end = done;
        });
      });
    });
    await q.add(1, { id: 'a' });
    await q.add(2, { id: 'b' });
    await begun;
    const works: Promise<unknown>[] = [];
    channel('rom-agent:drain').publish({ waitUntil: (work: Promise<unknown>) => works.push(work) });
    assert.equal(works.length, 1);
    end();
    await works[0];
    assert.deepEqual(await q.counts(), { waiting: 1, delayed: 0, active: 0, completed: 1, failed: 0 });
  });
});
