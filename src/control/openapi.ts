import { toJsonSchemaDefs } from '@valibot/to-json-schema';
import { type ControlEvent, jsonType, linesType, type ReloadLine } from '../protocol/control-api.js';
import type { ReloadRecord } from '../protocol/reload-record.js';
import type { ClusterStats } from '../protocol/stats.js';
import type { Route } from './routes.js';
import * as schemas from './schemas.js';

type Json = Readonly<Record<string, unknown>>;

/** The routes as an OpenAPI 3.1 document (https://spec.openapis.org/oas/v3.1.1.html). */
export function openapi(version: string, routes: readonly Route[]) {
  return {
    openapi: '3.1.1',
    info: {
      title: 'rom-agent control socket',
      version,
      description:
        'HTTP and JSON over a unix socket. Whoever may open the socket may give every command; there is no other ' +
        'authorisation. Every answer has the header Rom-Agent-Control: v1.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: 'http://localhost', description: 'The host is ignored: the connection is the socket.' }],
    // Each path has one method.
    paths: Object.fromEntries(
      routes.map((route) => [route.path, { [route.method.toLowerCase()]: operationOf(route) }]),
    ),
    components: { schemas: jsonSchemas(), responses: errorResponses() },
  };
}

/** The schemas by name, as JSON Schema 2020-12. */
export function jsonSchemas(): Readonly<Record<string, object>> {
  return toJsonSchemaDefs(
    { ...schemas.bodies, ...schemas.answers },
    {
      target: 'draft-2020-12',
      typeMode: 'input',
      overrideRef: ({ referenceId }) => ref(referenceId).$ref,
      // JSON Schema reads a pattern as Unicode anyway: the flag, which it cannot express, is not missed.
      overrideAction: ({ valibotAction, jsonSchema }) =>
        valibotAction.type === 'regex' ? jsonSchema : undefined,
    },
  );
}

function operationOf({ path, operationId, summary, description, ...route }: Route): Json {
  const { method, takes, status } = route;
  const failures = method === 'GET' ? [400] : operationId === 'stop' ? [400, 413] : [400, 409, 413];
  return {
    operationId,
    summary,
    ...(description === undefined ? {} : { description }),
    ...(path.includes('{id}') ? { parameters: [slot] } : {}),
    ...(takes === null ? {} : { requestBody: bodyOf(takes) }),
    responses: {
      [status]: successOf(route),
      ...Object.fromEntries(
        failures.map((failure) => [failure, { $ref: `#/components/responses/Error${failure}` }]),
      ),
    },
  };
}

const slot = {
  name: 'id',
  in: 'path',
  required: true,
  description: 'Number of the slot, from 1.',
  schema: { type: 'integer', minimum: 1 },
};

function bodyOf(name: keyof typeof bodies): Json {
  return {
    required: name === 'ScaleOptions',
    content: { [jsonType]: { schema: ref(name), example: bodies[name] } },
  };
}

function successOf({ gives, isStream }: Pick<Route, 'gives' | 'isStream'>): Json {
  const schema = gives === null ? { type: 'object' } : ref(gives);
  const example = gives === null ? {} : examples[gives];
  if (isStream !== true) return { description: 'Success', content: { [jsonType]: { schema, example } } };
  // The schema and each of the examples are of one line.
  const named = Object.entries(example).map(([name, value]) => [name, { value }]);
  return {
    description: 'One JSON document a line',
    content: { [linesType]: { schema, examples: Object.fromEntries(named) } },
  };
}

function errorResponses(): Json {
  return Object.fromEntries(
    Object.entries(errors).map(([status, example]) => [
      `Error${status}`,
      { description: example.error.code, content: { [jsonType]: { schema: ref('Error'), example } } },
    ]),
  );
}

function ref(name: string): { readonly $ref: string } {
  return { $ref: `#/components/schemas/${name}` };
}

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
  kind: 'server',
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
      health: 'healthy',
      generation: 3,
      uptime: 60,
      restarts: 0,
      heartbeatAge: 402,
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

const answer: Extract<ReloadLine, { type: 'answer' }> = {
  type: 'answer',
  accepted: true,
  message: 'reload to generation 3',
  serial: 12,
  generation: 3,
  needRestart: ['port'],
};

/** Answers, and lines of streams, by the name of their schema. */
export const examples = {
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
  Event: events,
  ReloadLine: { answer, step: events.step, record: events.record },
};

const bodies = {
  Label: { by: 'alice' },
  ReloadOptions: { by: 'alice', soak: false },
  ScaleOptions: { by: 'alice', add: 2 },
  ProfileOptions: { by: 'alice', seconds: 30 },
};

const errors = {
  400: {
    error: {
      status: 400,
      code: 'bad_request',
      message: 'soak: "no" is not right: expected true or false',
      problems: [{ field: 'soak', value: 'no', expected: 'true or false' }],
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
} as const;
