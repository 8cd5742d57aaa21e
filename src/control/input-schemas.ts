import * as v from 'valibot';
import { longestProfile, mostWorkers, usualProfile } from '../protocol/limits.js';
import { mostLogLines } from '../protocol/log-line.js';
import { mostFailedJobs, usualFailedJobs } from '../protocol/queues.js';
import { longestSince, mostWhyLines } from '../protocol/why.js';
import { badFields, type FieldProblem } from './answers.js';

/** Characters. */
const longestLabel = 64;

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
    v.strictObject({
      by,
      auto: v.pipe(
        v.literal(true, 'true'),
        v.description('The number follows the load again, where workers is a range.'),
      ),
    }),
  ],
  'one of "to", "add" and "auto"',
);
const ProfileOptions = v.strictObject({
  by,
  seconds: v.optional(v.pipe(upTo(longestProfile), v.description('Duration of the profile.')), usualProfile),
});

const refExpected = 'a branch, a tag or a commit';
const DeployOptions = v.strictObject({
  by,
  ref: v.optional(
    v.pipe(
      v.string(refExpected),
      v.regex(/^(?![-/])[\w./@+:-]{1,300}$/, refExpected),
      v.description('What is deployed; deploy.ref unless given.'),
    ),
  ),
  dryRun: v.optional(
    v.pipe(
      v.boolean(flagExpected),
      v.description('Whether the daemon only says what it would do, and whether it could.'),
    ),
    false,
  ),
  origin: v.optional(
    v.pipe(
      v.picklist(['command', 'hook', 'schedule', 'fleet'], 'command, hook, schedule or fleet'),
      v.description('From where it comes, for the history.'),
    ),
    'command',
  ),
});
const releaseExpected = 'the ID of a release, as GET /v1/releases lists it';
const RolloutOptions = v.strictObject({
  by,
  kind: v.picklist(['reload', 'deploy'], '"reload" or "deploy"'),
  soak: ReloadOptions.entries.soak,
  ref: DeployOptions.entries.ref,
});
const nodeExpected = 'the absolute path of a Node.js';
const patienceExpected = 'ms, from 0 to 604800000 (a week)';
const UpgradeOptions = v.strictObject({
  by,
  node: v.optional(
    v.pipe(
      v.string(nodeExpected),
      v.regex(/^\/[^\0]{1,1000}$/, nodeExpected),
      v.description('Runs the next master; the present one unless given.'),
    ),
  ),
  patienceMs: v.optional(
    v.pipe(
      v.number(patienceExpected),
      v.integer(patienceExpected),
      v.minValue(0, patienceExpected),
      v.maxValue(604_800_000, patienceExpected),
      v.description('How long the connections of the old workers may go on.'),
    ),
    3_600_000,
  ),
});
const RollbackOptions = v.strictObject({
  by,
  release: v.optional(
    v.pipe(
      v.string(releaseExpected),
      v.regex(/^\w[\w.-]{0,99}$/, releaseExpected),
      v.description('The last one that served before the current one unless given.'),
    ),
  ),
});

const WhyQuery = v.strictObject({
  since: v.optional(v.pipe(upTo(longestSince), v.description('Only lines of the last so many seconds.'))),
  worker: v.optional(v.pipe(upTo(mostWorkers), v.description('Only lines of the worker of this slot.'))),
  lines: v.optional(
    v.pipe(upTo(mostWhyLines), v.description('At most so many, the newest; 1000 unless given.')),
  ),
});

const linesExpected = `an integer from 0 to ${mostLogLines}`;
const LogsQuery = v.strictObject({
  lines: v.optional(
    v.pipe(
      v.number(linesExpected),
      v.integer(linesExpected),
      v.minValue(0, linesExpected),
      v.maxValue(mostLogLines, linesExpected),
      v.description('How many of the last lines come first; 100 unless given.'),
    ),
    100,
  ),
  follow: v.optional(
    v.pipe(
      v.picklist(['on', 'off'], '"on" or "off"'),
      v.description('off: the stream ends after the last lines; on unless given.'),
    ),
    'on',
  ),
});

const queueExpected = 'the name of a queue, 1 to 512 characters';
const queue = v.pipe(v.string(queueExpected), v.minLength(1, queueExpected), v.maxLength(512, queueExpected));
const jobExpected = 'the ID of a failed job, 1 to 512 characters';
const RetryOptions = v.strictObject({
  by,
  queue,
  id: v.pipe(v.string(jobExpected), v.minLength(1, jobExpected), v.maxLength(512, jobExpected)),
});
const FailedJobsQuery = v.strictObject({
  queue,
  limit: v.optional(
    v.pipe(
      upTo(mostFailedJobs),
      v.description(`At most so many, the newest; ${usualFailedJobs} unless given.`),
    ),
    usualFailedJobs,
  ),
});

const JobLogQuery = v.strictObject({
  run: v.optional(
    v.pipe(
      v.string('the id of a run'),
      v.regex(/^[\w@-]{1,128}$/, 'the id of a run'),
      v.description('The run whose output is wanted; the last one that began unless given.'),
    ),
  ),
});

/** What the routes take, by the names of the schemas. */
export const bodies = {
  ...{ Label, ReloadOptions, RolloutOptions, ScaleOptions, ProfileOptions },
  ...{ DeployOptions, RollbackOptions, RetryOptions, UpgradeOptions },
};
/** What stands in the query of those that take one. */
export const queries = { WhyQuery, LogsQuery, FailedJobsQuery, JobLogQuery };

const inputs = { ...bodies, ...queries };

export type Body<Name extends keyof typeof inputs> = v.InferOutput<(typeof inputs)[Name]>;

/**
 * The fields of a body or of a query, with the defaults of those that are missing.
 *
 * @throws ControlError 400, with everything that is wrong
 */
export function readFields<Name extends keyof typeof inputs>(
  fields: Readonly<Record<string, unknown>>,
  name: Name,
): Body<Name> {
  const schema = inputs[name];
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
