import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { StallRecord } from '../../../src/protocol/stall.js';
import type { LoadReport } from '../../../src/rehearse/load.js';
import type {
  Boot,
  Cut,
  Handler,
  HeldResult,
  Leak,
  Reload,
  Sigterm,
  Stop,
  Traffic,
} from '../../../src/rehearse/observations.js';
import { judge } from '../../../src/rehearse/verdict.js';

const folder = '/srv/shop';
const root = { method: 'GET', path: '/' };
const quiet: LoadReport = { answered: 800, failed: 0, refused: 0, lost: 0, resent: 0, examples: [] };
const allAnswered: HeldResult = { sample: root, count: 4, answered: 4, lost: [] };
const handler: Handler = {
  pid: 7,
  type: 'handler',
  signal: 'SIGTERM',
  at: { function: null, file: '/srv/shop/server.js', line: 40 },
};

describe('a boot', () => {
  const boot: Boot = {
    act: 'boot',
    bootMs: 400,
    output: [],
    shares: [],
    machineFactor: 1,
    configuredWorkers: 8,
  };

  test('that is short is told with what a reload takes', () => {
    assert.deepEqual(judge(boot, folder), {
      act: 'boot',
      result: 'ok',
      summary: '0.4 s until a worker serves: a reload of 8 workers takes 3.2 s',
      findings: [],
    });
  });

  test('that is long is a finding, with the line that most of it went into', () => {
    const at = { function: 'buildIndex', file: '/srv/shop/lib/index.js', line: 9 };
    const shares = [{ kind: 'ran', what: null, at, ms: 3_600 }] as const;
    const [finding] = judge({ ...boot, bootMs: 4_100, shares }, folder).findings;
    assert.equal(
      finding?.text,
      'boot takes 4.1 s, 3.6 s of it in buildIndex (lib/index.js:9): a reload of 8 workers takes 32.8 s, and a crashed worker is missing for as long',
    );
    assert.equal(finding?.at, 'lib/index.js:9');
  });

  test('names what it waited for', () => {
    const at = { function: 'open', file: '/srv/shop/db.js', line: 3 };
    const shares = [{ kind: 'waited', what: 'a connection to 127.0.0.1:5432', at, ms: 4_000 }] as const;
    const [finding] = judge({ ...boot, bootMs: 4_100, shares }, folder).findings;
    assert.match(
      finding?.text ?? '',
      /4 s of it waiting for a connection to 127\.0\.0\.1:5432 that open \(db\.js:3\) begins/,
    );
  });

  test('on a machine that is slow itself may take longer', () => {
    assert.equal(judge({ ...boot, bootMs: 4_100, machineFactor: 3 }, folder).result, 'ok');
  });

  test('that fails is a finding with the last words of the app', () => {
    const [finding] = judge({ ...boot, bootMs: null, output: ['PORT is missing'] }, folder).findings;
    assert.deepEqual([finding?.kind, finding?.text], ['no-boot', 'the app does not serve: PORT is missing']);
  });
});

describe('a load', () => {
  const looked = {
    sample: { method: 'GET', path: '/report' },
    statuses: [200, 200, 200],
    failure: null,
    tookMs: [2_150, 2_120, 2_110],
  };
  const stall: StallRecord = {
    tookMs: 2_100,
    cause: 'code',
    gcMs: 3,
    notRunMs: 0,
    function: 'buildReport',
    file: '/srv/shop/report.js',
    line: 12,
    column: 3,
    exact: true,
    share: 1,
    looks: 20,
    stack: null,
    requests: [{ method: 'GET', path: '/report', ageMs: 2_100 }],
    more: 0,
    worker: 1,
    pid: 7,
    generation: 1,
  };
  const traffic: Traffic = {
    act: 'load',
    paths: [looked],
    load: quiet,
    stalls: [stall],
    deaths: [],
    uncaught: [],
  };

  test('names the function that blocks the event loop', () => {
    const [finding] = judge(traffic, folder).findings;
    assert.equal(
      finding?.text,
      'GET /report blocks the event loop for 2.1 s in buildReport (report.js:12): no other request of that worker is answered meanwhile',
    );
    assert.equal(finding?.at, 'report.js:12');
  });

  test('takes no process that got no CPU for one that blocks', () => {
    const starved = { ...stall, notRunMs: 1_900 };
    assert.equal(judge({ ...traffic, stalls: [starved] }, folder).result, 'ok');
  });

  test('takes no first request, which loads and compiles, for a path that blocks', () => {
    const once = { ...looked, tookMs: [2_150, 12, 11] };
    assert.equal(judge({ ...traffic, paths: [once] }, folder).result, 'ok');
  });

  test('takes no answer that waits for something else for one that blocks', () => {
    assert.equal(judge({ ...traffic, stalls: [] }, folder).result, 'ok');
  });

  test('says where an unhandled rejection came from that ended a worker', () => {
    const [finding] = judge(
      {
        ...traffic,
        paths: [],
        deaths: [
          {
            agoSeconds: 1,
            worker: 1,
            pid: 7,
            generation: 1,
            kind: 'crash',
            cause: 'Error: no such user',
            code: 1,
            signal: null,
            uptimeSeconds: 2,
            lost: 1,
            requests: [],
            oomKills: 0,
            stack: null,
          },
        ],
        uncaught: [
          {
            pid: 7,
            type: 'uncaught',
            origin: 'unhandledRejection',
            message: 'no such user',
            at: { function: 'find', file: '/srv/shop/users.js', line: 5 },
          },
        ],
      },
      folder,
    ).findings;
    assert.equal(finding?.text, 'an unhandled rejection at users.js:5 ends a worker: no such user');
  });

  test('names a path that answers 500 each time', () => {
    const broken = { sample: root, statuses: [500, 500, 500], failure: null, tookMs: [2, 2, 2] };
    const [finding] = judge({ ...traffic, paths: [broken], stalls: [] }, folder).findings;
    assert.deepEqual([finding?.kind, finding?.text], ['broken-path', 'GET / answers 500, each time']);
    const silent = {
      sample: root,
      statuses: [null, null, null],
      failure: 'socket hang up',
      tookMs: [2, 2, 2],
    };
    const [other] = judge({ ...traffic, paths: [silent] }, folder).findings;
    assert.equal(other?.text, 'GET / is not answered (socket hang up), each time');
  });
});

describe('a heap', () => {
  const at = { function: 'remember', file: '/srv/shop/server.js', line: 22 };
  const of = (...heaps: readonly number[]): Leak => ({
    act: 'leak',
    rounds: heaps.map((heap, index) => ({ requests: index === 0 ? 0 : 1_000, heapBytes: heap * 1e6 })),
    allocations: [{ at, bytes: 8e6 }],
    leftOut: [],
  });

  test('that grows in every round leaks, with the function that allocates', () => {
    const [finding] = judge(of(20, 23, 26, 29), folder).findings;
    assert.equal(finding?.text, '3 MB leaked in 1,000 requests, allocated in remember (server.js:22)');
    assert.equal(finding?.at, 'server.js:22');
  });

  test('that fills a cache does not', () => {
    assert.equal(judge(of(20, 24, 25, 25.3), folder).result, 'ok');
  });

  test('that grows once, or a little, does not', () => {
    assert.equal(judge(of(20, 23, 23, 23), folder).result, 'ok');
    assert.equal(judge(of(20, 20.1, 20.2, 20.3), folder).result, 'ok');
  });

  test('names no function that allocated only little of it', () => {
    const leak = { ...of(20, 23, 26, 29), allocations: [{ at, bytes: 1e5 }] };
    assert.equal(judge(leak, folder).findings[0]?.at, null);
  });
});

describe('a reload', () => {
  const reload: Reload = {
    act: 'reload',
    record: {
      serial: 1,
      generation: 2,
      from: 1,
      release: '/srv/shop',
      by: 'rehearse',
      atMs: 0,
      tookMs: 900,
      steps: [],
      accepted: 100,
      moved: 3,
      lost: 0,
      verdict: 'done',
      reason: null,
    },
    load: quiet,
    held: allAnswered,
    endless: [],
    drainTimeoutMs: 10_000,
    handlers: [handler],
  };

  test('that loses nothing is told as it was', () => {
    assert.deepEqual(judge(reload, folder), {
      act: 'reload',
      result: 'ok',
      summary: 'done in 0.9 s, 804 requests answered meanwhile',
      findings: [],
    });
  });

  test('names the handler after which the app does not end', () => {
    const [finding] = judge({ ...reload, endless: ['Timeout'] }, folder).findings;
    assert.equal(finding?.at, 'server.js:40');
    assert.match(
      finding?.text ?? '',
      /after its SIGTERM handler at server\.js:40, does not end by itself \(what keeps it running: Timeout\)/,
    );
  });

  test('that is rolled back says why', () => {
    const record = {
      ...reload.record,
      verdict: 'rolled-back',
      reason: 'worker 1 of generation 2 died',
    } as const;
    const [finding] = judge({ ...reload, record }, folder).findings;
    assert.equal(finding?.text, 'a reload of the same app is rolled-back: worker 1 of generation 2 died');
  });

  test('counts what is lost, refused and answered with an error', () => {
    const load = { ...quiet, lost: 2, refused: 1, failed: 3, examples: ['GET /: socket hang up'] };
    const [finding] = judge({ ...reload, load }, folder).findings;
    assert.equal(
      finding?.text,
      '6 requests lost in a reload: 2 without an answer, 3 with a status from 500 on, 1 refused, such as GET /: socket hang up',
    );
  });
});

describe('SIGTERM without a daemon', () => {
  const sigterm: Sigterm = {
    act: 'sigterm',
    held: { sample: root, count: 4, answered: 0, lost: ['socket hang up', 'socket hang up', 'x', 'x'] },
    handlers: [handler],
    endings: [
      {
        pid: 7,
        type: 'exit',
        by: 'process.exit',
        at: { function: null, file: '/srv/shop/server.js', line: 41 },
        unanswered: [{ method: 'GET', path: '/' }],
      },
    ],
    exit: { code: 0, signal: null },
    tookMs: 20,
    limitMs: 10_000,
  };

  test('names the handler that exits before the answers, and where', () => {
    const [finding] = judge(sigterm, folder).findings;
    assert.match(
      finding?.text ?? '',
      /^SIGTERM handler at server\.js:40 exits before the answers at GET \/ \(process\.exit\(\) at server\.js:41\): 4 of 4 requests in flight lost/,
    );
    assert.equal(finding?.at, 'server.js:40');
  });

  test('that answers everything and ends is in order', () => {
    assert.equal(judge({ ...sigterm, held: allAnswered, endings: [] }, folder).result, 'ok');
  });

  test('after which the process runs on is a finding', () => {
    const verdict = judge({ ...sigterm, held: allAnswered, endings: [], exit: null }, folder);
    assert.match(
      verdict.findings[0]?.text ?? '',
      /^SIGTERM handler at server\.js:40 does not end the process: 10 s/,
    );
  });

  test('that cuts connections is told as that', () => {
    const at = { function: null, file: '/srv/shop/server.js', line: 42 };
    const endings = [{ pid: 7, type: 'cut', at, unanswered: [{ method: 'GET', path: '/' }] }] as const;
    assert.match(
      judge({ ...sigterm, endings }, folder).findings[0]?.text ?? '',
      /cuts connections before the answers at GET \/ \(closeAllConnections\(\) at server\.js:42\)/,
    );
  });
});

describe('a stop', () => {
  const stop: Stop = {
    act: 'stop',
    load: { ...quiet, refused: 12 },
    held: allAnswered,
    exit: { code: 0, signal: null },
    tookMs: 1_600,
    endless: [],
    drainTimeoutMs: 10_000,
    handlers: [handler],
    left: [],
    webSocket: null,
  };

  test('may refuse connections that come later', () => {
    assert.equal(judge(stop, folder).result, 'ok');
  });

  test('may not leave a process, end with an error or cut a WebSocket', () => {
    const bad = {
      ...stop,
      exit: { code: 1, signal: null },
      left: ['sleep (pid 9)'],
      webSocket: { path: '/ws', code: null },
    };
    assert.deepEqual(
      judge(bad, folder).findings.map(({ kind }) => kind),
      ['exit-status', 'processes-left', 'websocket-cut'],
    );
  });
});

describe('a cut', () => {
  const cut: Cut = {
    act: 'cut',
    variable: 'REDIS_URL',
    connections: 2,
    paths: [{ sample: root, status: 503, tookMs: 900 }],
    deaths: [],
    recoveredMs: 300,
  };

  test('that is answered with 503 in time is in order', () => {
    assert.equal(judge(cut, folder).result, 'ok');
  });

  test('is one finding, however many paths wait for the database', () => {
    const told = (names: readonly string[]) => {
      const paths = names.map((path) => ({ sample: { method: 'GET', path }, status: null, tookMs: 10_000 }));
      return judge({ ...cut, paths }, folder).findings.map(({ text }) => text.replace(/ not answered.*/, ''));
    };
    assert.deepEqual(told(['/a', '/b']), ['GET /a and GET /b are']);
    assert.deepEqual(told(['/a', '/b', '/c', '/d']), ['GET /a, GET /b, GET /c and 1 other path are']);
  });

  test('names the path that waits for ever, and an app that does not come back', () => {
    const verdict = judge(
      { ...cut, paths: [{ sample: root, status: null, tookMs: 10_000 }], recoveredMs: null },
      folder,
    );
    assert.deepEqual(
      verdict.findings.map(({ text }) => text),
      [
        'GET / is not answered within 10 s while REDIS_URL is silent',
        'the app does not answer as before once REDIS_URL answers again',
      ],
    );
  });
});
