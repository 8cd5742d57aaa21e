import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { historyCommand } from '../../../src/cli/act/reload.js';
import { eventsCommand } from '../../../src/cli/look/status.js';
import { runningConfigCommand } from '../../../src/cli/start/config.js';
import type { ControlEvent } from '../../../src/protocol/control-api.js';
import type { ReloadRecord } from '../../../src/protocol/reload-record.js';
import { fakeSession, record } from './fake-session.js';

describe('rom-agent history', () => {
  const history = async () => [
    record({ serial: 13, generation: 2, from: 1, verdict: 'rolled-back', reason: 'worker 1 died', lost: 1 }),
    record(),
  ];

  test('lists the reloads in columns', async () => {
    const session = fakeSession({ history });
    await historyCommand(session, undefined, {});
    const [head, first, second, end] = session.out().split('\n');
    assert.match(head ?? '', /^NO {2}WHEN +BY +TOOK +VERDICT +GEN +ACCEPTED +MOVED +LOST +REASON$/);
    assert.match(
      first ?? '',
      /^13 {2}2026-11-23 12:00:03 {2}alice {2}1\.2 s {2}rolled back .* 1 {2}worker 1/,
    );
    assert.match(second ?? '', /^12 .* done +3 +31 +2 +0$/);
    assert.equal(end, '');
  });

  test('lists the newest only, as many as are asked for', async () => {
    const session = fakeSession({ history });
    await historyCommand(session, undefined, { number: '1', json: true });
    assert.deepEqual(
      JSON.parse(session.out()).map(({ serial }: ReloadRecord) => serial),
      [13],
    );
  });

  test('puts long reasons below, where a terminal is too narrow for them', async () => {
    const session = fakeSession({ history }, { interactive: true, columns: 80 });
    await historyCommand(session, undefined, {});
    const lines = session.out().trimEnd().split('\n');
    assert.equal(lines.length, 4);
    assert.equal(lines[2], '    worker 1 died');
    assert.ok(
      lines.every((line) => line.length <= 80),
      session.out(),
    );
  });

  test('prints the steps of one, by its number, which generations of other masters cannot confuse', async () => {
    const session = fakeSession({ history });
    await historyCommand(session, '12', {});
    assert.match(session.out(), /^reload 12 from generation 2 to 3, 2026-11-23 12:00:03, by alice: \/srv/);
    assert.match(session.out(), /^ +0\.01 s {2}forked {4}worker 1, generation 3$/m);
  });

  test('says which there are where one is not among them', async () => {
    await assert.rejects(historyCommand(fakeSession({ history }), '9', {}), {
      exitCode: 64,
      message: 'history: no reload has the number 9; expected one of 13, 12',
    });
    await assert.rejects(historyCommand(fakeSession({ history }), undefined, { number: '0' }), {
      message: 'history: --number "0" is not right: expected a number from 1',
    });
  });
});

describe('rom-agent events', () => {
  const event = {
    type: 'worker',
    worker: 1,
    pid: 4711,
    generation: 3,
    phase: 'ready',
    reason: null,
    ending: null,
  } as const;
  const ending = { kind: 'drained', cause: null, code: null, signal: null, lost: 0 } as const;
  const all: readonly ControlEvent[] = [
    { type: 'service', status: 'serving', wanted: 2 },
    { ...event, worker: 2, pid: 4712, phase: 'ready' },
    { ...event, pid: null, phase: 'starting' },
    { ...event, phase: 'starting' },
    { ...event, phase: 'gone', ending: { ...ending, kind: 'crash', signal: 'SIGKILL' } },
    { ...event, phase: 'draining', reason: 'Error: boom' },
    {
      ...event,
      phase: 'gone',
      ending: { ...ending, kind: 'crash', cause: 'Error: boom', code: 70, lost: 1 },
    },
    { ...event, worker: null, phase: 'gone', ending: { ...ending, kind: 'boot', code: 3 } },
    { ...event, phase: 'gone', ending: { ...ending, kind: 'drained', code: 0 } },
    { type: 'step', generation: 3, step: { atMs: 12, step: 'forked', worker: 1, generation: 3, detail: '' } },
    { type: 'record', record: record() },
  ];
  const events = async (onEvent: (event: ControlEvent) => void) => all.forEach(onEvent);

  test('prints a line an event, and that the daemon ended', async () => {
    const session = fakeSession({ events });
    assert.equal(await eventsCommand(session, {}), 0);
    const lines = session.out().replaceAll(/^\d\d:\d\d:\d\d {2}/gm, '');
    assert.equal(
      lines,
      `service   serving, 2 wanted
worker 2  ready     pid 4712, generation 3
worker 1  starting  pid 4711, generation 3
worker 1  crashed   pid 4711, generation 3: SIGKILL, 0 requests lost
worker 1  draining  pid 4711, generation 3: Error: boom
worker 1  crashed   pid 4711, generation 3: Error: boom, code 70, 1 request lost
a spare   failed    pid 4711, generation 3: code 3, 0 requests lost
worker 1  drained   pid 4711, generation 3: 0 requests lost
reload    0.01 s  forked    worker 1, generation 3
reload    generation 3 done in 1.2 s (31 connections accepted, 2 requests in flight moved, 0 lost)
`,
    );
    assert.equal(session.warnings.length, 1);
  });

  test('prints JSON as it came', async () => {
    const session = fakeSession({ events });
    await eventsCommand(session, { json: true });
    const lines = session
      .out()
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    assert.deepEqual(lines, all);
  });

  for (const ending of ['interrupt', 'leave'] as const) {
    test(`ends quietly at ${ending}`, async () => {
      const untilAborted = (_: unknown, signal?: AbortSignal) =>
        new Promise<void>((resolve) => signal?.addEventListener('abort', () => resolve()));
      const session = fakeSession({ events: untilAborted });
      const ended = eventsCommand(session, {});
      session[ending]();
      assert.equal(await ended, 0);
      assert.deepEqual(session.warnings, []);
    });
  }
});

describe('rom-agent config', () => {
  test('shows values as check does, and those of settings that it does not know', async () => {
    const config = async () => ({
      drain_timeout: { value: 120_000, from: '--drain-timeout' },
      from_tomorrow: { value: [1], from: 'default' },
    });
    const session = fakeSession({ config });
    await runningConfigCommand(session, {});
    assert.match(session.out(), /^drain_timeout {2}2m +--drain-timeout$/m);
    assert.match(session.out(), /^from_tomorrow {2}\[1\] +default$/m);
    const short = fakeSession({
      config: async () => ({ port: { value: 3000, from: 'default' }, ...(await config()) }),
    });
    await runningConfigCommand(short, { changed: true });
    assert.doesNotMatch(short.out(), /^port/m);
    assert.match(short.out(), /^drain_timeout/m);
  });
});
