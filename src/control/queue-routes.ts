import type { RouteParts } from './fleet-routes.js';
import { type Body, readFields } from './input-schemas.js';
import type { Question, Route } from './routes.js';

/** What the routes of the queues have in common with the others. */
export interface QueueRouteParts extends Pick<RouteParts, 'get' | 'accepted'> {
  readonly post: <Name extends 'Label' | 'RetryOptions'>(
    path: string,
    takes: Name,
    command: {
      readonly about: Pick<Route, 'operationId' | 'summary' | 'description'>;
      readonly ask: (body: Body<Name>, question: Question) => ReturnType<Question['commands']['retryJob']>;
    },
  ) => Route;
}

export function queueRoutes({ get, post, accepted }: QueueRouteParts): readonly Route[] {
  return [
    get('/v1/queues', 'Queues', {
      about: { operationId: 'queues', summary: 'The queues of the app, and how many jobs each has' },
      ask: async ({ commands }) => {
        const { accepted: _, ...found } = accepted(await commands.queues());
        return found;
      },
    }),
    {
      ...get('/v1/queues/failed', 'FailedJobs', {
        about: { operationId: 'failedJobs', summary: 'The failed jobs of a queue' },
        ask: async ({ query, commands }) => {
          const { queue, limit } = readFields(query, 'FailedJobsQuery');
          const { accepted: _, ...found } = accepted(await commands.failedJobs(queue, limit));
          return found;
        },
      }),
      query: 'FailedJobsQuery',
    },
    post('/v1/queues/retry', 'RetryOptions', {
      about: { operationId: 'retryJob', summary: 'Gives a failed job all of its attempts again' },
      ask: ({ by, ...job }, { commands }) => commands.retryJob(job, by),
    }),
    post('/v1/backplane', 'Label', {
      about: {
        operationId: 'backplane',
        summary: 'Starts the process that has the queues of the app',
        description: 'For processes that the app starts; workers ask the master themselves.',
      },
      ask: ({ by }, { commands }) => commands.startBackplane(by),
    }),
  ];
}
