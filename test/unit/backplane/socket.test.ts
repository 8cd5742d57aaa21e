import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { createClient } from '../../../src/app-api/client.js';
import { fitting } from '../../../src/backplane/connection.js';
import { openEmbedded } from '../../../src/backplane/embedded/open.js';
import type { Engine, Job, Json } from '../../../src/backplane/engine.js';
import { type BackplaneServer, listen } from '../../../src/backplane/server.js';

let directory = '';
let path = '';
let engine: Engine;
let server: BackplaneServer;
let clients: Engine[] = [];
const problems: string[] = [];

const start = async (): Promise<void> => {
  engine = await openEmbedded({
    directory: join(directory, 'state'),
    onProblem: (message) => problems.push(message),
  });
  server = await listen(engine, { path, onProblem: (message) => problems.push(message) });
};

/** As the process of the backplane ends: connections break, and what was saved is there again. */
const stop = async (): Promise<void> => {
  server.close();
  await engine.close();
};

function client(onStart: () => void = () => {}): Engine {
  const made = createClient({ path, start: onStart, pid: process.pid });
  clients.push(made);
  return made;
}

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'backplane-'));
  path = join(directory, 'backplane.sock');
  clients = [];
  problems.length = 0;
  await start();
});

afterEach(async () => {
  for (const each of clients) await each.close();
  await stop();
  rmSync(directory, { recursive: true });
  assert.deepEqual(problems, []);
});

/** What a promise resolves with, and who resolves it. */
function later<Value>() {
  let resolve: (value: Value) => void = () => {};
  const promise = new Promise<Value>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}

/** Sends lines as they are, and collects the answers until the connection ends or `count` have come. */
async function say(lines: readonly unknown[], count: number): Promise<readonly unknown[]> {
  const socket = connect(path);
  const answers: unknown[] = [];
  let rest = '';
  socket.setEncoding('utf8');
  const enough = later<void>();
  socket.on('data', (chunk: string) => {
    const all = (rest + chunk).split('\n');
    rest = all.pop() ?? '';
    answers.push(...all.map((line) => JSON.parse(line)));
    if (answers.length >= count) enough.resolve();
  });
  socket.once('close', () => enough.resolve());
  for (const line of lines) socket.write(`${typeof line === 'string' ? line : JSON.stringify(line)}\n`);
  await enough.promise;
  socket.destroy();
  return answers;
}

const hello = { id: 1, op: 'hello', version: 1, owner: { id: 'test', pid: process.pid }, holding: [] };

describe('the socket of the backplane', () => {
  test("is its owner's alone", () => {
    assert.equal(statSync(path).mode & 0o777, 0o600);
  });

  for (const [request, message] of [
    [{ id: 2, op: 'sing' }, /^op: "sing" is not right: expected one of hello, add, work/],
    [
      { id: 2, op: 'add', queue: '', job: { data: 1 } },
      'queue: "" is not right: expected a text of 1 to 512 characters',
    ],
    [{ id: 2, op: 'add', queue: 'q', job: {} }, 'job.data: nothing is not right: expected a JSON value'],
    [
      { id: 2, op: 'add', queue: 'q', job: { data: 1, attempts: 0 } },
      'job.attempts: 0 is not right: expected a whole number from 1 to 1000',
    ],
    [
      { id: 2, op: 'work', work: 1, queue: 'q', concurrency: 1.5 },
      'concurrency: 1.5 is not right: expected a whole number from 1 to 1000',
    ],
    [
      { id: 2, op: 'end', job: { queue: 'q', id: 'a' } },
      'job.attempt: nothing is not right: expected a whole number from 1 to 9007199254740991',
    ],
    [{ id: 2, op: 'acquire', name: 'l', ttlMs: -1, waitMs: 0 }, /^ttlMs: -1 is not right/],
  ] as const) {
    test(`answers what is wrong in ${JSON.stringify(request)}, and goes on`, async () => {
      const answers = (await say([hello, request, { id: 3, op: 'queues' }], 3)) as {
        id: number;
        ok: boolean;
        code: string;
        message: string;
      }[];
      const [wrong, right] = [2, 3].map((id) => answers.find((each) => each.id === id));
      assert.equal(wrong?.code, 'input');
      if (message instanceof RegExp) assert.match(wrong?.message ?? '', message);
      else assert.equal(wrong?.message, message);
      assert.equal(right?.ok, true);
    });
  }

  test('says that it speaks another version, and that hello comes first', async () => {
    const [other] = (await say([{ ...hello, version: 2 }], 1)) as { message: string }[];
    assert.equal(other?.message, 'version: 2 is not right: expected a whole number from 1 to 1');
    const [early] = (await say([{ id: 1, op: 'queues' }], 1)) as { message: string }[];
    assert.equal(early?.message, 'op: expected hello as the first request');
  });

  test('ends a connection that does not speak lines of JSON', async () => {
    assert.deepEqual(await say(['GET / HTTP/1.1'], 2), [
      { push: 'error', message: 'expected a line of JSON with an object, not GET / HTTP/1.1' },
    ]);
  });
});

describe('a client of the backplane', () => {
  test('has it started where nobody listens, and goes on when it is there', async () => {
    await stop();
    const asked = later<void>();
    const mine = client(() => asked.resolve());
    const added = mine.add('q', { id: 'a', data: { n: 1 } });
    await asked.promise;
    await start();
    assert.deepEqual(await added, { id: 'a', added: true });
  });

  test('handles jobs, and those of a client that was killed go to another', async () => {
    const gone = later<Job>();
    // A process that has ended: its number is nobody's.
    const dying = createClient({ path, start: () => {}, pid: 2 ** 22 + 1 });
    dying.work('q', 1, (job) => {
      gone.resolve(job);
      return new Promise(() => {});
    });
    await client().add('q', { id: 'a', data: [1, 2] });
    assert.deepEqual((await gone.promise).data, [1, 2]);
    const again = later<Job>();
    client().work('q', 1, async (job) => {
      again.resolve(job);
      return null;
    });
    await dying.close();
    assert.equal((await again.promise).attempt, 2);
  });

  test('keeps the job that it handles while its connection breaks', async () => {
    const begun = later<void>();
    const end = later<null>();
    const attempts: number[] = [];
    for (const mine of [client(), client()])
      mine.work('q', 1, (job) => {
        attempts.push(job.attempt);
        begun.resolve();
        return end.promise;
      });
    await client().add('q', { id: 'a', data: null });
    await begun.promise;
    await stop();
    await start();
    end.resolve(null);
    const watching = client();
    while ((await watching.counts('q')).completed === 0);
    assert.deepEqual(attempts, [1]);
  });

  test('subscribes anew, and says of what cannot be repeated that it does not know', async () => {
    const messages: Json[] = [];
    const mine = client();
    const came = later<void>();
    mine.subscribe('news', (message) => {
      messages.push(message);
      came.resolve();
    });
    await mine.queues();
    await stop();
    await start();
    await mine.queues();
    await client().publish('news', { n: 1 });
    await came.promise;
    assert.deepEqual(messages, [{ n: 1 }]);
  });

  test('closes a handler when its jobs have ended, and takes none in between', async () => {
    const mine = client();
    const begun = later<void>();
    const end = later<null>();
    const handled: string[] = [];
    const working = mine.work('q', 1, (job) => {
      handled.push(job.id);
      begun.resolve();
      return end.promise;
    });
    await mine.add('q', { id: 'a', data: null });
    await mine.add('q', { id: 'b', data: null });
    await begun.promise;
    const closed = working.close();
    end.resolve(null);
    await closed;
    assert.deepEqual(handled, ['a']);
    assert.deepEqual(await mine.counts('q'), { waiting: 1, delayed: 0, active: 0, completed: 1, failed: 0 });
  });

  test('gets the errors of the engine with their code', async () => {
    const mine = client();
    const { version } = await mine.set('k', 1);
    await assert.rejects(mine.set('k', 2, { ifVersion: version + 1 }), { code: 'version' });
    await assert.rejects(mine.retry('q', 'none'), { code: 'missing', message: /no failed job "none"/ });
    assert.equal(await mine.get('nothing'), undefined);
    const lock = await mine.acquire('l', 10_000, 0);
    assert.equal(await client().acquire('l', 10_000, 0), null);
    await lock?.release();
    assert.ok(((await client().acquire('l', 10_000, 0))?.token ?? 0) > (lock?.token ?? 0));
  });

  test('frees the locks of a process that has ended at once', async () => {
    const dying = createClient({ path, start: () => {}, pid: 2 ** 22 + 1 });
    await dying.acquire('l', 3_600_000, 0);
    const waiting = client().acquire('l', 1_000, 3_600_000);
    await dying.close();
    assert.notEqual(await waiting, null);
  });

  test('does not read on where too much waits for an answer, and answers all of it', async () => {
    const mine = client();
    const values = await Promise.all(Array.from({ length: 1_500 }, () => mine.increment('n', 1)));
    assert.equal(Math.max(...values), 1_500);
    assert.equal(new Set(values).size, 1_500);
  });

  test('is not asked what is too long for it, and goes on', async () => {
    const mine = client();
    const counting = mine.increment('n', 1);
    await assert.rejects(mine.add('q', { data: 'x'.repeat(17_000_000) }), {
      code: 'input',
      message: /^add: it has 17000\d\d\d characters as JSON: expected at most 16777216$/,
    });
    assert.equal(await counting, 1);
  });

  test('gives as many of the failed jobs as one answer has room for, and one at least', () => {
    const jobs = ['a', 'b', 'c'].map((id) => ({
      ...{ id, name: null, data: 'x'.repeat(100), attempts: 1, failedAtMs: 0, error: '' },
    }));
    const counts = [1_000, 400, 10].map((room) => fitting(jobs, room).length);
    assert.deepEqual(counts, [3, 2, 1]);
  });

  test('tells all that listen, also where one of them throws', async () => {
    const thrown = later<unknown>();
    const before = process.listeners('uncaughtException');
    process.removeAllListeners('uncaughtException');
    process.once('uncaughtException', thrown.resolve);
    try {
      const mine = client();
      const heard = later<Json>();
      mine.subscribe('news', () => {
        throw new Error('no');
      });
      mine.subscribe('news', heard.resolve);
      // The answer is in the same piece as the message.
      await mine.publish('news', 1);
      assert.equal(await heard.promise, 1);
      assert.match(String(await thrown.promise), /no/);
    } finally {
      for (const each of before) process.on('uncaughtException', each);
    }
  });

  test('keeps nobody waiting for ever who speaks to a socket that is no backplane', async () => {
    const { createServer } = await import('node:net');
    await stop();
    const other = createServer((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
    other.listen(path);
    await once(other, 'listening');
    const mine = client();
    const outcome = mine.publish('news', 1).catch((error: Error) => error.message);
    await once(other, 'connection');
    other.close();
    rmSync(path, { force: true });
    await start();
    assert.equal(await outcome, null);
  });
});
