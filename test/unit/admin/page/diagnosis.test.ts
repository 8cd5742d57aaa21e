import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Death, diagnose, headline, type Situation } from '../../../../src/admin/page/diagnosis.js';
import { death, stats, worker } from '../../../system/dashboard/scenes.js';

const now = 1_800_000_000_000;

function situation(over: Partial<Situation> = {}): Situation {
  return {
    nowMs: now,
    link: 'live',
    daemon: { state: 'up', reason: null, sinceMs: now - 1_000 },
    stats: stats([worker(1), worker(2)]),
    hangTimeoutMs: 10_000,
    heapLimitBytes: 512 * 1024 ** 2,
    doing: new Map(),
    deaths: [],
    growing: [],
    stalls: [],
    errorShare: 0,
    busy: 0.3,
    ...over,
  };
}

function said(over: Partial<Situation> = {}): string {
  const whole = situation(over);
  return headline(whole, diagnose(whole));
}

function died(agoSeconds: number, over: Parameters<typeof death>[0] = {}): Death {
  return { ...death({ agoSeconds, ...over }), atMs: now - agoSeconds * 1_000 };
}

describe('the headline', () => {
  test('of a service without trouble says so, with what it does', () => {
    assert.equal(said(), 'All is well: 2 of 2 workers are ready and serve 603 requests per second.');
    assert.equal(said({ stats: null, link: 'first' }), 'Looking at the service…');
  });

  test('of a hung worker says in what, since when and what comes next', () => {
    const of = stats([worker(1), worker(2, { health: 'degraded', heartbeatAgeMs: 4_200 })]);
    const doing = new Map([
      [
        4_702,
        { at: 'spin (/srv/shop/server.js:12:5)', state: 'running', detail: null, requests: ['GET /report'] },
      ],
    ]);
    assert.equal(
      said({ stats: of, doing }),
      'Worker 2 has been hung for 4 s in spin at server.js:12; it will be killed in 6 s.',
    );
    assert.equal(said({ stats: of }), 'Worker 2 has been hung for 4 s; it will be killed in 6 s.');
    assert.match(said({ stats: of, hangTimeoutMs: null }), /it is not killed, since hang_timeout is off/);
    const [problem] = diagnose(situation({ stats: of, doing }));
    assert.equal(problem?.detail, 'It is busy with GET /report.');
    assert.deepEqual(problem?.remedies[0], { kind: 'stack', worker: 2 });
  });

  test('of deaths counts those with the same cause together, and says where', () => {
    const text = said({
      deaths: [died(12), died(70, { pid: 1 }), died(300, { pid: 2, cause: 'Error: other', stack: null })],
    });
    assert.equal(
      text,
      "Worker 2 crashed 12 s ago, 2 deaths like this in ten minutes: TypeError: Cannot read properties of undefined (reading 'total') in checkout at server.js:40.",
    );
    assert.equal(said({ deaths: [died(700)] }), said());
  });

  test('of a leak says from what to what, in which time, and when it reaches the limit', () => {
    const mib = 1024 ** 2;
    const growing = [
      {
        pid: 4_701,
        worker: 1,
        fromBytes: 40 * mib,
        toBytes: 160 * mib,
        overMs: 60_000,
        bytesPerSecond: 2 * mib,
      },
    ];
    assert.equal(
      said({ growing }),
      'Worker 1 looks like it leaks: its heap grew from 40 MiB to 160 MiB in 1 min and does not fall back; at this rate it reaches its limit of 512 MiB in 2 min 56 s.',
    );
  });

  test('has the worst first: a daemon that is lost before a hung worker before a rollback', () => {
    const of = stats([worker(1, { health: 'unresponsive', heartbeatAgeMs: 9_000 })], {
      lastReload: {
        serial: 1,
        generation: 4,
        from: 3,
        release: '/srv',
        by: 'root',
        atMs: now - 5_000,
        tookMs: 1_000,
        steps: [],
        accepted: 0,
        moved: 0,
        lost: 0,
        verdict: 'rolled-back',
        reason: 'the canary died',
      },
    });
    assert.deepEqual(
      diagnose(situation({ stats: of, errorShare: 0.2 })).map(({ key }) => key),
      ['hung 4701', 'errors', 'reload'],
    );
    const lost = { state: 'lost', reason: 'connect ENOENT', sinceMs: now - 3_000 } as const;
    assert.match(said({ stats: of, daemon: lost }), /^The daemon has not answered for 3 s/);
    assert.match(said({ stats: of, link: 'broken', daemon: lost }), /^This page has lost the admin process/);
  });

  test('of a service that starts is calm, and of one without a ready worker is not', () => {
    const starting = stats([worker(1, { phase: 'starting', heartbeatAgeMs: null })], { status: 'starting' });
    assert.equal(diagnose(situation({ stats: starting }))[0]?.severity, 'note');
    const none = stats([worker(1, { phase: 'starting', heartbeatAgeMs: null })]);
    assert.equal(diagnose(situation({ stats: none }))[0]?.severity, 'critical');
  });
});
