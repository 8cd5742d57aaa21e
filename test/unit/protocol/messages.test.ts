import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  type MasterMessage,
  type Parsed,
  parseMasterMessage,
  parseWorkerMessage,
  seal,
  type WorkerMessage,
  withLostHandle,
} from '../../../src/protocol/messages.js';
import { simHeartbeat } from '../../simulation/sim-policy.js';
import { anyAnswer, anyPair } from '../../support/mirror.js';
import { anyStall } from '../../support/stall.js';
import { sampleSnapshot, workerMetrics } from '../metrics/samples.js';

type Raw = Record<string, unknown>;

const mirrored = { method: 'GET', url: '/a?b', headers: ['Host', 'a.example'] };

const fromWorker: Readonly<Record<WorkerMessage['type'], WorkerMessage>> = {
  hello: { type: 'hello' },
  ready: { type: 'ready', urls: ['http://localhost:3000', 'http://localhost:3001'], onTarget: true },
  waits: { type: 'waits', port: 3000 },
  listens: { type: 'listens', urls: ['http://localhost:3000'], onTarget: false },
  failed: { type: 'failed', failure: { message: 'boom', exitCode: 70, errno: 98, stack: 'Error: boom' } },
  heartbeat: {
    type: 'heartbeat',
    heartbeat: simHeartbeat({ requests: 3, current: [{ method: 'GET', path: '/', ageMs: 12 }] }),
  },
  spare: { type: 'spare' },
  current: { type: 'current', inFlight: 1, requests: [{ method: 'GET', path: '/', ageMs: 12 }] },
  proved: { type: 'proved' },
  stall: {
    type: 'stall',
    stall: anyStall,
  },
  collected: { type: 'collected', atMs: 1_000, bytes: 50e6, counts: { 'GET /': 7 } },
  worked: {
    ...{ type: 'worked', atMs: 1_000, cpuMs: 200, loopMs: 150, longestMs: 3, outsideBytes: 40e6 },
    counts: { 'GET /': 7 },
  },
  evidence: { type: 'evidence', id: 3, path: '/var/lib/x.cpuprofile', bytes: 4_096, failure: null },
  closed: { type: 'closed', inFlight: 3, accepted: 40 },
  probed: { type: 'probed', failure: null, tookMs: 1.5 },
  cut: { type: 'cut', requests: 1, connections: 2 },
  'mirror-opened': { type: 'mirror-opened', failure: null },
  sample: { type: 'sample', to: 3, request: mirrored, answer: anyAnswer },
  mirrored: { type: 'mirrored', pair: anyPair },
  drained: { type: 'drained' },
  'hand-on': {
    type: 'hand-on',
    id: 4,
    to: 3,
    slot: null,
    server: '::|3000',
    hops: 0,
    head: null,
    silence: null,
  },
  taken: { type: 'taken', id: 5, outcome: 'read' },
  'fleet-request': { type: 'fleet-request', id: 7 },
  'stats-request': { type: 'stats-request', id: 7 },
  'want-backplane': { type: 'want-backplane' },
  'metrics-request': { type: 'metrics-request', id: 8 },
  metrics: { type: 'metrics', id: 9, metrics: workerMetrics(3, { app: { json: '[]', failure: 'none' } }) },
};

const fromMaster: Readonly<Record<MasterMessage['type'], unknown>> = {
  drain: { type: 'drain', timeout: 30_000, last: true },
  release: { type: 'release' },
  dismissed: { type: 'dismissed' },
  'lame-duck': { type: 'lame-duck' },
  'even-out': { type: 'even-out', id: 4, to: 3, count: 2 },
  take: { type: 'take', id: 5, from: 2, until: 900, server: '::|3000', hops: 1, head: 'R0VU', silence: 900 },
  handed: { type: 'handed', id: 4, came: true },
  workers: { type: 'workers', own: 2, ready: [{ key: 2, slot: 1 }] },
  heartbeat: { type: 'heartbeat' },
  probe: { type: 'probe', path: '/healthz', timeout: 5_000 },
  fleet: { type: 'fleet', id: 7, fleet: null },
  stats: { type: 'stats', id: 7, stats: { status: 'serving' } },
  metrics: { type: 'metrics', id: 9 },
  'metrics-snapshot': { type: 'metrics-snapshot', id: 8, snapshot: sampleSnapshot },
  promote: { type: 'promote', slot: 2 },
  'mirror-open': { type: 'mirror-open', timeout: 30_000 },
  mirror: { type: 'mirror', to: 3, perSecond: 25, for: 3_000, rules: { routes: [], credentials: false } },
  'mirror-ask': { type: 'mirror-ask', request: mirrored, answer: anyAnswer },
  prove: { type: 'prove', timeout: 1_000 },
  block: { type: 'block', requests: [{ method: 'GET', route: '/', for: 1_000 }] },
  evidence: { type: 'evidence', id: 3, kind: 'profile', path: '/var/lib/x.cpuprofile', seconds: 5 },
};

/** What the channel makes of it. */
function throughTheChannel(message: unknown): Raw {
  return JSON.parse(JSON.stringify(message)) as Raw;
}

function marked(message: unknown): Raw {
  return throughTheChannel(seal(message as WorkerMessage));
}

function reasonOf(parsed: Parsed<unknown>): string {
  assert.equal(parsed.kind, 'malformed', JSON.stringify(parsed));
  return parsed.kind === 'malformed' ? parsed.reason : '';
}

/** The same message with one field, named by its path, set to something else. */
function changed(message: Raw, path: readonly string[], value: unknown): Raw {
  const [name = '', ...rest] = path;
  return { ...message, [name]: rest.length === 0 ? value : changed(message[name] as Raw, rest, value) };
}

function fieldsOf(value: Raw, at: readonly string[] = []): string[][] {
  return Object.entries(value).flatMap(([name, inner]) => {
    const path = [...at, name];
    if (name === 'cmd' || name === 'type') return [];
    if (typeof inner !== 'object' || inner === null || Array.isArray(inner)) return [path];
    return [path, ...fieldsOf(inner as Raw, path)];
  });
}

const nullable = [
  'heartbeat.heartbeat.kept',
  'probed.failure',
  'mirror-opened.failure',
  'mirrored.pair.canary.waitedMs',
  ...['sample.answer', 'mirrored.pair.old', 'mirrored.pair.canary'].flatMap((at) => [
    `${at}.type`,
    `${at}.length`,
  ]),
  'hand-on.to',
  'hand-on.slot',
  'hand-on.head',
  'hand-on.silence',
  'evidence.failure',
  ...['function', 'file', 'line', 'column', 'stack'].map((field) => `stall.stall.${field}`),
  'metrics.metrics.gauges.openFds',
  'metrics.metrics.gauges.maxFds',
  'metrics.metrics.app',
  'metrics.metrics.app.json',
  'metrics.metrics.app.failure',
];

/** What would be wrong for most fields is right for a few. */
function isRight(field: string, value: unknown): boolean {
  if (field === 'ready.onTarget' || field === 'listens.onTarget' || field === 'stall.stall.exact')
    return typeof value === 'boolean';
  if (field === 'heartbeat.heartbeat.latency' || field === 'metrics.metrics.delays.counts')
    return Array.isArray(value);
  return nullable.includes(field) && value === null;
}

describe('messages between worker and master', () => {
  for (const [type, message] of Object.entries(fromWorker)) {
    test(`${type} of a worker arrives as it was sent`, () => {
      const parsed = parseWorkerMessage(marked(message));
      assert.equal(parsed.kind, 'message');
      assert.deepEqual(parsed, { kind: 'message', message: { cmd: 'NODE_ROM_AGENT', ...message } });
    });
  }

  for (const [type, message] of Object.entries(fromMaster)) {
    test(`${type} of the master arrives as it was sent`, () => {
      assert.deepEqual(parseMasterMessage(marked(message)), {
        kind: 'message',
        message: { cmd: 'NODE_ROM_AGENT', ...(message as Raw) },
      });
    });
  }

  for (const [type, message] of Object.entries(fromWorker)) {
    for (const path of fieldsOf(marked(message))) {
      const field = [type, ...path].join('.');
      for (const value of [{ nested: [] }, [1], true, null]) {
        if (isRight(field, value)) continue;
        test(`${field} may not be ${JSON.stringify(value)}, and the reason names it`, () => {
          const reason = reasonOf(parseWorkerMessage(changed(marked(message), path, value)));
          assert.ok(reason.startsWith(`${field}`), reason);
          assert.match(reason, / is .*, expected /);
        });
      }
    }
  }

  test('a figure may not be missing, nor a number in words', () => {
    assert.equal(
      reasonOf(parseWorkerMessage(marked({ type: 'cut', requests: 1 }))),
      'cut.connections is undefined, expected a finite number',
    );
    assert.equal(
      reasonOf(parseWorkerMessage(marked({ ...fromWorker.cut, requests: '1' }))),
      'cut.requests is "1", expected a finite number',
    );
    assert.equal(
      reasonOf(
        parseWorkerMessage(
          marked({ type: 'heartbeat', heartbeat: { ...simHeartbeat(), rssBytes: Number.NaN } }),
        ),
      ),
      'heartbeat.heartbeat.rssBytes is null, expected a finite number',
    );
  });

  test('every url has to be a string', () => {
    assert.equal(
      reasonOf(parseWorkerMessage(marked({ type: 'ready', urls: ['a', 1] }))),
      'ready.urls is ["a",1], expected an array of strings',
    );
  });

  test('errno and stack of a failure may be missing', () => {
    const failed = { type: 'failed', failure: { message: 'boom', exitCode: 70 } };
    assert.equal(parseWorkerMessage(marked(failed)).kind, 'message');
  });

  test('the drain of the master is checked field by field', () => {
    const drain = marked(fromMaster.drain);
    assert.equal(
      reasonOf(parseMasterMessage({ ...drain, timeout: '5' })),
      'drain.timeout is "5", expected a finite number',
    );
    assert.equal(
      reasonOf(parseMasterMessage({ ...drain, last: 1 })),
      'drain.last is 1, expected true or false',
    );
    assert.match(
      reasonOf(parseMasterMessage({ ...marked(fromMaster.stats), id: null })),
      /^stats\.id is null/,
    );
  });

  test('a type that nobody knows is malformed, whatever it is', () => {
    for (const type of [
      'reload',
      'constructor',
      '__proto__',
      'toString',
      5,
      null,
      ['ready'],
      { toString: 1 },
    ]) {
      const reason = reasonOf(parseWorkerMessage({ cmd: 'NODE_ROM_AGENT', type }));
      assert.match(reason, /^type is .*, expected one of hello, ready, waits, listens, failed, heartbeat, /);
    }
    assert.match(reasonOf(parseWorkerMessage({ cmd: 'NODE_ROM_AGENT' })), /^type is undefined/);
  });

  test('master and worker do not take each other for themselves', () => {
    assert.equal(parseMasterMessage(marked(fromWorker.ready)).kind, 'malformed');
    assert.equal(parseWorkerMessage(marked(fromMaster.drain)).kind, 'malformed');
  });

  for (const raw of [
    undefined,
    null,
    'ready',
    7,
    [],
    [{ cmd: 'NODE_ROM_AGENT', type: 'drained' }],
    {},
    { type: 'drained' },
    { protocol: 'rom-agent/2', type: 'drained' },
    { protocol: null, type: 'ready', urls: [] },
    { cmd: 'NODE_HANDLE', type: 'ready', urls: [] },
  ]) {
    test(`${JSON.stringify(raw)} is the app's own and none of our business`, () => {
      assert.deepEqual(parseWorkerMessage(raw), { kind: 'foreign' });
      assert.deepEqual(parseMasterMessage(raw), { kind: 'foreign' });
    });
  }
});

test('a message whose handle was lost on its way is not lost with it', () => {
  const message = marked({ type: 'taken', id: 5, outcome: 'read' });
  const wrapped = { cmd: 'NODE_HANDLE', type: 'net.Native', msg: message };
  assert.equal(withLostHandle(wrapped, null), message);
  assert.equal(withLostHandle(wrapped, {}), wrapped, 'Node brings the message itself');
  assert.equal(withLostHandle(message, undefined), message);
});
