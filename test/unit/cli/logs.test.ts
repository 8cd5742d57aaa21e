import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type LogsFlags, logsCommand } from '../../../src/cli/look/logs.js';
import type { LogLine } from '../../../src/protocol/log-line.js';
import type { WhyLine } from '../../../src/protocol/why.js';
import { fakeSession, stats, worker } from './fake-session.js';

/** What `journalctl --reverse` prints, the newest first. */
const journal = [
  { MESSAGE: 'tea is out', _PID: '4712' },
  { MESSAGE: 'worker 1 is ready role=master pid=4700', _PID: '4700' },
  { MESSAGE: 'no milk', _PID: '4600' },
  { MESSAGE: 'from a child of the app', _PID: '99' },
].map((entry, index) =>
  JSON.stringify({
    ...entry,
    PRIORITY: '6',
    __REALTIME_TIMESTAMP: `${9_000_000 - index * 1_000_000}`,
    __CURSOR: `${index}`,
  }),
);

const gone: WhyLine = {
  at: new Date(1_000).toISOString(),
  worker: 1,
  pid: 4600,
  generation: 1,
  kind: 'died',
  text: 'worker 1 crashed',
  cause: null,
  advice: null,
};

describe('rom-agent logs of the journal', () => {
  const path = process.env.PATH;
  let folder = '';
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'rom-agent-journal-'));
    const script = `#!/bin/sh\ncat <<'END'\n${journal.join('\n')}\nEND\n`;
    writeFileSync(join(folder, 'journalctl'), script, { mode: 0o755 });
    process.env.PATH = `${folder}:${path}`;
  });
  after(() => {
    process.env.PATH = path;
    rmSync(folder, { recursive: true, force: true });
  });

  const shown = async (flags: { worker?: string }) => {
    const session = fakeSession({
      logs: async ({ onLine }) =>
        onLine({
          type: 'source',
          source: { kind: 'journal', unit: 'shop.service', ofUser: false },
          lines: 0,
        }),
      why: async () => ({ lines: [gone], problem: null }),
      status: async () => stats({ workers: [worker(1), worker(2)] }),
    });
    assert.equal(await logsCommand(session, { lines: '50', ...flags }), 0);
    return session
      .out()
      .trimEnd()
      .split('\n')
      .map((line) => line.replace(/^.*? INFO +/, ''));
  };

  test('says of what the app printed which worker it is from, one that is gone as well', async () => {
    assert.deepEqual(await shown({}), [
      'pid 99   from a child of the app',
      'worker 1 no milk',
      'master   worker 1 is ready',
      'worker 2 tea is out',
    ]);
  });

  test('shows with --worker what the app printed in it', async () => {
    assert.deepEqual(await shown({ worker: '2' }), ['worker 2 tea is out']);
    assert.deepEqual(await shown({ worker: '1' }), ['worker 1 no milk', 'master   worker 1 is ready']);
  });
});

describe('rom-agent logs of a daemon that keeps its log nowhere', () => {
  const levels = ['warn', 'info', 'error', 'info', 'info'] as const;
  const line = (nth: number, level: LogLine['level']): LogLine => ({
    ...{ atMs: nth * 1_000, level, worker: null, pid: 1, from: 'master' },
    ...{ message: `line ${nth}`, fields: {} },
  });
  const shown = async (flags: Partial<LogsFlags>, later: readonly LogLine[] = []) => {
    const session = fakeSession({
      logs: async ({ lines, onLine }) => {
        const kept = lines === 0 ? [] : levels.map((level, nth) => line(nth, level)).slice(-lines);
        onLine({ type: 'source', source: { kind: 'none' }, lines: kept.length });
        for (const each of [...kept, ...later]) onLine({ type: 'line', line: each });
      },
    });
    await logsCommand(session, { lines: '50', ...flags });
    return session.out().match(/line \d/g) ?? [];
  };

  test('gives as many lines of a level as are wanted, however many others came after them', async () => {
    assert.deepEqual(await shown({ lines: '2', level: 'warn' }), ['line 0', 'line 2']);
    assert.deepEqual(await shown({ lines: '1', level: 'warn' }), ['line 2']);
    assert.deepEqual(await shown({ lines: '2' }), ['line 3', 'line 4']);
  });

  test('goes on with each new line of the level, however few are wanted of the old ones', async () => {
    const later = [line(5, 'warn'), line(6, 'info'), line(7, 'error')];
    const found = await shown({ lines: '1', level: 'warn', follow: true }, later);
    assert.deepEqual(found, ['line 2', 'line 5', 'line 7']);
  });
});
