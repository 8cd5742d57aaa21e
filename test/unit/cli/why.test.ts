import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { whyCommand } from '../../../src/cli/look/why.js';
import { exitCodes, RomAgentError } from '../../../src/errors.js';
import type { WhyLine, WhyQuery } from '../../../src/protocol/why.js';
import { fakeSession } from './fake-session.js';

/** At noon of this machine. */
const noon = new Date(2026, 10, 27, 12, 0, 0).getTime();

function line(second: number, text: string, more: Partial<WhyLine> = {}): WhyLine {
  return {
    at: new Date(noon + second * 1_000).toISOString(),
    worker: null,
    pid: null,
    generation: 1,
    kind: 'note',
    text,
    cause: null,
    advice: null,
    ...more,
  };
}

const lines: readonly WhyLine[] = [
  line(0, 'rom-agent 0.1.0 starts', { kind: 'master', cause: 'started by systemd' }),
  ...[1, 2, 3].map((worker) =>
    line(1, `worker ${worker} starts`, { kind: 'started', worker, cause: 'the service starts' }),
  ),
  line(5, 'worker 2 crashed after 4 s', {
    kind: 'died',
    worker: 2,
    pid: 17,
    cause: 'ended by SIGSEGV',
    advice: 'look at it',
  }),
  line(6, 'worker 2 is gone', { kind: 'gone', worker: 2, pid: 17, cause: 'ended by SIGSEGV' }),
  line(9, 'a reload to generation 2 begins', { kind: 'reload', cause: 'asked by \u001b[2Jalice' }),
];

function session(asked: WhyQuery[] = []) {
  return fakeSession({
    why: async (query) => {
      asked.push(query);
      return { lines, problem: null };
    },
  });
}

describe('rom-agent why', () => {
  test('prints the time, what, and why; alike lines of one second are one, and a cause is told once', async () => {
    const fake = session();
    assert.equal(await whyCommand(fake, {}), exitCodes.ok);
    assert.equal(
      fake.out(),
      [
        '2026-11-27',
        '12:00:00 rom-agent 0.1.0 starts: started by systemd',
        '12:00:01 worker 1 starts (and workers 2, 3): the service starts',
        '12:00:05 worker 2 (17) crashed after 4 s: ended by SIGSEGV',
        '         > look at it',
        '12:00:06 worker 2 (17) is gone',
        '12:00:09 a reload to generation 2 begins: asked by \\u001b[2Jalice',
        '',
      ].join('\n'),
    );
  });

  test('asks about a worker, a topic, or the last hours', async () => {
    const asked: WhyQuery[] = [];
    await whyCommand(session(asked), { number: '50' }, 'worker', '2');
    await whyCommand(session(asked), { since: '12h' });
    await whyCommand(session(asked), { since: '1d' });
    await whyCommand(session(asked), { since: '1950-01-01T00:00Z' });
    const fake = session(asked);
    await whyCommand(fake, { json: true }, 'reload');
    assert.deepEqual(asked, [
      { worker: 2, lines: 50 },
      { since: 43_200, lines: 200 },
      { since: 86_400, lines: 200 },
      { since: 315_360_000, lines: 200 },
      { lines: 10_000 },
    ]);
    const { lines: found } = JSON.parse(fake.out()) as { lines: WhyLine[] };
    assert.deepEqual(
      found.map(({ kind }) => kind),
      ['reload'],
    );
    const empty = session();
    await whyCommand(empty, { since: '30m' }, 'memory');
    assert.equal(empty.out(), 'nothing is recorded about memory, of the last 30m\n');
  });

  test('says what is right where a word is wrong', async () => {
    const wrong = async (flags: Record<string, string>, ...words: string[]) =>
      assert.rejects(whyCommand(session(), flags, ...words), { exitCode: exitCodes.usage });
    await wrong({}, 'weather');
    await wrong({}, 'reload', '3');
    await wrong({}, 'worker');
    await wrong({}, 'worker', 'two');
    await wrong({ since: '3' });
    await wrong({ number: '0' });
    await assert.rejects(whyCommand(session(), {}, 'weather'), {
      message:
        'why: "weather" is not right: expected one of worker NUMBER, reload, deaths, health, memory, scale, service',
    });
  });

  test('reads what a daemon has left that does not run any more, and tells that its end has no reason', async (t) => {
    const stateDir = mkdtempSync(join(tmpdir(), 'rom-agent-why-'));
    t.after(() => rmSync(stateDir, { recursive: true }));
    mkdirSync(join(stateDir, 'record'));
    const file = join(stateDir, 'record', 'decisions.ndjson');
    writeFileSync(file, lines.map((each) => `${JSON.stringify(each)}\n`).join(''));
    const fake = fakeSession({
      why: async () => {
        throw new RomAgentError('the service is not running: nobody is there; start it', {
          exitCode: exitCodes.addressInUse,
        });
      },
    });
    await whyCommand(fake, { stateDir }, 'service');
    assert.match(
      fake.out(),
      /rom-agent 0\.1\.0 starts: started by systemd\n(.*\n)*.* the master ended without a word/,
    );
    assert.deepEqual(fake.warnings, [
      `the service is not running: nobody is there: this is what ${stateDir} has`,
    ]);
  });

  test('tells where the record is not whole', async () => {
    const fake = fakeSession({
      why: async () => ({ lines: [], problem: 'the record cannot be written: ENOSPC' }),
    });
    await whyCommand(fake, {});
    assert.deepEqual(
      [fake.out(), fake.warnings],
      ['nothing is recorded\n', ['the record cannot be written: ENOSPC']],
    );
  });
});
