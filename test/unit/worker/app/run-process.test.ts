import assert from 'node:assert/strict';
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { folder } from '../../control/place.js';

const module = fileURLToPath(new URL('../../../../src/worker/app/run-process.js', import.meta.url));

interface Given {
  readonly app: string;
  readonly waitReady?: 'on' | 'off';
  readonly portWait?: number;
}

/** Runs an app as a worker does, and tells what became of its start; then the process is left to itself. */
function run(t: TestContext, { app, waitReady = 'off', portWait = 60_000 }: Given): ChildProcess {
  const place = folder(t);
  const file = join(place, 'app.mjs');
  writeFileSync(file, app);
  const settings = { app: file, execArgv: [], waitReady, portWait };
  const text = `
    import { runProcess } from ${JSON.stringify(module)};
    // As in a worker, where Node's own complaint about the module is caught.
    process.on('uncaughtException', () => {});
    // The channel keeps a worker, as long as nobody says otherwise.
    process.channel.ref();
    const tell = (what) => process.send({ what });
    runProcess({
      settings: ${JSON.stringify(settings)},
      channel: { ref: () => process.channel?.ref(), unref: () => process.channel?.unref() },
      onLoaded: () => {},
      onFailure: (error) => tell('late: ' + error.message),
    }).done.then(() => tell('ready'), (error) => process.send({ what: error.message }, () => process.exit(1)));
  `;
  const main = join(place, 'main.mjs');
  writeFileSync(main, text);
  const child = fork(main, { stdio: 'ignore' });
  t.after(() => void child.kill('SIGKILL'));
  return child;
}

/** The next message that is ours: what the app itself says is a string. */
function told(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    const hear = (message: unknown): void => {
      if (typeof message !== 'object' || message === null || !('what' in message)) return;
      child.off('message', hear);
      resolve(String(message.what));
    };
    child.on('message', hear);
  });
}

describe('an app that is no server', () => {
  test('is ready once its module has been evaluated and it runs on', async (t) => {
    const child = run(t, { app: 'setInterval(() => {}, 1000);' });
    assert.equal(await told(child), 'ready');
  });

  test('is ready though its module waits at its top level for ever', async (t) => {
    const child = run(t, { app: 'for (;;) await new Promise((go) => setTimeout(go, 10));', portWait: 300 });
    assert.equal(await told(child), 'ready');
  });

  test('that fails in its top-level await after it was taken for ready is told of', async (t) => {
    const app = `
      await new Promise((go) => process.once('message', go));
      throw new Error('too late');`;
    const child = run(t, { app: `setInterval(() => {}, 1000);${app}`, portWait: 300 });
    assert.equal(await told(child), 'ready');
    child.send('go');
    assert.equal(await told(child), 'late: too late');
  });

  test('that has nothing left to do has failed, and is told what it should be', async (t) => {
    const child = run(t, { app: "console.log('done');" });
    assert.match(
      await told(child),
      /^app: it has nothing left to do, and ended before it was ready; kind "process"/,
    );
  });

  test('that throws has failed with its own error', async (t) => {
    const child = run(t, { app: "throw new Error('no broker');" });
    assert.equal(await told(child), 'no broker');
  });

  test('ends once it has nothing left to do, as under plain Node', async (t) => {
    const child = run(t, {
      app: 'const timer = setInterval(() => {}, 10); process.once("message", () => clearInterval(timer));',
    });
    assert.equal(await told(child), 'ready');
    child.send('end');
    assert.deepEqual(await once(child, 'exit'), [0, null]);
  });

  test('with wait_ready is ready when it says so, and the master hears what it says', async (t) => {
    const app = "setInterval(() => {}, 1000); setTimeout(() => process.send('ready'), 100);";
    const child = run(t, { app, waitReady: 'on', portWait: 10 });
    const messages: unknown[] = [];
    child.on('message', (message) => messages.push(message));
    assert.equal(await told(child), 'ready');
    assert.deepEqual(messages, ['ready', { what: 'ready' }]);
  });
});
