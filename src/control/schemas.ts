import * as v from 'valibot';
import type {
  ControlEvent,
  EvidenceAnswer,
  Found,
  ReloadLine,
  StackAnswer,
} from '../protocol/control-api.js';
import { longestProfile, mostWorkers, usualProfile } from '../protocol/limits.js';
import type { ReloadRecord } from '../protocol/reload-record.js';
import type { ClusterStats } from '../protocol/stats.js';
import { badFields, type FieldProblem } from './answers.js';

/** Characters. */
const longestLabel = 64;

const whole = v.pipe(v.number(), v.integer());
const count = v.pipe(whole, v.minValue(0));
const maybeWhole = v.nullable(whole);
const maybeText = v.nullable(v.string());
const numbered = (about: string) => v.pipe(whole, v.description(about));
const counted = (about: string) => v.pipe(count, v.description(about));
const measured = (about: string) => v.pipe(v.number(), v.description(about));
const text = (about: string) => v.pipe(v.string(), v.description(about));
const textOrNull = (about: string) => v.pipe(maybeText, v.description(about));

/** An integer from 1, whose one message says what is expected. */
function upTo(most: number) {
  const expected = `an integer from 1 to ${most}`;
  return v.pipe(v.number(expected), v.integer(expected), v.minValue(1, expected), v.maxValue(most, expected));
}

const labelExpected = `printable characters, 1 to ${longestLabel} of them`;
const flagExpected = 'true or false';
const changeExpected = `an integer other than 0 from -${mostWorkers} to ${mostWorkers}`;

const by = v.optional(
  v.pipe(
    v.string(labelExpected),
    v.regex(new RegExp(`^[\\p{L}\\p{M}\\p{N}\\p{P}\\p{S} ]{1,${longestLabel}}$`, 'u'), labelExpected),
    v.description('Who asks, for the log and the records. A label, not a proof. Printable characters only.'),
  ),
  'control',
);

/** The number of a worker in a path. */
export const workerId = upTo(mostWorkers);

const Label = v.strictObject({ by });
const ReloadOptions = v.strictObject({
  by,
  soak: v.optional(
    v.pipe(
      v.boolean(flagExpected),
      v.description('Whether the canary is watched before other workers are replaced.'),
    ),
    true,
  ),
  rollback: v.optional(
    v.pipe(
      v.boolean(flagExpected),
      v.description('If false, workers are replaced even if the new ones fail.'),
    ),
    true,
  ),
});
const ScaleOptions = v.union(
  [
    v.strictObject({ by, to: v.pipe(upTo(mostWorkers), v.description('The number of workers.')) }),
    v.strictObject({
      by,
      add: v.pipe(
        v.number(changeExpected),
        v.integer(changeExpected),
        v.minValue(-mostWorkers, changeExpected),
        v.maxValue(mostWorkers, changeExpected),
        v.notValue(0, changeExpected),
        v.description('How many workers to add; negative: to remove.'),
      ),
    }),
  ],
  'either "to" or "add"',
);
const ProfileOptions = v.strictObject({
  by,
  seconds: v.optional(v.pipe(upTo(longestProfile), v.description('Duration of the profile.')), usualProfile),
});

/** What the routes take, by the names of the schemas. */
export const bodies = { Label, ReloadOptions, ScaleOptions, ProfileOptions };

export type Body<Name extends keyof typeof bodies> = v.InferOutput<(typeof bodies)[Name]>;

/**
 * The fields of a body, with the defaults of those that are missing.
 *
 * @throws ControlError 400, with everything that is wrong
 */
export function readFields<Name extends keyof typeof bodies>(
  fields: Readonly<Record<string, unknown>>,
  name: Name,
): Body<Name> {
  const schema = bodies[name];
  const entries: Readonly<Record<string, v.GenericSchema>> =
    schema.type === 'union'
      ? Object.assign({}, ...schema.options.map((option) => option.entries))
      : schema.entries;
  const problems = Object.entries(fields).flatMap(([field, value]): FieldProblem[] => {
    const known = Object.hasOwn(entries, field) ? entries[field] : undefined;
    if (known === undefined)
      return [{ field, value, expected: `only the fields ${Object.keys(entries).join(', ')}` }];
    const [issue] = v.safeParse(known, value).issues ?? [];
    return issue === undefined ? [] : [{ field, value, expected: issue.message }];
  });
  if (problems.length > 0) throw badFields(problems);
  const result = v.safeParse(schema, fields);
  if (result.success) return result.output as Body<Name>;
  // Each field is right, but not their number: all of those of which one is expected, or none of them.
  const { by: _, ...given } = fields;
  const [field = ''] = Object.keys(entries).filter((key) => key !== 'by');
  const value = Object.keys(given).length === 0 ? null : given;
  throw badFields([{ field, value, expected: result.issues[0].message }]);
}

const RequestInFlight = v.strictObject({
  method: v.string(),
  path: text('Without its query.'),
  age: measured('ms'),
});

const ReloadStep = v.strictObject({
  at: measured('ms since the reload began.'),
  step: v.picklist([
    'begun',
    'forked',
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
  at: numbered('Wall clock, ms since 1970.'),
  took: v.pipe(v.nullable(v.number()), v.description('ms; null while it is in progress.')),
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
  uptime: counted('s'),
  restarts: count,
  heartbeatAge: v.pipe(
    v.nullable(v.number()),
    v.description(
      'ms since its last heartbeat. Workers send one each second; the fields below are as of it.',
    ),
  ),
  requests: count,
  requestsPerSecond: v.number(),
  inFlight: count,
  connections: count,
  rss: counted('Bytes.'),
  heapUsed: counted('Bytes.'),
  eventLoopDelay: measured('99th percentile, ms.'),
  eventLoopUtilization: measured('0 to 1'),
});

const Death = v.strictObject({
  ago: counted('s'),
  worker: v.pipe(maybeWhole, v.description('Number of the slot; null: a spare.')),
  pid: maybeWhole,
  generation: whole,
  kind: v.picklist(['boot', 'crash', 'hang']),
  cause: v.string(),
  code: maybeWhole,
  signal: maybeText,
  uptime: counted('s since the fork.'),
  lost: counted('Requests in flight.'),
  requests: v.pipe(v.array(RequestInFlight), v.description('Those that are known.')),
  oomKills: counted('Processes that the kernel killed for memory in the meantime.'),
  stack: maybeText,
});

const Poison = v.strictObject({
  method: v.string(),
  route: text('The path, with the parts that differ between requests replaced.'),
  deaths: count,
  ago: counted('s since the last of these deaths.'),
  blockedFor: counted('s for which such requests are still answered with 503.'),
});

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
    uptime: counted('s'),
    version: v.string(),
    node: v.string(),
    rss: counted('Resident set size, bytes.'),
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
  poison: v.pipe(v.array(Poison), v.description('Requests that were in flight at more than one death.')),
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

const EvidenceFile = v.strictObject({
  path: text('Absolute, on the machine of the daemon.'),
  bytes: count,
}) satisfies v.GenericSchema<unknown, Found<EvidenceAnswer>>;

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
const Event = v.variant('type', [
  StepEvent,
  RecordEvent,
  WorkerEvent,
  ServiceEvent,
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
const ReloadLineSchema = v.variant('type', [
  ReloadAccepted,
  StepEvent,
  RecordEvent,
]) satisfies v.GenericSchema<unknown, ReloadLine>;

const Problem = v.strictObject({ field: v.string(), value: v.unknown(), expected: v.string() });

/** What the routes answer with, and what that consists of, by the names in the OpenAPI document. */
export const answers = {
  Overview: v.strictObject({
    name: v.literal('rom-agent'),
    version: v.string(),
    pid: numbered('Of the master.'),
    routes: v.array(v.strictObject({ method: v.picklist(['GET', 'POST']), path: v.string() })),
  }),
  Message: v.strictObject({ message: text("The daemon's answer, one sentence.") }),
  Stack,
  EvidenceFile,
  Status,
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
  ReloadRecord: ReloadRecordSchema,
  ReloadSummary,
  ReloadStep,
  ReloadLine: ReloadLineSchema,
  ReloadAccepted,
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
