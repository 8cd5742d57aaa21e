import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { reloadCommand } from '../../../src/cli/act/reload.js';
import { changeOf, restartCommand, scaleCommand, stopCommand } from '../../../src/cli/act/workers.js';
import { whoAsks } from '../../../src/cli/session.js';
import { exitCodes, RomAgentError } from '../../../src/errors.js';
import type { ReloadLine } from '../../../src/protocol/control-api.js';
import type { ReloadRecord, ReloadStep } from '../../../src/protocol/reload-record.js';
import { fakeSession, inTurn, record, stats, worker } from './fake-session.js';

const gone = new RomAgentError('no rom-agent runs', { exitCode: exitCodes.addressInUse });

function rolledBack(reason: string): readonly ReloadStep[] {
  const of = { worker: null, generation: null };
  return [
    { atMs: 0, step: 'begun', ...of, detail: '/srv/shop/releases/43/server.js' },
    { atMs: 200, step: 'died', worker: 1, generation: 3, detail: 'Error: no database' },
    { atMs: 200, step: 'rollback', ...of, detail: reason },
    { atMs: 1234, step: 'verdict', ...of, detail: `rolled-back: ${reason}` },
  ];
}

describe('rom-agent reload', () => {
  const quick = { soak: false, rollback: true };
  const answer: ReloadLine = {
    type: 'answer',
    accepted: true,
    message: 'generation 3',
    serial: 12,
    generation: 3,
    needRestart: [],
  };
  const reloading =
    (last: ReloadRecord, first: ReloadLine = answer) =>
    async (_: unknown, onLine: (line: ReloadLine) => void) => {
      onLine(first);
      for (const step of last.steps) onLine({ type: 'step', generation: 3, step });
      onLine({ type: 'record', record: last });
      return last;
    };

  test('prints a line a step and what came of it', async () => {
    const session = fakeSession({ reload: reloading(record()) });
    assert.equal(await reloadCommand(session, quick), 0);
    assert.deepEqual(session.out().split('\n'), [
      'reload 12 to generation 3',
      '    0.00 s  begun     /srv/shop/releases/43/server.js',
      '    0.01 s  forked    worker 1, generation 3',
      'generation 3 done in 1.2 s (31 connections accepted, 2 requests in flight moved, 0 lost)',
      '',
    ]);
  });

  for (const [verdict, exitCode, words] of [
    ['rolled-back', 70, /^generation 3 rolled back after 1\.2 s: worker 1 died \(/m],
    ['stopped', 75, /^generation 3 stopped after 1\.2 s: worker 1 died \(/m],
  ] as const) {
    test(`ends with ${exitCode} where the verdict is ${verdict}`, async () => {
      const session = fakeSession({ reload: reloading(record({ verdict, reason: 'worker 1 died' })) });
      assert.equal(await reloadCommand(session, quick), exitCode);
      assert.match(session.out(), words);
    });
  }

  test('gives the reason of a rollback once', async () => {
    const reason = 'worker 1 of generation 3 could not start: Error: no database';
    const last = record({ verdict: 'rolled-back', reason, steps: rolledBack(reason) });
    const session = fakeSession({ reload: reloading(last) });
    await reloadCommand(session, quick);
    assert.deepEqual(session.out().split('\n').slice(1, -1), [
      '    0.00 s  begun     /srv/shop/releases/43/server.js',
      '    0.20 s  died      worker 1, generation 3: Error: no database',
      '    0.20 s  rollback  worker 1 of generation 3 could not start',
      'generation 3 rolled back after 1.2 s (31 connections accepted, 2 requests in flight moved, 0 lost)',
    ]);
  });

  test('hands on who asks and how', async () => {
    const asked: unknown[] = [];
    const reload = async (options: unknown) => {
      asked.push(options);
      return record();
    };
    await reloadCommand(fakeSession({ reload }), { soak: false, rollback: false });
    assert.deepEqual(asked, [{ by: 'alice', soak: false, rollback: false }]);
  });

  test('warns of settings that need a restart', async () => {
    const first = { ...answer, needRestart: ['port', 'dispatch'] };
    const session = fakeSession({ reload: reloading(record(), first) });
    await reloadCommand(session, quick);
    assert.match(session.warnings.join(), /take effect only after a restart: port, dispatch$/);
  });

  test('prints each line as JSON, and nothing else, where that is asked for', async () => {
    const session = fakeSession({ reload: reloading(record()) });
    assert.equal(await reloadCommand(session, { ...quick, json: true }), 0);
    const lines = session
      .out()
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    assert.deepEqual(
      lines.map(({ type }) => type),
      ['answer', 'step', 'step', 'step', 'record'],
    );
  });

  test('leaves the reload alone at Ctrl-C, and says so', async () => {
    const session = fakeSession({ reload: () => new Promise(() => {}) });
    const ending = reloadCommand(session, quick);
    session.interrupt();
    assert.equal(await ending, 130);
    assert.match(session.warnings.join(), /continues in the daemon; rom-agent abort/);
  });
});

describe('rom-agent scale', () => {
  for (const [size, change] of [
    ['4', { to: 4 }],
    ['+1', { add: 1 }],
    ['-12', { add: -12 }],
  ] as const) {
    test(`reads ${size}`, () => assert.deepEqual(changeOf(size), change));
  }

  for (const size of ['0', '-0', 'x', '1.5', '++1', '', '1e3', '99999']) {
    test(`does not read "${size}"`, () => {
      assert.throws(() => changeOf(size), { exitCode: 64, message: /is not right: expected a number/ });
    });
  }

  const scale = async () => 'from 2 to 3 workers';

  test('waits until as many workers are ready as are wanted', async () => {
    const status = inTurn(
      stats({ wanted: 3 }),
      stats({ wanted: 3 }),
      stats({ wanted: 3, ready: 3, workers: [worker(1), worker(4, { phase: 'draining' })] }),
    );
    const session = fakeSession({ scale, status });
    assert.equal(await scaleCommand(session, '+1', { wait: true }), 0);
    assert.equal(session.out(), 'from 2 to 3 workers\n3 workers ready, 1 still draining\n');
    assert.equal(session.slept(), 100);
  });

  test('waits for the verdict of a reload for as long as it takes', async () => {
    const under = stats({ lastReload: record({ verdict: null, tookMs: null }) });
    const status = inTurn(...Array.from({ length: 1000 }, () => under), stats({ wanted: 3, ready: 3 }));
    const session = fakeSession({ scale, status });
    assert.equal(await scaleCommand(session, '3', { wait: true }), 0);
    assert.match(session.out(), /3 workers ready/);
  });

  test('gives up some time after boot_timeout, with 75', async () => {
    const config = async () => ({ boot_timeout: { value: 2000, from: 'default' } });
    const session = fakeSession({ scale, config, status: inTurn(stats({ wanted: 3 })) });
    await assert.rejects(scaleCommand(session, '3', { wait: true }), {
      exitCode: 75,
      message: 'scale: only 2 of 3 workers are ready after 12 s; see the log',
    });
    assert.equal(session.slept(), 12_000);
  });

  test('does not wait where that is not wanted', async () => {
    assert.equal(await scaleCommand(fakeSession({ scale }), '3', { wait: false }), 0);
  });
});

describe('rom-agent restart', () => {
  const restart = async () => 'worker 2 is being replaced';
  const old = worker(2);
  const starting = worker(2, { pid: null, phase: 'starting' });
  const fresh = worker(2, { pid: 4800 });
  const of = (...workers: ReturnType<typeof worker>[]) => stats({ workers: [worker(1), ...workers] });

  test('waits until another process is ready in its place', async () => {
    const status = inTurn(of(old), of(old, starting), of(old, { ...starting, pid: 4800 }), of(old, fresh));
    const session = fakeSession({ restart, status });
    assert.equal(await restartCommand(session, '2'), 0);
    assert.equal(session.out(), 'worker 2 is being replaced\nworker 2 is ready, pid 4800\n');
  });

  test('fails with 70 where the new one ended and the old one stays', async () => {
    const session = fakeSession({ restart, status: inTurn(of(old), of(old, starting), of(old)) });
    await assert.rejects(restartCommand(session, '2'), { exitCode: 70, message: /pid 4712 keeps serving/ });
  });

  test('waits for the next one where the old one has died too', async () => {
    const session = fakeSession({ restart, status: inTurn(of(old), of(starting), of(), of(fresh)) });
    assert.equal(await restartCommand(session, '2'), 0);
  });

  test('refuses what is no number with 64', async () => {
    await assert.rejects(restartCommand(fakeSession({}), 'two'), { exitCode: 64, message: /"two"/ });
  });
});

describe('rom-agent stop', () => {
  const stop = async () => {};

  test('waits until nobody answers and the process is gone', async () => {
    const went = new RomAgentError('went away', { exitCode: exitCodes.tryAgain });
    const status = inTurn(stats(), stats({ status: 'stopping' }), went, gone);
    const session = fakeSession({ stop, status }, { alive: (slept) => slept < 500 });
    assert.equal(await stopCommand(session), 0);
    assert.equal(session.slept(), 500);
    assert.match(session.out(), /^pid 4700 is draining its workers\nstopped: .*does not restart it\n$/);
  });

  test('asks again where the daemon hangs up or is too busy to answer', async () => {
    const went = new RomAgentError('went away', { exitCode: exitCodes.tryAgain });
    const session = fakeSession({ stop, status: inTurn(stats(), went, went, gone) });
    assert.equal(await stopCommand(session), 0);
    assert.equal(session.slept(), 200);
  });

  test('is done where another daemon answers', async () => {
    const next = stats({ master: { ...stats().master, pid: 9 } });
    assert.equal(await stopCommand(fakeSession({ stop, status: inTurn(stats(), next) })), 0);
  });

  test('gives up some time after drain_timeout, with 75', async () => {
    const session = fakeSession({ stop, status: inTurn(stats()) });
    await assert.rejects(stopCommand(session), { exitCode: 75, message: /pid 4700 still runs after 40 s/ });
  });
});

describe('who asks', () => {
  const user = () => 'www';
  for (const [env, atTerminal, expected] of [
    [{}, false, 'www'],
    [{ SUDO_USER: 'alice', INVOCATION_ID: '1' }, false, 'alice'],
    [{ INVOCATION_ID: '1' }, false, 'systemctl'],
    [{ INVOCATION_ID: '1' }, true, 'www'],
  ] as const) {
    test(`is ${expected} with ${JSON.stringify(env)}${atTerminal ? ' at a terminal' : ''}`, () => {
      assert.equal(whoAsks({ env, user, atTerminal }), expected);
    });
  }
});
