import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, type TestContext, test } from 'node:test';
import type { Capture } from '../../src/core/evidence.js';
import { capture } from '../../src/master/capture/capture.js';
import { watchListeners } from '../../src/master/capture/inspector-port.js';
import { waitFor } from '../support/wait.js';
import { patience } from './service.js';

const skip = process.platform !== 'linux' && 'reads /proc';
/** As the pool has them. */
const flags = ['--inspect-publish-uid=http', '--inspect-port=0'];
const limit = 10_000;

interface Subject {
  readonly child: ChildProcess;
  readonly pid: number;
  readonly stderr: () => string;
  look(timeout?: number): Promise<Capture>;
}

/** A process that runs `script` once it has said so. */
async function subject(t: TestContext, script: string, args: readonly string[] = flags): Promise<Subject> {
  const program = `process.stdout.write('begun'); setTimeout(function later() { ${script} }, 50)`;
  const child = spawn(process.execPath, [...args, '-e', program], { stdio: ['ignore', 'pipe', 'pipe'] });
  const { pid } = child;
  assert.ok(pid !== undefined);
  t.after(() => child.kill('SIGKILL'));
  let stderr = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  await once(child.stdout as NodeJS.ReadableStream, 'data');
  const look = (timeout = limit) =>
    capture({ pid, timeout, own: 'file:///nowhere/', commandLines: true, onDisconnected: () => {} });
  return { child, pid, stderr: () => stderr, look };
}

/** Looks until it is what it is to become: the script begins a moment later. */
function becomes(found: Subject, state: Capture['state'], timeout = limit): Promise<Capture> {
  return waitFor(`the state ${state}`, () => found.look(timeout), {
    timeout: patience,
    until: (seen) => seen.state === state,
  });
}

function isIn(found: Subject, name: string): Promise<Capture> {
  return waitFor(`a stack in ${name}`, () => found.look(), {
    timeout: patience,
    until: ({ state, at }) => state === 'running' && at?.startsWith(name) === true,
  });
}

describe('a process that does not answer, looked at from outside', { skip }, () => {
  test('spins: its stack and its requests are there, and it goes on', async (t) => {
    const script = `
      process[Symbol.for('rom-agent.inFlight')] = () => ({ inFlight: 1, requests: [{ method: 'GET', path: '/x', age: 5 }] });
      const end = Date.now() + 2_000; (function checkout() { while (Date.now() < end); })(); process.exit(7);`;
    const spinning = await subject(t, script);
    const found = await isIn(spinning, 'checkout');
    assert.match(found.stack ?? '', /^ {4}at checkout \(\[eval\].*\n {4}at later/);
    assert.deepEqual(found.requests, [{ method: 'GET', path: '/x', age: 5 }]);
    assert.deepEqual(await once(spinning.child, 'exit'), [7, null]);
  });

  test('is in a regular expression', async (t) => {
    const spinning = await subject(t, "/^(a+)+$/.test('a'.repeat(45) + 'b')");
    await isIn(spinning, 'later');
  });

  test('is stopped, and is not woken', async (t) => {
    const stopped = await subject(t, "process.kill(process.pid, 'SIGSTOP')");
    assert.equal((await becomes(stopped, 'stopped')).stack, null);
    assert.equal((await stopped.look()).state, 'stopped');
  });

  test('waits for a child in execSync', async (t) => {
    const waiting = await subject(t, "require('node:child_process').execSync('sleep 60; true')");
    const { detail } = await becomes(waiting, 'blocked', 1_000);
    assert.match(detail ?? '', /its child is "\/bin\/sh -c sleep 60; true" \(pid \d+\)/);
    const [, child] = /\(pid (\d+)\)/.exec(detail ?? '') ?? [];
    process.kill(Number(child), 'SIGKILL');
  });

  test('is in native code, which has no JavaScript stack', async (t) => {
    const native = await subject(t, "require('node:crypto').pbkdf2Sync('a', 'b', 2e9, 64, 'sha512')");
    const { state, stack } = await waitFor('native code', () => native.look(500), {
      until: (seen) => seen.stack === null && seen.state === 'running',
    });
    assert.deepEqual([state, stack], ['running', null]);
  });

  test('has nothing to do', async (t) => {
    const idle = await subject(t, 'setInterval(() => {}, 60_000)');
    assert.equal((await becomes(idle, 'idle')).stack, null);
  });

  test('listens already, as an operator wanted', async (t) => {
    const spinning = await subject(t, 'for (;;);', ['--inspect=0']);
    await isIn(spinning, 'later');
  });

  test('does not answer on another port of its own either', async (t) => {
    const script = "require('node:net').createServer().listen(0, '127.0.0.1', () => { for (;;); })";
    const { stack } = await becomes(await subject(t, script), 'running');
    assert.notEqual(stack, null);
  });

  test('is gone', async (t) => {
    const { child, look } = await subject(t, '');
    await once(child, 'exit');
    assert.equal((await look()).state, 'unknown');
  });
});

describe('the inspector of a worker', { skip }, () => {
  test('does not listen before it is asked for, and says nothing of its own', async (t) => {
    const idle = await subject(t, 'setInterval(() => {}, 60_000)');
    const newListeners = watchListeners(idle.pid, { platform: process.platform });
    assert.deepEqual(await newListeners(), []);
    process.kill(idle.pid, 'SIGUSR1');
    const listeners = await waitFor('its inspector', newListeners, { until: ({ length }) => length > 0 });
    assert.equal(listeners.length, 1);
    assert.equal(idle.stderr(), '');
  });

  test('says that somebody has come, which Node cannot be kept from, and nothing more', async (t) => {
    const idle = await subject(t, 'setInterval(() => {}, 60_000)');
    await becomes(idle, 'idle');
    idle.child.kill('SIGTERM');
    await once(idle.child, 'close');
    assert.match(idle.stderr(), /^(Debugger attached\.\n)+$/);
  });
});
