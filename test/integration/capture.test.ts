import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Duplex } from 'node:stream';
import { describe, type TestContext, test } from 'node:test';
import { capture } from '../../src/master/diagnostics/capture.js';
import { createWitness } from '../../src/master/diagnostics/witness.js';
import type { Capture } from '../../src/protocol/capture.js';
import { waitFor } from '../support/wait.js';
import { listenersOf } from './inspector.js';
import { patience } from './service.js';

const skip = process.platform !== 'linux' && 'reads /proc';
const thread = new URL('../../src/worker/health/witness.js', import.meta.url).href;
const limit = 10_000;

interface Subject {
  readonly child: ChildProcess;
  readonly pid: number;
  readonly stderr: () => string;
  look(timeout?: number): Promise<Capture>;
}

/** A process that runs `script` once it has said so and has started the thread that tells where it is. */
async function subject(t: TestContext, script: string, args: readonly string[] = []): Promise<Subject> {
  const program = `
    import(${JSON.stringify(thread)}).then(({ startWitness }) => startWitness((error) => console.error(error))).then(() => {
      setTimeout(() => { process.stdout.write('begun'); setTimeout(function later() { ${script} }, 50) }, 200) })`;
  const child = spawn(process.execPath, [...args, '-e', program], {
    stdio: ['ignore', 'pipe', 'pipe', 'ignore', 'pipe'],
  });
  const { pid } = child;
  assert.ok(pid !== undefined);
  t.after(() => child.kill('SIGKILL'));
  let stderr = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  await once(child.stdout as NodeJS.ReadableStream, 'data');
  const witness = createWitness(child.stdio[4] as Duplex);
  const look = (timeout = limit) =>
    capture({ pid, timeout, own: 'file:///nowhere/', commandLines: true, witness });
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
    const directory = mkdtempSync(join(tmpdir(), 'capture-'));
    t.after(() => rmSync(directory, { recursive: true }));
    const enough = join(directory, 'enough');
    const script = `
      process[Symbol.for('rom-agent.inFlight')] = () => ({ inFlight: 1, requests: [{ method: 'GET', path: '/x', ageMs: 5 }] });
      const { existsSync } = require('node:fs');
      (function checkout() {
        for (let next = 0; Date.now() < next || !existsSync(${JSON.stringify(enough)});) {
          if (Date.now() >= next) next = Date.now() + 100;
        }
      })();
      process.exit(7);`;
    const spinning = await subject(t, script);
    const found = await isIn(spinning, 'checkout');
    writeFileSync(enough, '');
    // A look may fall into existsSync, whose frames then come first.
    assert.match(found.stack ?? '', /^ {4}at checkout \(\[eval\].*\n {4}at later/m);
    assert.deepEqual(found.requests, [{ method: 'GET', path: '/x', ageMs: 5 }]);
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
    const waiting = await subject(t, "require('node:child_process').execSync('sleep 600; true')");
    const { detail } = await becomes(waiting, 'blocked', 1_000);
    assert.match(detail ?? '', /its child is "\/bin\/sh -c sleep 600; true" \(pid \d+\)/);
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

  test('was in native code, and goes on unpaused once it is out', async (t) => {
    const script = "require('node:crypto').pbkdf2Sync('a', 'b', 2e6, 64, 'sha512'); process.exit(7)";
    const native = await subject(t, script);
    const ended = once(native.child, 'exit');
    await native.look(100);
    assert.deepEqual(await ended, [7, null]);
  });

  test('is looked at again and again, and goes on in between', async (t) => {
    const spinning = await subject(t, 'for (;;);');
    for (let turn = 0; turn < 20; turn++) await isIn(spinning, 'later');
  });

  test('is gone', async (t) => {
    const { child, look } = await subject(t, '');
    await once(child, 'exit');
    assert.equal((await look()).state, 'unknown');
  });
});

/** Asks every listener of the loopback for a debugger, for as long as it lives, and writes what it finds. */
const poller = `
const { readFileSync } = require('node:fs');
const { get } = require('node:http');
const ask = (port) => new Promise((resolve) => get({ host: '127.0.0.1', port, path: '/json/list', agent: false, timeout: 500 },
  (response) => {
    let text = '';
    response.setEncoding('utf8').on('data', (part) => { text += part; }).on('end', () => {
      if (text.includes('webSocketDebuggerUrl')) process.stdout.write(text.replaceAll('\\n', ' ') + '\\n');
      resolve();
    }).on('error', resolve);
  }).on('error', resolve).on('timeout', function () { this.destroy(); }));
(async () => {
  process.stdout.write('polls\\n');
  for (;;) {
    const rows = readFileSync('/proc/net/tcp', 'utf8').split('\\n').filter((row) => / 0A /.test(row));
    await Promise.all(rows.map((row) => ask(Number.parseInt(row.trim().split(/\\s+/)[1].slice(9), 16))));
  }
})();`;
const nobody = 65534;

/** What another user of the machine finds of this process. */
async function otherUser(t: TestContext, pid: number): Promise<() => string[]> {
  const child = spawn(process.execPath, ['-e', poller], {
    ...{ uid: nobody, gid: nobody, cwd: '/' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.after(() => child.kill('SIGKILL'));
  const lines: string[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => lines.push(line));
  await waitFor('the other user', () => lines.length > 0, { timeout: patience });
  return () => lines.filter((line) => line.includes(`[${pid}]`));
}

const asRoot = skip || (process.getuid?.() !== 0 && 'needs root, to be another user');

describe('another user of the machine, who asks every port of the loopback for a debugger', {
  skip: asRoot,
}, () => {
  test('finds none while a process is looked at, and nothing listens', async (t) => {
    const spinning = await subject(t, 'for (;;);');
    const found = await otherUser(t, spinning.pid);
    for (let turn = 0; turn < 20; turn++) {
      await isIn(spinning, 'later');
      assert.deepEqual(listenersOf(spinning.pid), []);
    }
    assert.deepEqual(found(), []);
    assert.equal(spinning.stderr(), '');
  });

  test('would find one that listens', async (t) => {
    const open = await subject(t, 'for (;;);', ['--inspect=0']);
    const found = await otherUser(t, open.pid);
    await waitFor('the debugger', () => found().length > 0, { timeout: patience });
  });
});
