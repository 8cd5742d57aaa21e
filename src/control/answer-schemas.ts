import * as v from 'valibot';
import type {
  ControlEvent,
  EvidenceAnswer,
  EvidenceFile,
  Found,
  NotifyAnswer,
  ReloadLine,
  StackAnswer,
} from '../protocol/control-api.js';
import { type LogsLine, logLevels } from '../protocol/log-line.js';
import type { MetricsSnapshot } from '../protocol/metrics.js';
import type { ReloadRecord } from '../protocol/reload-record.js';
import type { ClusterStats } from '../protocol/stats.js';
import { type Why, whyKinds } from '../protocol/why.js';
import { deployAnswers, deploySummary } from './deploy-schema.js';
import { fleetAnswers } from './fleet-schema.js';
import { jobSchemas } from './job-schemas.js';
import { LeakSchema, Metrics, RouteCostsSchema } from './metrics-schema.js';
import { CellSchema, Poison } from './poison-schema.js';
import { queueAnswers } from './queues-schema.js';
import { upgradeAnswers } from './upgrade-routes.js';

const whole = v.pipe(v.number(), v.integer());
const count = v.pipe(whole, v.minValue(0));
const maybeWhole = v.nullable(whole);
const maybeText = v.nullable(v.string());
const numbered = (about: string) => v.pipe(whole, v.description(about));
const counted = (about: string) => v.pipe(count, v.description(about));
const measured = (about: string) => v.pipe(v.number(), v.description(about));
const text = (about: string) => v.pipe(v.string(), v.description(about));
const textOrNull = (about: string) => v.pipe(maybeText, v.description(about));

const WhyLineSchema = v.strictObject({
  at: text('Wall clock, ISO 8601 in UTC.'),
  worker: v.pipe(maybeWhole, v.description('Number of the slot; null: a spare, or the service as a whole.')),
  pid: v.pipe(maybeWhole, v.description('Of the worker; null: none yet, or the service as a whole.')),
  generation: v.pipe(maybeWhole, v.description('Of the worker; null: the service as a whole.')),
  kind: v.picklist(whyKinds),
  text: text('What happened, or what was decided.'),
  cause: textOrNull('From what; null where it begins there, as a command or a signal does.'),
  advice: textOrNull('What an operator can do about it.'),
});

const RequestInFlight = v.strictObject({
  method: v.string(),
  path: text('Without its query.'),
  ageMs: measured('Since its first line was read.'),
});

const ReloadStep = v.strictObject({
  atMs: measured('Since the reload began.'),
  step: v.picklist([
    'begun',
    'forked',
    'mirror',
    'mirrored',
    'ready',
    'probed',
    'soaked',
    'draining',
    'died',
    'rollback',
    'verdict',
  ]),
  worker: maybeWhole,
  generation: maybeWhole,
  detail: v.string(),
});

const reload = {
  serial: numbered('Number of the reload, from 1, across restarts of the daemon.'),
  generation: whole,
  from: numbered('The generation that it replaces.'),
  release: text('The release that it serves.'),
  by: v.string(),
  atMs: numbered('Wall clock, since 1970.'),
  tookMs: v.pipe(v.nullable(v.number()), v.description('null while it is in progress.')),
  accepted: counted('Connections that the service accepted during the reload.'),
  moved: counted('Requests in flight when their worker was replaced.'),
  lost: counted('How many of those requests were cut.'),
  verdict: v.nullable(v.picklist(['done', 'rolled-back', 'superseded', 'stopped'])),
  reason: textOrNull('Why it was rolled back or stopped.'),
};
const ReloadSummary = v.strictObject(reload);
const ReloadRecordSchema = v.strictObject({ ...reload, steps: v.array(ReloadStep) });

const Worker = v.strictObject({
  id: v.pipe(
    maybeWhole,
    v.description(
      'Number of the slot, from 1; null: a spare. Two workers share it while one replaces the other.',
    ),
  ),
  pid: maybeWhole,
  phase: v.picklist(['starting', 'spare', 'ready', 'draining', 'dying']),
  health: v.picklist(['healthy', 'degraded', 'unhealthy', 'unresponsive']),
  generation: whole,
  uptimeSeconds: count,
  restarts: count,
  heartbeatAgeMs: v.pipe(
    v.nullable(v.number()),
    v.description('Since its last heartbeat. Workers send one each second; the fields below are as of it.'),
  ),
  requests: count,
  requestsPerSecond: v.number(),
  inFlight: count,
  connections: count,
  rssBytes: counted('Resident set size.'),
  heapUsedBytes: count,
  eventLoopDelayMs: measured('99th percentile.'),
  eventLoopUtilization: measured('0 to 1'),
  shedRequests: v.exactOptional(
    v.pipe(v.number(), v.description('Answered with 503 without the app; absent where `[shed]` is off.')),
  ),
  keepAliveTimeoutMs: v.exactOptional(
    v.pipe(
      v.number(),
      v.description('How long its servers keep idle connections; absent where it is unknown.'),
    ),
  ),
});

const Death = v.strictObject({
  agoSeconds: count,
  worker: v.pipe(maybeWhole, v.description('Number of the slot; null: a spare.')),
  pid: maybeWhole,
  generation: whole,
  kind: v.picklist(['boot', 'crash', 'hang']),
  cause: v.string(),
  code: maybeWhole,
  signal: maybeText,
  uptimeSeconds: counted('Since the fork.'),
  lost: counted('Requests in flight.'),
  requests: v.pipe(v.array(RequestInFlight), v.description('Those that are known.')),
  oomKills: counted('Processes that the kernel killed for memory in the meantime.'),
  stack: maybeText,
});

const stall = {
  worker: v.pipe(maybeWhole, v.description('Number of the slot; null: a spare.')),
  pid: maybeWhole,
  generation: whole,
  tookMs: measured('How long the event loop was blocked.'),
  cause: v.pipe(
    v.picklist(['code', 'gc', 'starved']),
    v.description('code: a function of the app; gc: garbage collection; starved: the process did not run.'),
  ),
  gcMs: measured('How much of it was garbage collection.'),
  notRunMs: measured('How much of it the process did not run.'),
  function: textOrNull('The function in which the time went.'),
  file: textOrNull('Its file; the source, if a source map leads to it.'),
  line: maybeWhole,
  column: maybeWhole,
  exact: v.pipe(
    v.boolean(),
    v.description(
      'false: the time went into native code, called by this function or by one that it had just called.',
    ),
  ),
  share: measured('Share of the looks that found this function, 0 to 1.'),
  looks: count,
  stack: maybeText,
  requests: v.pipe(v.array(RequestInFlight), v.description('In flight meanwhile.')),
  more: counted('Stalls in the same function since the last report, which were only counted.'),
};
const Stall = v.strictObject({ agoSeconds: counted('s since it ended.'), ...stall });

const serviceStatus = v.picklist(['starting', 'serving', 'stopping']);

const Status = v.strictObject({
  status: serviceStatus,
  kind: v.picklist(['server', 'process']),
  mode: v.picklist(['single', 'cluster', 'turbo']),
  generation: whole,
  wanted: counted('Configured number of workers.'),
  ready: counted('Number of workers that serve.'),
  restarts: counted('Of workers, since the master started.'),
  requests: counted('Since the master started.'),
  requestsPerSecond: measured('Over the last one to two seconds.'),
  inFlight: count,
  master: v.strictObject({
    pid: whole,
    uptimeSeconds: count,
    version: v.string(),
    node: v.string(),
    rssBytes: counted('Resident set size.'),
  }),
  workers: v.array(Worker),
  lastReload: v.pipe(
    v.nullable(ReloadRecordSchema),
    v.description('The reload in progress, otherwise the last one.'),
  ),
  reloads: v.pipe(v.array(ReloadSummary), v.maxLength(50), v.description('Finished reloads, newest first.')),
  spares: v.strictObject({ wanted: count, ready: count }),
  deaths: v.pipe(
    v.array(Death),
    v.maxLength(10),
    v.description('Unexpected deaths of workers, newest first.'),
  ),
  stalls: v.pipe(
    v.array(Stall),
    v.maxLength(10),
    v.description(
      'Times that the event loop of a worker was blocked for longer than health.stall_report, newest first.',
    ),
  ),
  leaks: v.pipe(
    v.array(LeakSchema),
    v.description('Kinds of requests that leave memory behind, the worst first.'),
  ),
  costs: v.exactOptional(
    v.pipe(
      RouteCostsSchema,
      v.description('What the kinds of requests cost; absent until that can be told.'),
    ),
  ),
  poison: v.pipe(v.array(Poison), v.description('Requests that were in flight at more than one death.')),
  cell: v.exactOptional(CellSchema),
  autoscale: v.exactOptional(
    v.pipe(
      v.strictObject({
        min: whole,
        max: whole,
        held: v.pipe(
          v.boolean(),
          v.description('An operator asked for the number in force: it does not follow the load.'),
        ),
        last: v.nullable(v.strictObject({ agoSeconds: count, from: whole, to: whole, why: v.string() })),
      }),
      v.description('Absent where workers is a fixed number.'),
    ),
  ),
  jobs: v.exactOptional(v.pipe(v.array(jobSchemas.PublicJob), v.description('Absent where there are none.'))),
  deploys: v.exactOptional(deploySummary),
}) satisfies v.GenericSchema<unknown, ClusterStats>;

const Stack = v.strictObject({
  worker: whole,
  pid: whole,
  state: v.pipe(
    v.picklist(['running', 'stopped', 'blocked', 'starved', 'idle', 'unknown']),
    v.description(
      'running: JavaScript runs; stopped: by a signal; blocked: in a system call; starved: the worker gets no CPU; idle: its event loop waits.',
    ),
  ),
  stack: textOrNull('Innermost first; null if no JavaScript ran or the stack is unavailable.'),
  at: textOrNull("The innermost frame that is not Node's own."),
  requests: v.pipe(
    v.nullable(v.array(RequestInFlight)),
    v.description('In flight, oldest first; null: unknown.'),
  ),
  detail: textOrNull('Further explanation.'),
}) satisfies v.GenericSchema<unknown, Found<StackAnswer>>;

const WrittenFile = v.strictObject({
  path: text('Absolute, on the machine of the daemon.'),
  bytes: count,
}) satisfies v.GenericSchema<unknown, Found<EvidenceAnswer>>;

const EvidenceList = v.pipe(
  v.array(
    v.strictObject({
      name: text('Without a folder.'),
      kind: v.picklist(['profile', 'heap-snapshot', 'other']),
      worker: maybeWhole,
      bytes: count,
      atMs: numbered('When it was last written, ms since 1970.'),
    }),
  ),
  v.description('Newest first.'),
) satisfies v.GenericSchema<unknown, readonly EvidenceFile[]>;

const SourceLine = v.strictObject({
  type: v.literal('source'),
  source: v.pipe(
    v.variant('kind', [
      v.strictObject({ kind: v.literal('journal'), unit: maybeText, ofUser: v.boolean() }),
      v.strictObject({ kind: v.literal('file'), path: v.string() }),
      v.strictObject({ kind: v.literal('folder'), path: v.string() }),
      v.strictObject({ kind: v.literal('none') }),
    ]),
    v.description(
      'Where the lines of master, workers and app are. folder: daily files, without the output of the app; none: a terminal or a pipe.',
    ),
  ),
  lines: v.pipe(whole, v.description('How many lines come that were written before.')),
});
const OwnLine = v.strictObject({
  type: v.literal('line'),
  line: v.strictObject({
    atMs: numbered('ms since 1970.'),
    level: v.picklist(logLevels),
    worker: v.pipe(maybeWhole, v.description('Number of the slot that the line is about.')),
    pid: maybeWhole,
    from: v.picklist(['master', 'worker', 'app']),
    message: v.string(),
    fields: v.record(v.string(), v.unknown()),
  }),
});
const LogsLineSchema = v.variant('type', [SourceLine, OwnLine]) satisfies v.GenericSchema<unknown, LogsLine>;

const StepEvent = v.strictObject({ type: v.literal('step'), generation: whole, step: ReloadStep });
const RecordEvent = v.strictObject({ type: v.literal('record'), record: ReloadRecordSchema });
const WorkerEnding = v.strictObject({
  kind: v.pipe(
    v.picklist(['drained', 'killed', 'boot', 'crash', 'hang']),
    v.description('drained: as requested; killed: by the master, at a limit; the others as in Death.'),
  ),
  cause: textOrNull('An explanation; null if code and signal say it all.'),
  code: maybeWhole,
  signal: maybeText,
  lost: counted('Requests that it left unanswered.'),
});
const WorkerEvent = v.strictObject({
  type: v.literal('worker'),
  worker: v.pipe(maybeWhole, v.description('Number of the slot; null: a spare.')),
  pid: maybeWhole,
  generation: whole,
  phase: v.picklist(['starting', 'spare', 'ready', 'draining', 'dying', 'gone']),
  reason: textOrNull('Why it drains or is killed, if that is a failure.'),
  ending: v.pipe(v.nullable(WorkerEnding), v.description('With gone: how the worker ended.')),
});
const ServiceEvent = v.strictObject({ type: v.literal('service'), status: serviceStatus, wanted: count });
const StallEvent = v.strictObject({ type: v.literal('stall'), ...stall });
const Event = v.variant('type', [
  StepEvent,
  RecordEvent,
  WorkerEvent,
  ServiceEvent,
  StallEvent,
]) satisfies v.GenericSchema<unknown, ControlEvent>;

const ReloadAccepted = v.strictObject({
  type: v.literal('answer'),
  accepted: v.literal(true),
  message: v.string(),
  serial: whole,
  generation: whole,
  needRestart: v.pipe(
    v.array(v.string()),
    v.description('Changed settings that take effect only after a restart of the service.'),
  ),
});
const ReloadWaits = v.strictObject({
  type: v.literal('waits'),
  host: text('The host of the fleet that reloads.'),
});
const ReloadRefused = v.strictObject({ type: v.literal('refused'), reason: v.string() });

const ReloadLineSchema = v.variant('type', [
  ReloadAccepted,
  StepEvent,
  RecordEvent,
  ReloadWaits,
  ReloadRefused,
]) satisfies v.GenericSchema<unknown, ReloadLine>;

const Problem = v.strictObject({ field: v.string(), value: v.unknown(), expected: v.string() });

/** What the routes answer with, and what that consists of, by the names in the OpenAPI document. */
export const answers = {
  ...fleetAnswers,
  Overview: v.strictObject({
    name: v.literal('rom-agent'),
    version: v.string(),
    pid: numbered('Of the master.'),
    routes: v.array(v.strictObject({ method: v.picklist(['GET', 'POST']), path: v.string() })),
  }),
  Notified: v.strictObject({
    results: v.array(
      v.strictObject({
        target: text('In words, without what is secret.'),
        failure: textOrNull('Why it was not told; null: it was.'),
        tookMs: count,
      }),
    ),
  }) satisfies v.GenericSchema<unknown, Found<NotifyAnswer>>,
  Message: v.strictObject({ message: text("The daemon's answer, one sentence.") }),
  Stack,
  EvidenceFile: WrittenFile,
  EvidenceList,
  LogsLine: LogsLineSchema,
  SourceLine,
  OwnLine,
  Status,
  ...jobSchemas,
  Metrics: Metrics satisfies v.GenericSchema<unknown, MetricsSnapshot>,
  Request: RequestInFlight,
  Death,
  Poison,
  Worker,
  Config: v.pipe(
    v.record(v.string(), v.strictObject({ value: v.unknown(), from: text('Where the value comes from.') })),
    v.description('The effective settings by key. Times in ms, sizes in MiB.'),
  ),
  History: v.pipe(
    v.array(ReloadRecordSchema),
    v.maxLength(50),
    v.description('Newest first.'),
  ) satisfies v.GenericSchema<unknown, ReloadRecord[]>,
  Why: v.strictObject({
    lines: v.pipe(v.array(WhyLineSchema), v.description('Oldest first.')),
    problem: textOrNull('Why there are none, or not all; null: nothing is wrong.'),
  }) satisfies v.GenericSchema<unknown, Why>,
  WhyLine: WhyLineSchema,
  ...deployAnswers,
  ...upgradeAnswers,
  ...queueAnswers,
  ReloadRecord: ReloadRecordSchema,
  ReloadSummary,
  ReloadStep,
  ReloadLine: ReloadLineSchema,
  ReloadAccepted,
  ReloadWaits,
  ReloadRefused,
  Event,
  StepEvent,
  RecordEvent,
  WorkerEvent,
  WorkerEnding,
  ServiceEvent,
  Error: v.strictObject({
    error: v.strictObject({
      status: whole,
      code: v.string(),
      message: v.string(),
      problems: v.optional(v.pipe(v.array(Problem), v.description('With 400, if fields are invalid.'))),
    }),
  }),
  Problem,
};
