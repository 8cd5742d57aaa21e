import { toJsonSchema, toJsonSchemaDefs } from '@valibot/to-json-schema';
import type { GenericSchema } from 'valibot';
import {
  bytesType,
  type ControlEvent,
  jsonType,
  linesType,
  type ReloadLine,
} from '../protocol/control-api.js';
import type { DeployLine, DeployRecord } from '../protocol/deploy.js';
import type { LogsLine } from '../protocol/log-line.js';
import type { ReloadRecord } from '../protocol/reload-record.js';
import type { StallRecord } from '../protocol/stall.js';
import type { ClusterStats } from '../protocol/stats.js';
import type { Why } from '../protocol/why.js';
import { answers } from './answer-schemas.js';
import { fleetExamples } from './fleet-schema.js';
import * as inputs from './input-schemas.js';
import { jobExamples } from './job-schemas.js';
import { metricsExample } from './metrics-schema.js';
import { poisonExamples } from './poison-schema.js';
import type { Route } from './routes.js';
import { upgradeExamples } from './upgrade-routes.js';

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
    { ...inputs.bodies, ...answers },
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
  return {
    operationId,
    summary,
    ...(description === undefined ? {} : { description }),
    ...parametersOf({ path, query: route.query }),
    ...(takes === null ? {} : { requestBody: bodyOf(takes) }),
    responses: {
      [status]: successOf(route),
      ...Object.fromEntries(
        failuresOf({ path, method, operationId }).map((failure) => [
          failure,
          { $ref: `#/components/responses/Error${failure}` },
        ]),
      ),
    },
  };
}

/** Statuses other than the one of success. */
function failuresOf({
  path,
  method,
  operationId,
}: Pick<Route, 'path' | 'method' | 'operationId'>): readonly number[] {
  if (path.includes('{name}')) return [400, 404];
  if (method === 'GET') return [400];
  return operationId === 'stop' ? [400, 413] : [400, 409, 413];
}

function inPathOf(path: string): readonly object[] {
  if (path.includes('{id}')) return [slot];
  if (!path.includes('{name}')) return [];
  return [path.startsWith('/v1/jobs/') ? jobName : fileName];
}

function parametersOf({ path, query }: Pick<Route, 'path'> & { readonly query: Route['query'] }): Json {
  const entries: Readonly<Record<string, GenericSchema>> =
    query === undefined ? {} : inputs.queries[query].entries;
  const inQuery = Object.entries(entries).map(([name, entry]) => {
    const { $schema: _, ...schema } = toJsonSchema(entry, { target: 'draft-2020-12' });
    return { name, in: 'query', required: false, schema };
  });
  const parameters = [...inPathOf(path), ...inQuery];
  return parameters.length === 0 ? {} : { parameters };
}

const slot = {
  name: 'id',
  in: 'path',
  required: true,
  description: 'Number of the slot, from 1.',
  schema: { type: 'integer', minimum: 1 },
};

const jobName = {
  ...{ name: 'name', in: 'path', required: true, schema: { type: 'string' } },
  description: 'The name of a job, as `GET /v1/jobs` has it.',
};

const fileName = {
  name: 'name',
  in: 'path',
  required: true,
  description: 'The name of a file, as `GET /v1/evidence` has it.',
  schema: { type: 'string' },
};

function bodyOf(name: keyof typeof bodies): Json {
  return {
    required: name === 'ScaleOptions',
    content: { [jsonType]: { schema: ref(name), example: bodies[name] } },
  };
}

function successOf({ gives, isStream, isBytes }: Pick<Route, 'gives' | 'isStream' | 'isBytes'>): Json {
  if (isBytes === true) return { description: 'The file', content: { [bytesType]: {} } };
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
  atMs: 1_795_000_000_000,
  tookMs: 812,
  steps: [{ atMs: 0, step: 'begun', worker: null, generation: 3, detail: 'reload by alice' }],
  accepted: 1204,
  moved: 31,
  lost: 0,
  verdict: 'done',
  reason: null,
};

const { steps: _, ...summary } = record;

const request = { method: 'GET', path: '/orders/17', ageMs: 10_012 };

const stall: StallRecord = {
  worker: 1,
  pid: 4720,
  generation: 3,
  tookMs: 812,
  cause: 'code',
  gcMs: 0,
  notRunMs: 12,
  function: 'checkout',
  file: '/srv/app/server.js',
  line: 12,
  column: 5,
  exact: true,
  share: 1,
  looks: 3,
  stack: '    at checkout (/srv/app/server.js:12:5)',
  requests: [request],
  more: 0,
};

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
  master: { pid: 4711, uptimeSeconds: 3600, version: '0.1.0', node: 'v20.20.2', rssBytes: 52_428_800 },
  workers: [
    {
      id: 1,
      pid: 4720,
      phase: 'ready',
      health: 'healthy',
      generation: 3,
      uptimeSeconds: 60,
      restarts: 0,
      heartbeatAgeMs: 402,
      requests: 5120,
      requestsPerSecond: 101,
      inFlight: 4,
      connections: 12,
      rssBytes: 62_914_560,
      heapUsedBytes: 12_582_912,
      eventLoopDelayMs: 11.2,
      eventLoopUtilization: 0.31,
    },
  ],
  lastReload: record,
  reloads: [summary],
  spares: { wanted: 1, ready: 1 },
  deaths: [
    {
      agoSeconds: 60,
      worker: 1,
      pid: 4711,
      generation: 3,
      kind: 'hang',
      cause: 'silent for 10 s in checkout (/srv/app/server.js:12:5)',
      code: null,
      signal: 'SIGKILL',
      uptimeSeconds: 3540,
      lost: 1,
      requests: [request],
      oomKills: 0,
      stack: '    at checkout (/srv/app/server.js:12:5)',
    },
  ],
  stalls: [{ ...stall, agoSeconds: 30 }],
  leaks: metricsExample.leaks,
  costs: { overSeconds: 2400, restShare: 0.08, routes: metricsExample.costs },
  ...poisonExamples,
};

const events = {
  step: {
    type: 'step',
    generation: 3,
    step: { atMs: 95, step: 'ready', worker: 1, generation: 3, detail: 'worker 1 serves' },
  },
  record: { type: 'record', record },
  worker: { type: 'worker', worker: 1, pid: 4720, generation: 3, phase: 'ready', reason: null, ending: null },
  service: { type: 'service', status: 'serving', wanted: 1 },
  stall: { type: 'stall', ...stall },
} as const satisfies Record<ControlEvent['type'], ControlEvent>;

const why: Why = {
  lines: [
    {
      at: '2026-11-27T02:13:07.120Z',
      worker: 1,
      pid: 4711,
      generation: 3,
      kind: 'died',
      text: 'worker 1 crashed after 3540 s; another one follows in 0.1 s',
      cause: 'ended by SIGSEGV, with GET /orders/:id in flight for 1.2 s',
      advice: null,
    },
  ],
  problem: null,
};
const logs = {
  source: { type: 'source', source: { kind: 'journal', unit: 'rom-agent.service', ofUser: false }, lines: 1 },
  line: {
    type: 'line',
    line: {
      atMs: 1_795_000_000_000,
      level: 'warn',
      worker: 1,
      pid: 4711,
      from: 'master',
      message: 'worker 1 crashed: exit status 1',
      fields: { workerPid: 4720 },
    },
  },
} as const satisfies Record<LogsLine['type'], LogsLine>;

const answer: Extract<ReloadLine, { type: 'answer' }> = {
  type: 'answer',
  accepted: true,
  message: 'reload to generation 3',
  serial: 12,
  generation: 3,
  needRestart: ['port'],
};

const deploy: DeployRecord = {
  id: '20261127-020000',
  ref: 'main',
  commit: '1a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d',
  by: 'alice',
  origin: 'command',
  atMs: 1_795_000_000_000,
  tookMs: 48_120,
  verdict: 'done',
  reason: null,
  previous: '20261126-020000',
};
const deployLines = {
  answer: { type: 'answer', accepted: true, id: deploy.id, message: `deploy ${deploy.id} of main` },
  stage: { type: 'stage', atMs: 812, stage: 'step', name: 'install', detail: 'npm ci' },
  output: { type: 'output', name: 'install', text: 'added 112 packages in 9s' },
  plan: {
    type: 'plan',
    isGood: true,
    findings: [{ what: 'disk', isGood: true, detail: '20480 MiB free, 512 wanted' }],
  },
  record: { type: 'record', record: deploy },
} as const satisfies Record<DeployLine['type'], DeployLine>;

/** Answers, and lines of streams, by the name of their schema. */
export const examples = {
  ...fleetExamples,
  ...upgradeExamples,
  Overview: {
    name: 'rom-agent',
    version: '0.1.0',
    pid: 4711,
    routes: [{ method: 'GET', path: '/v1/status' }],
  },
  Status: status,
  Config: { drain_timeout: { value: 30_000, from: '/etc/rom-agent/rom-agent.toml' } },
  History: [record],
  Why: why,
  Metrics: metricsExample,
  ...jobExamples,
  Notified: {
    results: [{ target: 'the webhook at https://hooks.example.com', failure: null, tookMs: 87 }],
  },
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
  EvidenceList: [
    {
      name: '2026-11-24T09-15-30.123Z-worker-1-pid-4720.cpuprofile',
      kind: 'profile' as const,
      worker: 1,
      bytes: 61_440,
      atMs: 1_795_000_000_000,
    },
  ],
  LogsLine: logs,
  Event: events,
  DeployLine: deployLines,
  Releases: {
    directory: '/var/lib/rom-agent/deploy',
    current: deploy.id,
    releases: [{ id: deploy.id, isCurrent: true, deploy }],
    deploys: [deploy],
    underWay: null,
  },
  ReloadLine: {
    answer,
    step: events.step,
    record: events.record,
    waits: { type: 'waits', host: 'web-2' },
    refused: { type: 'refused', reason: 'reload: given up while it waited for another host' },
  } as const satisfies Record<ReloadLine['type'], ReloadLine>,
  Queues: {
    engine: { kind: 'embedded' as const, connected: true },
    queues: [{ name: 'pdf', waiting: 3, delayed: 1, active: 2, completed: 1_204, failed: 1 }],
  },
  FailedJobs: {
    jobs: [
      {
        id: 'invoice-4711',
        name: null,
        data: { invoice: 4711 },
        attempts: 3,
        failedAtMs: 1_795_000_000_000,
        error: 'no paper',
      },
    ],
  },
};

const bodies = {
  ...{ Label: { by: 'alice' }, ReloadOptions: { by: 'alice', soak: false } },
  RolloutOptions: { by: 'alice', kind: 'reload' },
  ScaleOptions: { by: 'alice', add: 2 },
  ProfileOptions: { by: 'alice', seconds: 30 },
  ...{ DeployOptions: { by: 'alice', ref: 'main' }, RollbackOptions: { by: 'alice' } },
  UpgradeOptions: { by: 'alice', node: '/opt/node-24/bin/node' },
  RetryOptions: { by: 'alice', queue: 'pdf', id: 'invoice-4711' },
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
  404: {
    error: {
      status: 404,
      code: 'not_found',
      message: 'no evidence file x; GET /v1/evidence lists the files',
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
