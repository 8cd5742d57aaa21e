import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createTrends, cut, sparkline } from '../../../src/cli/look/live.js';
import { overview, statusCommand } from '../../../src/cli/look/status.js';
import { top, topCommand } from '../../../src/cli/look/top.js';
import { showsUnicode } from '../../../src/cli/output.js';
import { RomAgentError } from '../../../src/errors.js';
import type { ClusterStats } from '../../../src/protocol/stats.js';
import { fakeSession, stats, worker } from './fake-session.js';

const busy = worker(1, { requestsPerSecond: 80, eventLoopUtilization: 0.9, rssBytes: 60 * 2 ** 20 });
const idle = worker(2, { requestsPerSecond: 5, eventLoopUtilization: 0.05, rssBytes: 90 * 2 ** 20 });

/** Trends of so many looks at the same. */
function trendsOf(seen: ClusterStats, looks: number) {
  const trends = createTrends();
  for (let look = 0; look < looks; look++) trends.add(seen, look * 1_000);
  return trends;
}

describe('a sparkline', () => {
  test('has a step for each eighth, the lowest for nothing and the highest for all', () => {
    const values = [0, 1, 2, 3, 4, 5, 6, 7, 8];
    assert.equal(sparkline(values, { width: 9, top: 8, unicode: true }), '▁▁▂▃▄▅▆▇█');
    assert.equal(sparkline(values, { width: 9, top: 8, unicode: false }), '__.-:=+*#');
  });

  test('shows the last values, and begins with spaces while there are few', () => {
    assert.equal(sparkline([8, 0, 8], { width: 2, top: 8, unicode: true }), '▁█');
    assert.equal(sparkline([8], { width: 3, top: 8, unicode: true }), '  █');
  });

  test('stays in its range for values above the top, and where the top is nothing', () => {
    assert.equal(sparkline([99, -1], { width: 2, top: 8, unicode: true }), '█▁');
    assert.equal(sparkline([0, 0], { width: 2, top: 0, unicode: true }), '▁▁');
  });
});

describe('trends', () => {
  test('are kept for a minute', () => {
    assert.equal(trendsOf(stats(), 100).requestsPerSecond.length, 60);
  });

  test('begin anew with the next process of a slot', () => {
    const trends = trendsOf(stats({ workers: [worker(1)] }), 3);
    const next = worker(1, { pid: 9999 });
    trends.add(stats({ workers: [next] }), 3_000);
    assert.equal(trends.of(next).requestsPerSecond.length, 1);
    assert.equal(trends.of(worker(1)).requestsPerSecond.length, 0);
  });
});

describe('the locale', () => {
  test('says whether the terminal shows UTF-8, LC_ALL before LC_CTYPE before LANG', () => {
    assert.equal(showsUnicode({ LANG: 'pt_BR.UTF-8' }), true);
    assert.equal(showsUnicode({ LC_CTYPE: 'C.utf8', LANG: 'C' }), true);
    assert.equal(showsUnicode({ LC_ALL: 'C', LANG: 'en_US.UTF-8' }), false);
    assert.equal(showsUnicode({}), false);
    assert.equal(showsUnicode({ LANG: 'en_US.UTF-8', TERM: 'linux' }), false);
  });
});

describe('rom-agent top', () => {
  const view = (options: Parameters<typeof fakeSession>[1], seen = stats({ workers: [idle, busy] })) =>
    top({
      stats: seen,
      trends: trendsOf(seen, 3),
      note: null,
      order: 'u',
      terminal: fakeSession({}, options).terminal,
    });

  test('puts the busiest worker first', () => {
    const lines = view({}).split('\n');
    const heads = lines.findIndex((line) => line.includes('WORKER'));
    assert.match(lines[heads + 1] ?? '', /^ +1 +4711 /);
    assert.match(lines[heads + 2] ?? '', /^ +2 +4712 /);
  });

  test('names a worker whose heap grows, and what shows the reason', () => {
    const trends = createTrends();
    const at = (look: number) =>
      stats({ workers: [worker(1, { heapUsedBytes: (40 + look * 2) * 2 ** 20 }), worker(2)] });
    for (let look = 0; look < 20; look++) trends.add(at(look), look * 1_000);
    const { terminal } = fakeSession({});
    const text = top({ stats: at(19), trends, note: null, order: 'u', terminal });
    const words =
      'worker 1 looks like it leaks: its heap grew from 40 MiB to 72 MiB in 16 s and does not fall back; rom-agent heap-snapshot 1 says what keeps it';
    assert.ok(text.includes(`\n${words}\n`), text);
    assert.ok(overview(at(19), terminal, trends).includes(`memory    ${words}\n`));
    assert.ok(!view({}).includes('leaks'));
  });

  test('keeps to 80 columns, with the sparklines', () => {
    for (const unicode of [true, false]) {
      const lines = view({ interactive: true, columns: 80, unicode }).split('\n');
      assert.deepEqual(
        lines.filter((line) => line.length > 80),
        [],
      );
      assert.ok(lines.some((line) => line.includes(unicode ? '███' : '###')));
    }
  });

  test('has nothing but ASCII without UTF-8', () => {
    assert.match(view({ unicode: false }), /^[\x20-\x7e\n]*$/);
  });

  test('leaves out what an app has not that is no server', () => {
    const text = view({}, stats({ kind: 'process', workers: [idle, busy] }));
    assert.ok(!text.includes('REQ/S') && !text.includes('requests'), text);
    assert.match(text, /UTIL/);
  });

  test('sorts by the key that is pressed, and ends with q', async () => {
    let looks = 0;
    const seen: string[] = [];
    const session = fakeSession(
      {
        status: async () => {
          looks += 1;
          return stats({ workers: [busy, idle] });
        },
      },
      { interactive: true },
    );
    const { sleep } = session;
    const pressing = {
      ...session,
      sleep: async (ms: number) => {
        session.press('m');
        seen.push(session.screen() ?? '');
        session.press('q');
        await sleep(ms);
      },
    };
    assert.equal(await topCommand(pressing, {}), 0);
    assert.equal(looks, 1);
    assert.equal(session.screen(), null, 'the screen was closed');
    const lines = (seen[0] ?? '').split('\n');
    const heads = lines.findIndex((line) => line.includes('WORKER'));
    assert.match(lines[heads + 1] ?? '', /^ +2 /, seen[0]);
  });

  test('looks as often as it is asked to, in a pipe', async () => {
    const session = fakeSession({ status: async () => stats() });
    assert.equal(await topCommand(session, { number: '3' }), 0);
    assert.equal(session.out().match(/^service/gm)?.length, 3);
    assert.ok(!session.out().includes('\x1b'));
  });

  test('refuses a number of looks that is none', async () => {
    await assert.rejects(topCommand(fakeSession({}), { number: '0' }), /--number: "0" is not right/);
  });
});

describe('what is watched', () => {
  test('stays on the screen while the daemon does not answer, with a note', async () => {
    let looks = 0;
    const session = fakeSession({
      status: async () => {
        looks += 1;
        if (looks === 3) session.interrupt();
        if (looks === 2) throw new RomAgentError('no rom-agent runs', { exitCode: 69 });
        return stats();
      },
    });
    assert.equal(await statusCommand(session, { watch: true }), 0);
    assert.match(session.out(), /the daemon does not answer since .*: this is what it said last/);
  });

  test('is cut to the rows of a low terminal', () => {
    const { terminal } = fakeSession({}, { interactive: true, rows: 4 });
    assert.equal(cut('1\n2\n3\n', terminal), '1\n2\n3\n');
    assert.equal(cut('1\n2\n3\n4\n', terminal), '1\n2\n(2 more lines: the window is too low)\n');
  });
});
