import * as v from 'valibot';
import type { JobLog } from '../protocol/control-api.js';
import {
  type JobCounters,
  type JobLine,
  type JobRun,
  type JobStatus,
  jobVerdicts,
  type PublicJob,
} from '../protocol/jobs.js';

const count = v.pipe(v.number(), v.integer(), v.minValue(0));
const maybeNumber = v.nullable(v.number());
const maybeText = v.nullable(v.string());
const verdict = v.picklist(jobVerdicts);

export const JobRunSchema = v.strictObject({
  id: v.string(),
  job: v.string(),
  dueMs: v.pipe(
    maybeNumber,
    v.description('The due time that it is for, since 1970; null: somebody asked for it.'),
  ),
  by: v.pipe(v.string(), v.description('`schedule`, or who asked for it.')),
  startedMs: v.pipe(v.number(), v.description('Since 1970.')),
  endedMs: v.pipe(maybeNumber, v.description('Since 1970; null: it is not over.')),
  verdict: v.nullable(verdict),
  reason: v.pipe(maybeText, v.description('Why; null: the verdict says it all.')),
  attempts: v.pipe(count, v.description('0: it never began.')),
  exitCode: maybeNumber,
  signal: maybeText,
  outputBytes: v.pipe(count, v.description('What it wrote, with what was not kept.')),
  missed: v.pipe(count, v.description('Due times that it stands for beside its own.')),
}) satisfies v.GenericSchema<unknown, JobRun>;

const jobFields = {
  name: v.string(),
  schedule: v.string(),
  timezone: v.pipe(maybeText, v.description('null: that of the machine.')),
  enabled: v.boolean(),
};

export const JobSchema = v.strictObject({
  ...jobFields,
  work: v.pipe(v.string(), v.description('What it does, in a few words.')),
  nextMs: v.pipe(maybeNumber, v.description('Since 1970; null: never.')),
  running: v.array(JobRunSchema),
  queued: v.pipe(count, v.description('Runs that wait for the one before.')),
  last: v.pipe(v.nullable(JobRunSchema), v.description('The last run that is over.')),
}) satisfies v.GenericSchema<unknown, JobStatus>;

export const PublicJobSchema = v.strictObject({
  ...jobFields,
  nextAt: v.pipe(maybeText, v.description('ISO 8601, UTC; null: never.')),
  running: count,
  queued: count,
  lastVerdict: v.nullable(verdict),
  lastEndedAt: maybeText,
  lastTookMs: maybeNumber,
}) satisfies v.GenericSchema<unknown, PublicJob>;

export const JobCountersSchema = v.strictObject({
  name: v.string(),
  verdicts: v.pipe(v.record(v.string(), count), v.description('Runs that are over, by verdict.')),
  missed: v.pipe(count, v.description('Due times that passed unseen.')),
  secondsTotal: v.number(),
  lastSeconds: maybeNumber,
  lastSuccessSeconds: v.pipe(maybeNumber, v.description('Wall clock, since 1970.')),
  nextSeconds: v.pipe(maybeNumber, v.description('Wall clock, since 1970.')),
  running: count,
}) satisfies v.GenericSchema<unknown, JobCounters>;

const RunLine = v.strictObject({ type: v.literal('run'), run: JobRunSchema });
const OutputLine = v.strictObject({
  type: v.literal('output'),
  stream: v.picklist(['out', 'err']),
  text: v.string(),
});
const EndedLine = v.strictObject({ type: v.literal('ended'), run: JobRunSchema });

/** By the names that the OpenAPI document gives them. */
export const jobSchemas = {
  Jobs: v.array(JobSchema),
  Job: JobSchema,
  JobRun: JobRunSchema,
  PublicJob: PublicJobSchema,
  JobCounters: JobCountersSchema,
  JobLine: v.variant('type', [RunLine, OutputLine, EndedLine]) satisfies v.GenericSchema<unknown, JobLine>,
  JobRunLine: RunLine,
  JobOutputLine: OutputLine,
  JobEndedLine: EndedLine,
  JobLog: v.strictObject({
    runs: v.pipe(v.array(JobRunSchema), v.description('Newest first.')),
    run: v.pipe(v.nullable(JobRunSchema), v.description('That whose output this is.')),
    output: v.string(),
  }) satisfies v.GenericSchema<unknown, JobLog>,
};

const run: JobRun = {
  ...{ id: '20261127T020000-1f9c3a', job: 'report', dueMs: 1_795_744_800_000, by: 'schedule' },
  ...{ startedMs: 1_795_744_800_012, endedMs: 1_795_744_861_512, verdict: 'done', reason: null },
  ...{ attempts: 1, exitCode: 0, signal: null, outputBytes: 1_204, missed: 0 },
};
const job: JobStatus = {
  ...{ name: 'report', schedule: '0 2 * * *', timezone: 'America/Sao_Paulo', enabled: true },
  ...{ work: 'node report.js', nextMs: 1_795_831_200_000, running: [], queued: 0, last: run },
};

export const jobExamples = {
  Jobs: [job],
  JobLog: { runs: [run], run, output: 'wrote 4211 rows\n' } satisfies JobLog,
  JobLine: {
    run: { type: 'run', run: { ...run, endedMs: null, verdict: null, exitCode: null, outputBytes: 0 } },
    output: { type: 'output', stream: 'out', text: 'wrote 4211 rows\n' },
    ended: { type: 'ended', run },
  } as const satisfies Record<JobLine['type'], JobLine>,
};
