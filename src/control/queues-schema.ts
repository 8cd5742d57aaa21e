import * as v from 'valibot';
import type { FailedJobsAnswer, QueueSummary, QueuesAnswer } from '../protocol/queues.js';

const count = (about: string) => v.pipe(v.number(), v.integer(), v.minValue(0), v.description(about));
const text = (about: string) => v.pipe(v.string(), v.description(about));

const Queue = v.strictObject({
  name: v.string(),
  waiting: count('Jobs that could be handled now.'),
  delayed: count('Jobs whose time has not come, or that are tried again later.'),
  active: count('Jobs that are being handled.'),
  completed: count('Since the state directory was made, or as far back as Redis keeps them.'),
  failed: count('Jobs that failed in their last attempt.'),
}) satisfies v.GenericSchema<unknown, QueueSummary>;

/** The answers about the queues of apps, by the names of their schemas. */
export const queueAnswers = {
  Queues: v.strictObject({
    engine: v.pipe(
      v.nullable(
        v.strictObject({
          kind: v.picklist(['embedded', 'redis']),
          connected: v.boolean(),
          lostAtMs: v.optional(
            v.pipe(v.number(), v.description('Since when it is not connected, Unix time.')),
          ),
        }),
      ),
      v.description('null: no app has asked for the backplane.'),
    ),
    queues: v.array(Queue),
  }) satisfies v.GenericSchema<unknown, QueuesAnswer>,
  Queue,
  FailedJobs: v.strictObject({
    jobs: v.pipe(
      v.array(
        v.strictObject({
          id: v.string(),
          name: v.nullable(v.string()),
          data: v.optional(v.unknown()),
          attempts: count('How often it was tried.'),
          failedAtMs: count('Wall clock, since 1970.'),
          error: text('The message of the last error.'),
        }),
      ),
      v.description('Newest first.'),
    ),
  }) satisfies v.GenericSchema<unknown, FailedJobsAnswer>,
};
