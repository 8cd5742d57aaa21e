import assert from 'node:assert/strict';
import { execFile, spawn, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { ReloadRecord } from '../../../src/protocol/reload-record.js';
import { type Daemon, plainEnvironment, startDaemon } from '../../support/process.js';
import { waitFor } from '../../support/wait.js';
import { folder, type Opened, opened } from '../control/place.js';
import { record } from './fake-session.js';
import { type RanHere, runHere } from './in-process.js';

/** As compiled beside this test. */
const script = fileURLToPath(new URL('../../../src/cli/main.js', import.meta.url));

const hasScript = /util-linux/.test(spawnSync('script', ['--version'], { encoding: 'utf8' }).stdout ?? '');

/** In a process of its own, which can be sent a signal. */
function run(t: TestContext, path: string, ...args: readonly string[]): Daemon {
  return startDaemon({ t, script, args, env: environment(path), cwd: folder(t) });
}

/** In this one. */
function here(t: TestContext, path: string, ...args: readonly string[]): Promise<RanHere> {
  return runHere(t, args, { ...plainEnvironment(), ...environment(path) }).ended;
}

function environment(path: string): Readonly<Record<string, string>> {
  return { ROM_AGENT_CONTROL_SOCKET: path, SUDO_USER: 'alice' };
}

function linesOf(text: string): readonly string[] {
  return text.split('\n').filter((line) => line !== '');
}

/** Has the daemon play a reload to its end once a command follows it. */
async function reloadEndsWith(daemon: Opened, more: Partial<ReloadRecord>): Promise<void> {
  await waitFor('the command to listen', () => daemon.listeners.size === 1);
  const last = record({ ...more, generation: 3 });
  for (const step of last.steps) daemon.emit({ type: 'step', generation: 3, step });
  daemon.emit({ type: 'record', record: last });
}

describe('the commands, over a control socket', () => {
  test('status prints what the daemon says', async (t) => {
    const { path } = await opened(t);
    const { code, out, err } = await here(t, path, 'status');
    assert.equal(code, 0);
    assert.match(out, /^service +serving, mode cluster, generation \d+$/m);
    assert.equal(err, '');
  });

  for (const [verdict, code] of [
    ['done', 0],
    ['rolled-back', 70],
    ['stopped', 75],
  ] as const) {
    test(`reload follows it to its end, and ends with ${code} for ${verdict}`, async (t) => {
      const daemon = await opened(t);
      const reload = here(t, daemon.path, 'reload', '--no-soak');
      await reloadEndsWith(daemon, { verdict, reason: verdict === 'done' ? null : 'worker 1 died' });
      const ran = await reload;
      assert.equal(ran.code, code);
      assert.deepEqual(daemon.calls, [['reload', { by: 'alice', soak: false, rollback: true }]]);
      assert.equal(linesOf(ran.err).length, 1);
      const [first = '', , third = ''] = linesOf(ran.out);
      assert.match(first, /^reload 12 to generation 3$/);
      assert.match(third, /forked +worker 1, generation 3$/);
    });
  }

  test('reload says why it was refused, and ends with 75', async (t) => {
    const daemon = await opened(t);
    daemon.reload = async () => ({ accepted: false, reason: 'reload: the service is stopping' });
    const { code, out, err } = await here(t, daemon.path, 'reload');
    assert.deepEqual([code, out, err], [75, '', 'rom-agent: reload: the service is stopping\n']);
  });

  test('reload leaves the daemon to it at Ctrl-C, and ends with 130', async (t) => {
    const daemon = await opened(t);
    const reload = run(t, daemon.path, 'reload');
    await reload.waitForLine(/^reload 12 to generation 3$/);
    reload.killGroup('SIGINT');
    assert.deepEqual(await reload.waitForExit(), { code: 130, signal: null });
    assert.match(reload.stderr.join('\n'), /the reload continues/);
    assert.equal(daemon.calls.length, 1);
  });

  test('scale takes a change that begins with a minus', async (t) => {
    const daemon = await opened(t);
    assert.equal((await here(t, daemon.path, 'scale', '-1', '--no-wait')).code, 0);
    assert.deepEqual(daemon.calls, [['scale', { add: -1 }, 'alice']]);
  });

  test('scale says what the daemon refused, with 75', async (t) => {
    const daemon = await opened(t);
    daemon.answer = { accepted: false, reason: 'scale: 0 workers; expected 1 to 1024' };
    const { code, out, err } = await here(t, daemon.path, 'scale', '-1');
    assert.deepEqual([code, out, err], [75, '', 'rom-agent: scale: 0 workers; expected 1 to 1024\n']);
  });

  test('events end at Ctrl-C with 0', async (t) => {
    const daemon = await opened(t);
    const events = run(t, daemon.path, 'events', '--json');
    await waitFor('the command to listen', () => daemon.listeners.size === 1);
    daemon.emit({ type: 'service', status: 'serving', wanted: 2 });
    await events.waitForLine(/^\{"type":"service","status":"serving","wanted":2\}$/);
    events.killGroup('SIGINT');
    assert.deepEqual(await events.waitForExit(), { code: 0, signal: null });
    assert.equal(events.stderr.length, 0);
  });

  test('--watch ends at Ctrl-C with 0', async (t) => {
    const { path } = await opened(t);
    const watch = run(t, path, 'status', '--watch', '--json');
    await watch.waitForLine(/^\{"status":/);
    watch.killGroup('SIGINT');
    assert.deepEqual(await watch.waitForExit(), { code: 0, signal: null });
  });
});

describe('a terminal', { skip: hasScript ? false : 'there is no script(1) of util-linux here' }, () => {
  test('that does not know its width is drawn over all the same', async (t) => {
    const { path } = await opened(t);
    const line = `'${process.execPath}' '${script}' status --watch --control-socket '${path}'`;
    const env = { ...plainEnvironment(), TERM: 'xterm' };
    const child = spawn('script', ['-qec', line, '/dev/null'], { env, stdio: ['ignore', 'pipe', 'ignore'] });
    // The terminal goes with it, and so what runs in there.
    t.after(() => child.kill('SIGKILL'));
    let drawn = '';
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      drawn += chunk.replaceAll('\x1b', '<');
    });
    await waitFor('the second drawing', () => /<\[\d+A\r<\[Jservice .*<\[32mserving<\[39m/.test(drawn));
  });

  test('has no colours where NO_COLOR is set', async (t) => {
    const { path } = await opened(t);
    const line = `NO_COLOR=1 '${process.execPath}' '${script}' status`;
    const drawn = await pipe(`TERM=xterm script -qec "${line}" /dev/null`, path);
    assert.match(drawn, /^service +serving/m);
    assert.ok(!drawn.includes('\x1b'));
  });
});

describe('the commands, without a daemon', () => {
  for (const args of [
    ['status'],
    ['reload'],
    ['abort'],
    ['scale', '2'],
    ['restart', '1'],
    ['stop'],
    ['history'],
    ['events'],
    ['config'],
  ]) {
    test(`${args[0]} says so in a sentence and ends with 69`, async (t) => {
      const { code, out, err } = await here(t, join(folder(t), 'none.sock'), ...args);
      assert.deepEqual([code, out, linesOf(err).length], [69, '', 1]);
      assert.match(err, /^rom-agent: the service is not running: /);
    });
  }

  test('an argument that cannot be read ends with 64', async (t) => {
    assert.equal((await here(t, '/nowhere', 'scale', 'x')).code, 64);
  });
});

describe('a reader that goes away', () => {
  for (const [title, command] of [
    ['of status --watch ends it', 'status --watch --json'],
    ['of a completion is no error', 'completion bash'],
    ['of check is no error', 'check'],
    ['of the help is no error', '--help'],
  ]) {
    test(title, async (t) => {
      const { path } = await opened(t);
      assert.equal(await pipe(`'${process.execPath}' '${script}' ${command} | true`, path), '0\n');
    });
  }
});

/** What bash prints: the exit status of the pipe's first command, after its complaints. */
async function pipe(line: string, path: string): Promise<string> {
  const env = { ...plainEnvironment(), ROM_AGENT_CONTROL_SOCKET: path };
  const { stdout, stderr } = await promisify(execFile)('bash', ['-c', `${line}; echo \${PIPESTATUS[0]}`], {
    env,
    timeout: 120_000,
  });
  return `${stderr}${stdout}`;
}
