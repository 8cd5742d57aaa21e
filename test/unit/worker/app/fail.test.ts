import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { describe, test } from 'node:test';
import type { WorkerMessage } from '../../../../src/protocol/messages.js';
import { createFailing, type FailSeam } from '../../../../src/worker/app/fail.js';

function worker(seam: Partial<FailSeam> = {}) {
  const said: WorkerMessage[] = [];
  const did: string[] = [];
  const failing = createFailing({
    channel: {
      send: async (message) => {
        said.push(message);
      },
    },
    isServing: () => true,
    isDraining: () => true,
    tellCurrent: () => did.push('current'),
    answerWhatIsIn: async () => void did.push('answers'),
    exit: (code) => void did.push(`exit ${code}`),
    ...seam,
  });
  return { failing, said, did };
}

describe('a worker that fails', () => {
  test('says why, answers what is in, and ends', async () => {
    const { failing, said, did } = worker();
    await failing.fail(new TypeError('no such thing'));
    assert.deepEqual(did, ['current', 'answers', 'exit 1']);
    assert.ok(said[0]?.type === 'failed' && said[0].failure.message === 'TypeError: no such thing');
    await failing.fail(new Error('what follows'));
    assert.equal(said.length, 1, 'what fails on the way out has nothing to add');
  });

  test('ends also where nothing can be loaded any more', async () => {
    const load = () => Promise.reject(Object.assign(new Error('too many open files'), { code: 'EMFILE' }));
    const { failing, said, did } = worker({ load });
    await failing.fail(new Error('boom'));
    assert.ok(said[0]?.type === 'failed' && said[0].failure.message === 'Error: boom');
    assert.equal(did.at(-1), 'exit 1');
  });

  test('needs nothing to be loaded once it is prepared', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const loads: number[] = [];
    const load = async () => {
      loads.push(1);
      return { failureOf: () => ({ message: 'explained', exitCode: 70 }) };
    };
    const { failing, said } = worker({ load });
    failing.prepare();
    assert.equal(loads.length, 0, 'not on the way to readiness');
    t.mock.timers.tick(10_000);
    t.mock.timers.reset();
    await failing.fail(new Error('boom'));
    assert.deepEqual([loads.length, said[0]?.type === 'failed' && said[0].failure.message], [1, 'explained']);
  });

  test('and is only of no use waits for the order to drain', async () => {
    const { failing, said, did } = worker();
    await failing.retire(new Error('deaf'));
    assert.ok(said[0]?.type === 'failed' && said[0].drains === true);
    assert.deepEqual(did, []);
  });
});

/** What a process with this code ends with, where ours hears of what it throws. */
function plain(code: string): Promise<{ code: number | null; out: string }> {
  const module = new URL('../../../../src/worker/app/fail.js', import.meta.url).href;
  const script = `
    import { onUncaught } from ${JSON.stringify(module)};
    onUncaught(process, (error) => { console.log('ours', error.message ?? error); process.exitCode = 7; });
    ${code}`;
  return new Promise((resolve) => {
    const child = execFile(process.execPath, ['--input-type=module', '-e', script], (_error, out) =>
      resolve({ code: child.exitCode, out: out.trim() }),
    );
  });
}

describe('what the app throws and does not catch', () => {
  test('is heard, also a rejection that nobody handles', async () => {
    assert.deepEqual(await plain("setImmediate(() => { throw new Error('boom'); })"), {
      code: 7,
      out: 'ours boom',
    });
    assert.deepEqual(await plain("Promise.reject(new Error('rejected'))"), { code: 7, out: 'ours rejected' });
  });

  test('shows the app nothing of ours: who is alone with it ends the process, as Sentry does', async () => {
    const { code, out } = await plain(`
      process.on('uncaughtException', () => process.exit(process.listenerCount('uncaughtException')));
      setImmediate(() => { throw new Error('boom'); });`);
    assert.deepEqual({ code, out }, { code: 1, out: '' });
  });

  test("is the app's alone where it has a handler or a capture callback of its own", async () => {
    const handler = await plain(`
      process.on('unhandledRejection', () => console.log('theirs'));
      Promise.reject(new Error('rejected'));`);
    assert.deepEqual(handler, { code: 0, out: 'theirs' });
    const capture = await plain(`
      process.setUncaughtExceptionCaptureCallback(() => console.log('captured'));
      setImmediate(() => { throw new Error('boom'); });`);
    assert.deepEqual(capture, { code: 0, out: 'captured' });
  });
});
