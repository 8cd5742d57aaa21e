import type { ControlEvent, ReloadAnswer } from '../protocol/control-api.js';
import type { ReloadRecord } from '../protocol/reload-record.js';
import type { ClusterStats } from '../protocol/stats.js';

const record: ReloadRecord = {
  serial: 12,
  generation: 3,
  from: 2,
  release: '/srv/app/releases/42',
  by: 'alice',
  at: 1_795_000_000_000,
  took: 812,
  steps: [{ at: 0, step: 'begun', worker: null, generation: 3, detail: 'reload by alice' }],
  accepted: 1204,
  moved: 31,
  lost: 0,
  verdict: 'done',
  reason: null,
};

const { steps: _, ...summary } = record;

const request = { method: 'GET', path: '/orders/17', age: 10_012 };

const status: ClusterStats = {
  status: 'serving',
  mode: 'cluster',
  generation: 3,
  wanted: 1,
  ready: 1,
  restarts: 0,
  requests: 5120,
  requestsPerSecond: 101.5,
  inFlight: 4,
  master: { pid: 4711, uptime: 3600, version: '0.1.0', node: 'v20.20.2', rss: 52_428_800 },
  workers: [
    {
      id: 1,
      pid: 4720,
      phase: 'ready',
      health: 'fit',
      generation: 3,
      uptime: 60,
      restarts: 0,
      beatAge: 402,
      requests: 5120,
      requestsPerSecond: 101,
      inFlight: 4,
      connections: 12,
      rss: 62_914_560,
      heapUsed: 12_582_912,
      eventLoopDelay: 11.2,
      eventLoopUtilization: 0.31,
    },
  ],
  lastReload: record,
  reloads: [summary],
  spares: { wanted: 1, ready: 1 },
  deaths: [
    {
      ago: 60,
      worker: 1,
      pid: 4711,
      generation: 3,
      kind: 'hang',
      cause: 'silent for 10 s in checkout (/srv/app/server.js:12:5)',
      code: null,
      signal: 'SIGKILL',
      uptime: 3540,
      lost: 1,
      requests: [request],
      oomKills: 0,
      stack: '    at checkout (/srv/app/server.js:12:5)',
    },
  ],
  poison: [{ method: 'GET', route: '/orders/:id', deaths: 2, ago: 60, blockedFor: 0 }],
};

const events = {
  step: {
    type: 'step',
    generation: 3,
    step: { at: 95, step: 'ready', worker: 1, generation: 3, detail: 'worker 1 serves' },
  },
  record: { type: 'record', record },
  worker: { type: 'worker', worker: 1, pid: 4720, generation: 3, phase: 'ready', reason: null, ending: null },
  service: { type: 'service', status: 'serving', wanted: 1 },
} as const satisfies Record<ControlEvent['type'], ControlEvent>;

const answer: { type: 'answer' } & Extract<ReloadAnswer, { accepted: true }> = {
  type: 'answer',
  accepted: true,
  message: 'reload to generation 3',
  serial: 12,
  generation: 3,
  needRestart: ['port'],
};

/** By the name of their schema. */
export const answers = {
  Overview: {
    name: 'rom-agent',
    version: '0.1.0',
    pid: 4711,
    routes: [{ method: 'GET', path: '/v1/status' }],
  },
  Status: status,
  Config: { drain_timeout: { value: 30_000, from: '/etc/rom-agent/rom-agent.toml' } },
  History: [record],
  Message: { message: '4 workers wanted' },
  Stack: {
    worker: 1,
    pid: 4720,
    state: 'running' as const,
    stack: '    at checkout (/srv/app/server.js:12:5)\n    at processTimers (node:internal/timers:519:7)',
    at: 'checkout (/srv/app/server.js:12:5)',
    requests: [request],
    detail: null,
  },
  EvidenceFile: {
    path: '/var/lib/rom-agent/evidence/2026-11-24T09-15-30.123Z-worker-1-pid-4720.cpuprofile',
    bytes: 61_440,
  },
};

export const bodies = {
  Label: { by: 'alice' },
  ReloadOptions: { by: 'alice', soak: false },
  ScaleOptions: { by: 'alice', add: 2 },
  ProfileOptions: { by: 'alice', seconds: 30 },
};

export const lines = {
  Event: events,
  ReloadLine: { answer, step: events.step, record: events.record },
};

export const errors = {
  400: {
    error: {
      status: 400,
      code: 'bad_request',
      message: 'soak: "no" is not right: expected true or false',
      problems: [{ field: 'soak', value: 'no', expected: 'true or false' }],
    },
  },
  406: {
    error: {
      status: 406,
      code: 'not_acceptable',
      message: 'this route answers with application/json, which the Accept header excludes',
    },
  },
  409: { error: { status: 409, code: 'refused', message: 'a reload is under way' } },
  413: {
    error: {
      status: 413,
      code: 'content_too_large',
      message: 'the body is too large: expected at most 65536 bytes',
    },
  },
  415: {
    error: {
      status: 415,
      code: 'unsupported_media_type',
      message: 'Content-Type: text/plain is not right: expected application/json',
    },
  },
} as const;
