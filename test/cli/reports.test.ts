import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { eventsCommand } from '../../src/cli/events.js';
import { historyCommand } from '../../src/cli/history.js';
import { runningConfigCommand } from '../../src/cli/running-config.js';
import type { ControlEvent } from '../../src/control/api.js';
import type { ReloadRecord } from '../../src/core/reload-record.js';
import { paperSession, record } from './paper-session.js';

describe('rom-agent history', () => {
  const history = async () => [
    record({ generation: 4, from: 3, verdict: 'rolled-back', reason: 'worker 1 died', lost: 1 }),
    record(),
  ];

  test('lists the reloads in columns', async () => {
    const session = paperSession({ history });
    await historyCommand(session, undefined, {});
    const [head, first, second, end] = session.out().split('\n');
    assert.match(head ?? '', /^GENERATION {2}WHEN +BY +TOOK +VERDICT +ACCEPTED +MOVED +LOST +REASON$/);
    assert.match(
      first ?? '',
      /^ +4 {2}2026-11-23 12:00:03 {2}alice {2}1\.2 s {2}rolled back .* 1 {2}worker 1/,
    );
    assert.match(second ?? '', /^ +3 .* done +31 +2 +0$/);
    assert.equal(end, '');
  });

  test('lists the newest only, as many as are asked for', async () => {
    const session = paperSession({ history });
    await historyCommand(session, undefined, { number: '1', json: true });
    assert.deepEqual(
      JSON.parse(session.out()).map(({ generation }: ReloadRecord) => generation),
      [4],
    );
  });

  test('prints the steps of one', async () => {
    const session = paperSession({ history });
    await historyCommand(session, '3', {});
    assert.match(session.out(), /^from generation 2 to 3, 2026-11-23 12:00:03, by alice: \/srv/);
    assert.match(session.out(), /^ +0\.01 s {2}forked {4}worker 1, generation 3$/m);
  });

  test('says which there are where one is not among them', async () => {
    await assert.rejects(historyCommand(paperSession({ history }), '9', {}), {
      exitCode: 64,
      message: 'history: there is no reload to generation 9; expected one of 4, 3',
    });
    await assert.rejects(historyCommand(paperSession({ history }), undefined, { number: '0' }), {
      message: 'history: --number "0" is not right: expected a number from 1',
    });
  });
});

describe('rom-agent events', () => {
  const all: readonly ControlEvent[] = [
    { type: 'service', status: 'serving', wanted: 2 },
    { type: 'worker', worker: 2, pid: 4712, generation: 3, phase: 'ready' },
    { type: 'worker', worker: 1, pid: null, generation: 3, phase: 'starting' },
    { type: 'step', generation: 3, step: { at: 12, step: 'forked', worker: 1, generation: 3, detail: '' } },
    { type: 'record', record: record() },
  ];
  const events = async (onEvent: (event: ControlEvent) => void) => all.forEach(onEvent);

  test('prints a line an event, and that the daemon ended', async () => {
    const session = paperSession({ events });
    assert.equal(await eventsCommand(session, {}), 0);
    const lines = session.out().replaceAll(/^\d\d:\d\d:\d\d {2}/gm, '');
    assert.equal(
      lines,
      `service   serving, 2 wanted
worker 2  ready     pid 4712, generation 3
worker 1  starting  generation 3
reload    0.01 s  forked    worker 1, generation 3
reload    generation 3 done in 1.2 s (31 connections accepted, 2 requests in flight moved, 0 lost)
`,
    );
    assert.equal(session.warnings.length, 1);
  });

  test('prints JSON as it came', async () => {
    const session = paperSession({ events });
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
      const session = paperSession({ events: untilAborted });
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
    const session = paperSession({ config });
    await runningConfigCommand(session, {});
    assert.match(session.out(), /^drain_timeout {2}2m +--drain-timeout$/m);
    assert.match(session.out(), /^from_tomorrow {2}\[1\] +default$/m);
  });
});
