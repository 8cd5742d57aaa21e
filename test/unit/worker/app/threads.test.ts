import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, test } from 'node:test';
import workerThreads from 'node:worker_threads';
import { startThreadsWith } from '../../../../src/worker/app/load-app.js';

const code = "require('node:worker_threads').parentPort.postMessage(process.execArgv)";

/** What a thread finds in process.execArgv. */
async function flagsOf(threads: Pick<typeof workerThreads, 'Worker'>, options = {}): Promise<unknown> {
  const [flags] = await once(new threads.Worker(code, { eval: true, ...options }), 'message');
  return flags;
}

function threadsWith(flags: readonly string[]) {
  const threads = { Worker: workerThreads.Worker };
  startThreadsWith(flags, threads);
  return threads;
}

describe('a thread of the app', () => {
  test('has the flags of plain Node where the app names none', async () => {
    assert.deepEqual(await flagsOf(threadsWith(['--no-warnings'])), ['--no-warnings']);
    assert.deepEqual(await flagsOf(threadsWith([])), []);
  });

  test('has the flags that the app names', async () => {
    const threads = threadsWith(['--no-warnings']);
    assert.deepEqual(await flagsOf(threads, { execArgv: ['--no-deprecation'] }), ['--no-deprecation']);
  });

  test('inherits as before where the flags are none that a thread can be given', async () => {
    assert.deepEqual(await flagsOf(threadsWith(['--stack-size=900'])), process.execArgv);
  });

  test('is one of the class that the app sees, also where the app has extended it', async () => {
    const { Worker } = threadsWith([]);
    class Own extends Worker {}
    const own = new Own('', { eval: true });
    assert.ok(own instanceof Own && own instanceof Worker);
    assert.equal(Worker.prototype.constructor, Worker);
    await once(own, 'exit');
  });
});
