import { longestProfile, mostWorkers, usualProfile } from '../protocol/limits.js';
import { longestLabel } from './fields.js';

type Schema = Readonly<Record<string, unknown>>;

const string: Schema = { type: 'string' };
const integer: Schema = { type: 'integer' };
const count: Schema = { type: 'integer', minimum: 0 };

const byLabel: Schema = {
  type: 'string',
  minLength: 1,
  maxLength: longestLabel,
  default: 'control',
  description: 'Who asks, for the log and the records. A label, not a proof. Printable characters only.',
};

export function ref(name: string): Schema {
  return { $ref: `#/components/schemas/${name}` };
}

/** A reload without its steps. */
const reload = {
  serial: described(integer, 'Counts the reloads of the service, from 1, over restarts of the daemon.'),
  generation: integer,
  from: described(integer, 'The generation that it was to replace.'),
  release: described(string, 'What it was to serve.'),
  by: string,
  at: described(integer, 'Wall clock, ms since 1970.'),
  took: described(orNull({ type: 'number' }), 'ms; null while it is under way.'),
  accepted: described(count, 'Connections that the service accepted meanwhile.'),
  moved: described(count, 'Requests in flight when their worker was replaced.'),
  lost: described(count, 'Of these, what was cut.'),
  verdict: orNull(oneOf('done', 'rolled-back', 'superseded', 'stopped')),
  reason: described(orNull(string), 'Why it was rolled back or stopped.'),
};

export const schemas: Readonly<Record<string, Schema>> = {
  Overview: object({
    name: { const: 'rom-agent' },
    version: string,
    pid: described(integer, 'Of the master.'),
    routes: listOf(object({ method: oneOf('GET', 'POST'), path: string })),
  }),
  Message: object({ message: described(string, 'What the daemon says to it, in a sentence.') }),
  Label: optional({ by: byLabel }),
  ReloadOptions: optional({
    by: byLabel,
    soak: {
      type: 'boolean',
      default: true,
      description: 'Whether the first new worker is watched for a while.',
    },
    rollback: {
      type: 'boolean',
      default: true,
      description: 'Without, workers are replaced whatever becomes of the new ones.',
    },
  }),
  ScaleOptions: {
    ...optional({
      by: byLabel,
      to: { type: 'integer', minimum: 1, maximum: mostWorkers, description: 'This number of workers.' },
      add: {
        type: 'integer',
        minimum: -mostWorkers,
        maximum: mostWorkers,
        not: { const: 0 },
        description: 'This many workers more, or fewer.',
      },
    }),
    oneOf: [{ required: ['to'] }, { required: ['add'] }],
  },
  ProfileOptions: optional({
    by: byLabel,
    seconds: {
      type: 'integer',
      minimum: 1,
      maximum: longestProfile,
      default: usualProfile,
      description: 'For how long.',
    },
  }),
  Stack: object({
    worker: integer,
    pid: integer,
    state: described(
      oneOf('running', 'stopped', 'blocked', 'starved', 'idle', 'unknown'),
      'running: JavaScript runs; stopped: by a signal; blocked: in a call of the system; starved: it gets no CPU; idle: it waits for something to do.',
    ),
    stack: described(orNull(string), 'Innermost first; null where no JavaScript ran, or none could be had.'),
    at: described(orNull(string), "The innermost frame that is not Node's own."),
    requests: described(orNull(listOf(ref('Request'))), 'In flight, the oldest first; null: unknown.'),
    detail: described(orNull(string), 'More, in words.'),
  }),
  EvidenceFile: object({
    path: described(string, 'Absolute, on the machine of the daemon.'),
    bytes: count,
  }),
  Status: object({
    status: oneOf('starting', 'serving', 'stopping'),
    mode: oneOf('single', 'cluster', 'turbo'),
    generation: integer,
    wanted: described(count, 'Number of workers that there are to be.'),
    ready: described(count, 'Number of workers that serve.'),
    restarts: described(count, 'Of workers, since the master started.'),
    requests: described(count, 'Since the master started.'),
    requestsPerSecond: described({ type: 'number' }, 'Over the last one to two seconds.'),
    inFlight: count,
    master: object({
      pid: integer,
      uptime: described(count, 's'),
      version: string,
      node: string,
      rss: described(count, 'Resident set size, bytes.'),
    }),
    workers: listOf(ref('Worker')),
    lastReload: described(orNull(ref('ReloadRecord')), 'The reload that is under way, else the last one.'),
    reloads: described(
      { ...listOf(ref('ReloadSummary')), maxItems: 50 },
      'Those that are over, newest first.',
    ),
    spares: object({ wanted: count, ready: count }),
    deaths: described(
      { ...listOf(ref('Death')), maxItems: 10 },
      'Of workers, that nobody asked for, newest first.',
    ),
    poison: described(listOf(ref('Poison')), 'Requests that were in flight at more than one death.'),
  }),
  Request: object({
    method: string,
    path: described(string, 'Without its query.'),
    age: described({ type: 'number' }, 'ms'),
  }),
  Death: object({
    ago: described(count, 's'),
    worker: described(integer, 'Number of the slot; 0: a spare.'),
    pid: orNull(integer),
    generation: integer,
    kind: oneOf('boot', 'crash', 'hang'),
    cause: string,
    code: orNull(integer),
    signal: orNull(string),
    uptime: described(count, 's since the fork.'),
    lost: described(count, 'Requests in flight.'),
    requests: described(listOf(ref('Request')), 'Those that are known.'),
    oomKills: described(count, 'Processes that the kernel killed for memory meanwhile.'),
    stack: orNull(string),
  }),
  Poison: object({
    method: string,
    route: described(string, 'The path, with what differs from request to request taken out.'),
    deaths: count,
    ago: described(count, 's since the last of them.'),
    blockedFor: described(count, 's for which it is still answered with 503.'),
  }),
  Worker: object({
    id: described(
      integer,
      'Number of the slot, from 1; 0 for a spare. Two workers share it while one replaces the other.',
    ),
    pid: orNull(integer),
    phase: oneOf('starting', 'spare', 'ready', 'draining', 'dying'),
    health: oneOf('fit', 'slow', 'sick', 'lost'),
    generation: integer,
    uptime: described(count, 's'),
    restarts: count,
    beatAge: described(
      orNull({ type: 'number' }),
      'ms since its last beat, one of which comes each second; what follows is as of that beat.',
    ),
    requests: count,
    requestsPerSecond: { type: 'number' },
    inFlight: count,
    connections: count,
    rss: described(count, 'Bytes.'),
    heapUsed: described(count, 'Bytes.'),
    eventLoopDelay: described({ type: 'number' }, '99th percentile, ms.'),
    eventLoopUtilization: described({ type: 'number' }, '0 to 1'),
  }),
  Config: {
    type: 'object',
    description: 'The effective settings by key. Times in ms, sizes in MiB.',
    additionalProperties: object({ value: {}, from: described(string, 'Where the value comes from.') }),
  },
  History: { ...listOf(ref('ReloadRecord')), maxItems: 50, description: 'Newest first.' },
  ReloadRecord: object({ ...reload, steps: listOf(ref('ReloadStep')) }),
  ReloadSummary: object(reload),
  ReloadStep: object({
    at: described({ type: 'number' }, "ms since the reload's beginning."),
    step: oneOf('begun', 'forked', 'ready', 'probed', 'soaked', 'draining', 'died', 'rollback', 'verdict'),
    worker: orNull(integer),
    generation: orNull(integer),
    detail: string,
  }),
  ReloadLine: { oneOf: [ref('ReloadAccepted'), ref('StepEvent'), ref('RecordEvent')] },
  ReloadAccepted: object({
    type: { const: 'answer' },
    accepted: { const: true },
    message: string,
    serial: integer,
    generation: integer,
    needRestart: described(listOf(string), 'Changed settings that only a restart brings into effect.'),
  }),
  Event: { oneOf: ['StepEvent', 'RecordEvent', 'WorkerEvent', 'ServiceEvent'].map(ref) },
  StepEvent: object({ type: { const: 'step' }, generation: integer, step: ref('ReloadStep') }),
  RecordEvent: object({ type: { const: 'record' }, record: ref('ReloadRecord') }),
  WorkerEvent: object({
    type: { const: 'worker' },
    worker: integer,
    pid: orNull(integer),
    generation: integer,
    phase: oneOf('starting', 'spare', 'ready', 'draining', 'dying', 'gone'),
    reason: described(orNull(string), 'Why it drains or is killed, where that is a failure.'),
    ending: described(orNull(ref('WorkerEnding')), 'With gone: what became of it.'),
  }),
  WorkerEnding: object({
    kind: described(
      oneOf('drained', 'killed', 'boot', 'crash', 'hang'),
      'drained: as it was to; killed: by the master, at a limit; the others as in Death.',
    ),
    cause: described(orNull(string), 'In words; null where the exit says it all.'),
    code: orNull(integer),
    signal: orNull(string),
    lost: described(count, 'Requests that it left unanswered.'),
  }),
  ServiceEvent: object({
    type: { const: 'service' },
    status: oneOf('starting', 'serving', 'stopping'),
    wanted: count,
  }),
  Error: object({
    error: {
      type: 'object',
      required: ['status', 'code', 'message'],
      additionalProperties: false,
      properties: {
        status: integer,
        code: string,
        message: string,
        problems: described(listOf(ref('Problem')), 'With 400, where fields are not right.'),
      },
    },
  }),
  Problem: object({ field: string, value: {}, expected: string }),
};

/** Every property is there, and no other. */
function object(properties: Readonly<Record<string, Schema>>): Schema {
  return { type: 'object', required: Object.keys(properties), additionalProperties: false, properties };
}

function optional(properties: Readonly<Record<string, Schema>>): Schema {
  return { type: 'object', additionalProperties: false, properties };
}

function listOf(items: Schema): Schema {
  return { type: 'array', items };
}

function oneOf(...values: readonly string[]): Schema {
  return { enum: values };
}

function orNull(schema: Schema): Schema {
  return { oneOf: [schema, { type: 'null' }] };
}

function described(schema: Schema, description: string): Schema {
  return { ...schema, description };
}
