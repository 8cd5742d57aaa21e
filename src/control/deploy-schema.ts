import * as v from 'valibot';
import {
  type DeployLine,
  deployOrigins,
  deployStages,
  deployVerdicts,
  type ReleasesAnswer,
} from '../protocol/deploy.js';

const maybeText = v.nullable(v.string());
const numbered = (about: string) => v.pipe(v.number(), v.integer(), v.description(about));
const measured = (about: string) => v.pipe(v.number(), v.description(about));
const text = (about: string) => v.pipe(v.string(), v.description(about));
const textOrNull = (about: string) => v.pipe(maybeText, v.description(about));

const DeployRecordSchema = v.strictObject({
  id: text('Of the release.'),
  ref: textOrNull('What was asked for; null: what the source itself has.'),
  commit: textOrNull('Of git; the SHA-256 of a tarball; null: a directory was copied.'),
  by: v.string(),
  origin: v.picklist(deployOrigins),
  atMs: numbered('Wall clock, since 1970.'),
  tookMs: v.number(),
  verdict: v.pipe(
    v.picklist(deployVerdicts),
    v.description(
      'done: it serves; unchanged: it served already; failed: it never became current; rolled-back: its reload was; interrupted: the deploy was killed, and the release before serves.',
    ),
  ),
  reason: textOrNull('Why it is not done.'),
  previous: textOrNull('The release that served before.'),
});
const DeployUnderWay = v.strictObject({
  id: v.string(),
  by: v.string(),
  origin: v.picklist(deployOrigins),
  atMs: numbered('Wall clock, since 1970.'),
  stage: v.picklist(deployStages),
});
const Releases = v.strictObject({
  directory: text('Absolute, deploy.directory.'),
  current: textOrNull('The release to which the link current leads.'),
  releases: v.pipe(
    v.array(
      v.strictObject({ id: v.string(), isCurrent: v.boolean(), deploy: v.nullable(DeployRecordSchema) }),
    ),
    v.description('Newest first.'),
  ),
  deploys: v.pipe(v.array(DeployRecordSchema), v.maxLength(50), v.description('Newest first.')),
  underWay: v.nullable(DeployUnderWay),
}) satisfies v.GenericSchema<unknown, ReleasesAnswer>;
const DeployAccepted = v.strictObject({
  type: v.literal('answer'),
  accepted: v.literal(true),
  id: text('Of the release.'),
  message: v.string(),
});
const DeployStageLine = v.strictObject({
  type: v.literal('stage'),
  atMs: measured('Since the deploy began.'),
  stage: v.picklist(deployStages),
  name: textOrNull('Of the command.'),
  detail: v.string(),
});
const DeployOutput = v.strictObject({
  type: v.literal('output'),
  name: text('Of the command.'),
  text: text('A line that it wrote.'),
});
const DeployPlan = v.strictObject({
  type: v.literal('plan'),
  isGood: v.pipe(v.boolean(), v.description('Whether the deploy could begin.')),
  findings: v.array(v.strictObject({ what: v.string(), isGood: v.boolean(), detail: v.string() })),
});
const DeployLineSchema = v.variant('type', [
  DeployAccepted,
  DeployStageLine,
  DeployOutput,
  DeployPlan,
  v.strictObject({ type: v.literal('record'), record: DeployRecordSchema }),
]) satisfies v.GenericSchema<unknown, DeployLine>;

/** What the routes of deploys answer with, by the names in the OpenAPI document. */
export const deployAnswers = {
  DeployLine: DeployLineSchema,
  DeployRecord: DeployRecordSchema,
  DeployUnderWay,
  Releases,
};

/** Of the status. */
export const deploySummary = v.pipe(
  v.strictObject({
    current: maybeText,
    commit: maybeText,
    underWay: textOrNull('The release that is being deployed.'),
    last: v.nullable(
      v.strictObject({
        id: v.string(),
        verdict: v.picklist(deployVerdicts),
        atMs: numbered('Wall clock, since 1970.'),
        tookMs: v.number(),
      }),
    ),
  }),
  v.description('Absent where there is no `[deploy]`.'),
);

/** Of the metrics. */
export const deployMetrics = v.strictObject({
  verdicts: v.pipe(v.record(v.string(), v.number()), v.description('Deploys that are over, by verdict.')),
  lastTookSeconds: v.nullable(v.number()),
  isUnderWay: v.boolean(),
  current: maybeText,
  commit: maybeText,
});
