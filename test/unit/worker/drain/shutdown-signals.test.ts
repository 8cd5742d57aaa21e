import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import test, { type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { shelterSignals } from '../../../../src/worker/drain/shutdown.js';

const signals = shelterSignals(process);
const module = new URL('../../../../src/worker/drain/shutdown.js', import.meta.url).href;

test('the handlers of the app are called when it is time, with the signal and its number', async () => {
  const calls: string[] = [];
  const note = (by: string) => (signal: string, number: number) =>
    void calls.push(`${by} ${signal} ${number}`);
  process.on('SIGINT', note('on'));
  assert.equal(await signals.deliver(), 1, 'SIGINT stands in where there is no handler for SIGTERM');
  process.on('SIGTERM', note('on'));
  process.once('SIGTERM', note('once'));
  assert.equal(await signals.deliver(), 2);
  assert.deepEqual(calls, ['on SIGINT 2', 'on SIGTERM 15', 'once SIGTERM 15']);
});

test('whoever looks at the handlers finds what plain Node shows', () => {
  const calls: string[] = [];
  const handler = () => void calls.push('on');
  const before = process.listenerCount('SIGHUP');
  process.removeAllListeners('SIGTERM');
  process.on('SIGTERM', handler).once('SIGTERM', () => void calls.push('once'));
  assert.equal(before, 0, 'nothing of ours');
  assert.equal(process.listenerCount('SIGTERM'), 2);
  assert.equal(process.listeners('SIGTERM')[0], handler);
  process.emit('SIGTERM', 'SIGTERM');
  assert.deepEqual(calls, ['on', 'once'], 'an app may call its own handlers');
  assert.deepEqual(process.listeners('SIGTERM'), [handler]);
});

test('a handler that was taken off is not called', async (t) => {
  const child = await sheltered(
    t,
    `const handler = () => console.log('called');
     process.on('SIGTERM', handler); process.off('SIGTERM', handler);
     process.once('SIGINT', handler); process.removeListener('SIGINT', handler);
     console.log(await signals.deliver()); process.exit(0);`,
  );
  assert.deepEqual(await child.lines, ['0']);
});

test('a handler that is to be called once is called at the first delivery alone', async (t) => {
  const child = await sheltered(
    t,
    `process.once('SIGTERM', () => console.log('once'));
     await signals.deliver(); console.log(await signals.deliver()); process.exit(0);`,
  );
  assert.deepEqual(await child.lines, ['once', '0']);
});

for (const what of ["'SIGTERM'", '']) {
  test(`removeAllListeners(${what}) takes the handlers off, and leaves the signal to the master`, async (t) => {
    const child = await sheltered(
      t,
      `process.on('SIGTERM', () => console.log('before'));
       process.removeAllListeners(${what});
       console.log(await signals.deliver());
       process.on('SIGTERM', () => console.log('after'));
       process.on('SIGHUP', () => process.exit(0));
       console.log('up'); setInterval(() => {}, 1000);`,
    );
    await child.says('up');
    for (const signal of ['SIGTERM', 'SIGHUP'] as const) child.process.kill(signal);
    assert.deepEqual(await child.lines, ['0', 'up']);
    assert.equal(child.process.signalCode, null);
  });
}

test('a library that ends the process where it listens alone finds that it does not', async (t) => {
  // As signal-exit has it.
  const library = `const alone = () => { if (process.listeners('SIGTERM').length === 1) process.exit(3); };
    process.on('SIGTERM', alone);`;
  const child = await sheltered(
    t,
    `${library}
     process.on('SIGTERM', async () => {
       await new Promise((resolve) => setTimeout(resolve, 50));
       console.log('the pool is closed'); process.exit(0);
     });
     await signals.deliver();`,
  );
  assert.deepEqual(await child.lines, ['the pool is closed']);
});

test('an asynchronous handler is awaited, and its failure is passed on', async (t) => {
  const child = await sheltered(
    t,
    `process.on('SIGTERM', async () => { await new Promise((r) => setTimeout(r, 50)); console.log('done'); });
     console.log(await signals.deliver());
     process.prependListener('SIGTERM', async () => { throw new Error('a bug'); });
     await signals.deliver().catch((error) => console.log(error.message));
     process.exit(0);`,
  );
  assert.deepEqual(await child.lines, ['done', '1', 'done', 'a bug']);
});

test('without a handler there is nothing to deliver', async (t) => {
  const child = await sheltered(t, 'console.log(await signals.deliver()); process.exit(0);');
  assert.deepEqual(await child.lines, ['0']);
});

test('a real signal does nothing, whether the app has handlers or not', async (t) => {
  const child = await sheltered(
    t,
    `process.on('SIGTERM', () => console.log('SIGTERM'));
     process.on('SIGINT', () => process.exit(5));
     process.on('SIGHUP', () => { console.log('SIGHUP is the app\\'s own'); process.exit(0); });
     console.log('up'); setInterval(() => {}, 1000);`,
  );
  await child.says('up');
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGTERM', 'SIGHUP'] as const) child.process.kill(signal);
  assert.deepEqual(await child.lines, ['up', "SIGHUP is the app's own"]);
});

test('a handler that takes itself off and sends the signal again, to die of it, ends the process', async (t) => {
  const child = await sheltered(
    t,
    `process.once('SIGTERM', () => { console.log('cleaned up'); process.kill(process.pid, 'SIGTERM'); });
     setInterval(() => {}, 1000);
     process.kill(process.pid, 'SIGTERM');
     setTimeout(() => signals.deliver(), 100);`,
  );
  const [code] = await once(child.process, 'exit');
  assert.equal(code, 0);
  assert.deepEqual(await child.lines, ['cleaned up']);
});

interface Sheltered {
  readonly process: ChildProcess;
  /** Everything it printed, once it has ended. */
  readonly lines: Promise<string[]>;
  says(line: string): Promise<void>;
}

/** A process that is sheltered before `script` runs, an ES module with `signals` in scope. */
async function sheltered(t: TestContext, script: string): Promise<Sheltered> {
  const head = `import { shelterSignals } from ${JSON.stringify(module)}; const signals = shelterSignals(process);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', `${head}\n${script}`], {
    stdio: ['ignore', 'pipe', 'inherit'],
    cwd: fileURLToPath(new URL('.', import.meta.url)),
  });
  t.after(() => child.kill('SIGKILL'));
  const seen: string[] = [];
  const reader = createInterface({ input: child.stdout });
  reader.on('line', (line) => seen.push(line));
  return {
    process: child,
    lines: once(child, 'close').then(() => seen),
    says: async (line) => {
      while (!seen.includes(line)) await once(reader, 'line');
    },
  };
}
