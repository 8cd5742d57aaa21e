import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import test, { type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { shelterSignals } from '../../src/worker/signals.js';

const signals = shelterSignals(process);
const module = new URL('../../src/worker/signals.js', import.meta.url).href;

/** Takes turns of the event loop until the shelter has done its work. */
const settled = () => new Promise((resolve) => setImmediate(resolve));

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

test('the handlers are taken off the real signal', async () => {
  const handler = () => assert.fail('called by the signal');
  process.on('SIGTERM', handler);
  await settled();
  assert.equal(process.listeners('SIGTERM').includes(handler), false);
});

test('an asynchronous handler is awaited, and its failure is passed on', async (t) => {
  const child = await sheltered(
    t,
    `process.on('SIGTERM', async () => { await new Promise((r) => setTimeout(r, 50)); console.log('done'); });
     console.log(await signals.deliver());
     process.on('SIGTERM', async () => { throw new Error('a bug'); });
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

test('a handler that sends itself the signal again, to die of it, ends the process', async (t) => {
  const child = await sheltered(
    t,
    `process.on('SIGTERM', () => { console.log('cleaned up'); process.kill(process.pid, 'SIGTERM'); });
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
