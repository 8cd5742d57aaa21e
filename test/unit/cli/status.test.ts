import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { overview, statusCommand } from '../../../src/cli/look/status.js';
import { height, table } from '../../../src/cli/output.js';
import { exitCodes, RomAgentError } from '../../../src/errors.js';
import type { CellStats, ClusterStats, DeathSummary } from '../../../src/protocol/stats.js';
import { anyCost } from '../../support/route-cost.js';
import { fakeSession, inTurn, record, stats, worker } from './fake-session.js';

function death(more: Partial<DeathSummary> = {}): DeathSummary {
  return {
    agoSeconds: 12,
    worker: 2,
    pid: 4712,
    generation: 3,
    kind: 'crash',
    cause: 'ended by SIGSEGV',
    code: null,
    signal: 'SIGSEGV',
    uptimeSeconds: 93,
    lost: 0,
    requests: [],
    oomKills: 0,
    stack: null,
    ...more,
  };
}

describe('rom-agent status', () => {
  test('shows the service and its workers', async () => {
    const lastReload = record({ verdict: 'rolled-back', reason: 'worker 1 died' });
    const workers = [worker(1), worker(2, { pid: null, phase: 'starting', heartbeatAgeMs: null })];
    const session = fakeSession({ status: inTurn(stats({ lastReload, workers, ready: 1 })) });
    assert.equal(await statusCommand(session, {}), 0);
    assert.equal(
      session.out(),
      `service      serving, mode cluster, generation 3
workers      1 of 2 ready, 1 restart
requests     40/s, 2 in flight, 1204 in total
master       pid 4700, up 2 h 5 min, 50 MiB, rom-agent 0.1.0, Node 20.20.2
last reload  no. 12 to generation 3, 2026-11-23 12:00:03, by alice: rolled back after 1.2 s: worker 1 died

WORKER   PID  PHASE     HEALTH   HEARTBEAT  GEN          UP  REQ/S  REQUESTS  IN-FLIGHT  CONNS     RSS  DELAY  UTIL  RESTARTS
     1  4711  ready     healthy      0.4 s    3  1 min 33 s     20       602          1      3  61 MiB  11 ms   4 %         0
     2     -  starting  healthy          -    3  1 min 33 s     20       602          1      3  61 MiB  11 ms   4 %         0
`,
    );
  });

  test('names the route that costs most, and shows what each costs', async () => {
    const light = { ...anyCost, kind: 'GET /', heavy: null, blocks: false };
    const costs = {
      ...{ overSeconds: 2_400, restShare: 0.08 },
      routes: [
        { ...anyCost, where: 'render (/srv/app.js:9:3)' },
        { ...light, cpu: { ms: 0.04, lowMs: 0, highMs: 0.21, share: 0.02 } },
      ],
    };
    const session = fakeSession({ status: inTurn(stats({ costs })) });
    await statusCommand(session, {});
    assert.match(
      session.out(),
      /^cost +GET \/report takes 180 ms of CPU per request \(170 to 190\): 61 % of the workers' CPU; it blocks the event loop, in render \(\/srv\/app\.js:9:3\)$/m,
    );
    const asked = fakeSession({ status: inTurn(stats({ costs })) });
    await statusCommand(asked, { routes: true });
    assert.equal(
      asked.out(),
      `ROUTE        ANSWERS          CPU/REQUEST  OF CPU         LOOP/REQUEST  OF LOOP  BLOCKS
GET /report      312  180 ms (170 to 190)    61 %  176 ms (167 to 185)     60 %  render (/srv/app.js:9:3)
GET /            312        up to 0.21 ms     2 %  176 ms (167 to 185)     60 %

from 2400 s of the workers; 8 % of their CPU goes with no request
`,
    );
    const none = fakeSession({ status: inTurn(stats()) });
    await statusCommand(none, { routes: true });
    assert.match(none.out(), /^nothing is known of the routes yet/);
  });

  test('shows spares, the last three deaths and what is suspected of them', () => {
    const workers = [worker(null, { phase: 'spare' }), worker(1, { health: 'degraded' })];
    const hang = death({ kind: 'hang', cause: 'silent for 10 s in checkout (/srv/app.js:12:5)', lost: 2 });
    const deaths = [
      hang,
      death({ worker: null, kind: 'boot', agoSeconds: 150 }),
      death({ agoSeconds: 7_500 }),
      death(),
    ];
    const poison = [
      { method: 'GET', route: '/orders/:id', deaths: 3, agoSeconds: 12, blockedForSeconds: 48 },
      { method: 'POST', route: '/', deaths: 2, agoSeconds: 60, blockedForSeconds: 0 },
    ];
    const spares = { wanted: 2, ready: 1 };
    const text = overview(stats({ workers, spares, deaths, poison }), fakeSession({}).terminal);
    assert.equal(
      text,
      `service   serving, mode cluster, generation 3
workers   2 of 2 ready, 1 of 2 spare, 1 restart
requests  40/s, 2 in flight, 1204 in total
master    pid 4700, up 2 h 5 min, 50 MiB, rom-agent 0.1.0, Node 20.20.2
deaths    worker 2, 12 s ago, hung: silent for 10 s in checkout (/srv/app.js:12:5), 2 requests lost
          a spare, 2 min 30 s ago, could not start: ended by SIGSEGV
          worker 2, 2 h 5 min ago, crashed: ended by SIGSEGV
poison    GET /orders/:id was in flight at 3 deaths, the last 12 s ago; answered with 503 for 48 s more
          POST / was in flight at 2 deaths, the last 1 min ago

WORKER   PID  PHASE  HEALTH    HEARTBEAT  GEN          UP  REQ/S  REQUESTS  IN-FLIGHT  CONNS     RSS  DELAY  UTIL  RESTARTS
     -  4710  spare  healthy       0.4 s    3  1 min 33 s     20       602          1      3  61 MiB  11 ms   4 %         0
     1  4711  ready  degraded      0.4 s    3  1 min 33 s     20       602          1      3  61 MiB  11 ms   4 %         0
`,
    );
  });

  test('shows the cell, and what is in it', () => {
    const poison = [
      { method: 'GET', route: '/orders/:id', deaths: 3, agoSeconds: 12, blockedForSeconds: 48 },
    ];
    const cell: CellStats = {
      ...{ status: 'ready', pid: 4733, generation: 3, requests: 12, inFlight: 1 },
      ...{ rssBytes: 58 * 2 ** 20, deaths: 2 },
    };
    const { terminal } = fakeSession({});
    const rows = (now: CellStats): string[] =>
      overview(stats({ poison, cell: now }), terminal)
        .split('\n')
        .filter((line) => /^(poison|cell)/.test(line));
    assert.deepEqual(rows(cell), [
      'poison    GET /orders/:id was in flight at 3 deaths, the last 12 s ago; in the cell for 48 s more',
      'cell      ready, pid 4733, 58 MiB, 1 in flight, 12 in total; it died 2 times',
    ]);
    assert.equal(
      rows({ ...cell, status: 'waiting' })[1],
      'cell      waits for its next start; it died 2 times',
    );
  });

  test('does not say of a worker that is silent how it does and what it has in flight', () => {
    const workers = [worker(1), worker(2, { heartbeatAgeMs: 2_100, inFlight: 0 })];
    const text = overview(stats({ workers, inFlight: 1 }), fakeSession({}).terminal);
    assert.match(text, /^requests {2}40\/s, at least 1 in flight, /m);
    assert.match(text, /^silent +no heartbeat from worker 2 for 2\.1 s; rom-agent stack 2 shows/m);
    assert.match(text, /^ +2 {2}4712 {2}ready {2}silent {7}2\.1 s .* \? +602 +\? +\? +61 MiB +\? +\? +0$/m);
  });

  test('leaves out columns where a terminal is too narrow, and nothing in a pipe', () => {
    const wide = overview(stats(), fakeSession({}, { columns: 80 }).terminal);
    assert.match(wide, /CONNS/);
    const text = overview(stats(), fakeSession({}, { columns: 80, interactive: true }).terminal);
    assert.ok(
      text.split('\n').every((line) => line.length <= 80),
      text,
    );
    assert.match(text, /^WORKER +PID +PHASE +HEALTH +HEARTBEAT .*IN-FLIGHT/m);
  });

  test('has nothing of requests where the app is no server', () => {
    const text = overview(stats({ kind: 'process' }), fakeSession({}).terminal);
    assert.match(text, /running, kind process, mode cluster/);
    assert.doesNotMatch(text, /req|conns|in.flight/i);
    assert.match(text, /RSS/);
  });

  test('shows a service without workers and without a reload', () => {
    const text = overview(stats({ workers: [], ready: 0 }), fakeSession({}).terminal);
    assert.equal(text.trimEnd().split('\n').length, 4);
  });

  test('prints the document as it came where JSON is asked for', async () => {
    const session = fakeSession({ status: inTurn(stats()) });
    await statusCommand(session, { json: true });
    assert.deepEqual(JSON.parse(session.out()), stats());
  });

  test('names a worker whose heap is more than half full, and where to look', async () => {
    const mib = 2 ** 20;
    const limit = async () => ({ max_old_space_size: { value: 512, from: 'default' } });
    const shown = async (config: typeof limit, ...used: readonly number[]) => {
      const workers = used.map((heap, index) => worker(index + 1, { heapUsedBytes: heap * mib }));
      const session = fakeSession({ status: async () => stats({ workers }), config });
      await statusCommand(session, {});
      return session
        .out()
        .split('\n')
        .find((line) => line.startsWith('memory'));
    };
    assert.equal(
      await shown(limit, 260, 384),
      'memory    worker 2 (and 1 other) has filled 75 % of its heap of 512 MiB; rom-agent top shows whether it grows, rom-agent heap-snapshot 2 what keeps it',
    );
    assert.equal(await shown(limit, 200, 250), undefined);
    const refused = () => Promise.reject(new RomAgentError('busy', { exitCode: 75 }));
    assert.equal(await shown(refused, 260, 384), undefined);
  });

  test('throws what the client throws', async () => {
    const gone = new RomAgentError('no rom-agent runs', { exitCode: exitCodes.addressInUse });
    await assert.rejects(statusCommand(fakeSession({ status: inTurn<ClusterStats>(gone) }), {}), gone);
  });
});

describe('rom-agent status --watch', () => {
  /** Ends the watching with the third look. */
  const watched = async (
    end: 'interrupt' | 'leave',
    { json = false, ...terminal }: { json?: boolean; interactive?: boolean; columns?: number },
  ): Promise<string> => {
    let looks = 0;
    const status = async () => {
      if (++looks === 3) session[end]();
      return stats({ requests: looks });
    };
    const session = fakeSession({ status }, terminal);
    assert.equal(await statusCommand(session, { watch: true, json }), 0);
    assert.equal(session.slept(), 2000);
    return session.out();
  };

  test('draws over what was there on a terminal, until Ctrl-C', async () => {
    const [first = '', second = ''] = (await watched('interrupt', { interactive: true })).split(
      '\x1b[9A\r\x1b[J',
    );
    assert.match(first, /1 in total/);
    assert.match(second, /2 in total/);
    assert.equal(first.split('\n').length - 1, 9);
  });

  test('knows how many lines a narrow terminal takes', async () => {
    const text = await watched('interrupt', { interactive: true, columns: 60 });
    assert.ok(text.includes('\x1b[10A'), JSON.stringify(text));
  });

  test('prints block after block elsewhere, until nobody reads', async () => {
    const text = await watched('leave', {});
    assert.ok(!text.includes('\x1b'));
    assert.equal(text.match(/^service/gm)?.length, 2);
    assert.match(text, /\n\nservice/);
  });

  test('prints a document a line where JSON is asked for', async () => {
    const lines = (await watched('interrupt', { json: true })).trimEnd().split('\n');
    assert.deepEqual(
      lines.map((line) => JSON.parse(line).requests),
      [1, 2],
    );
  });
});

describe('a table', () => {
  test('aligns what is coloured as if it were not', () => {
    const rows = [
      ['\x1b[1ma\x1b[22m', 'bb'],
      ['ccc', 'd'],
    ];
    assert.equal(table(rows, { right: [1] }), '\x1b[1ma\x1b[22m    bb\nccc   d\n');
  });

  test('has a height that counts lines which wrap', () => {
    assert.equal(height('123456\n\n12345\n', 5), 4);
  });
});
