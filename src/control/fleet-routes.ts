import type { Answer } from '../protocol/control-api.js';
import type { LineStream } from './answers.js';
import { readFields } from './input-schemas.js';
import type { Question, Route } from './routes.js';

/** What the routes of the fleet have in common with the others. */
export interface RouteParts {
  readonly get: (
    path: string,
    gives: Route['gives'],
    query: {
      readonly about: Pick<Route, 'operationId' | 'summary' | 'description'>;
      readonly ask: (question: Question) => unknown;
    },
  ) => Route;
  readonly accepted: <A extends Answer | { readonly accepted: true }>(
    answer: A,
  ) => Extract<A, { accepted: true }>;
  readonly openStream: (question: Question) => LineStream;
}

export function fleetRoutes({ get, accepted, openStream }: RouteParts): readonly Route[] {
  return [
    get('/v1/fleet', 'Fleet', {
      about: {
        operationId: 'fleet',
        summary: 'The hosts of the fleet',
        description: 'What each said of itself last, and how long ago. While Redis is away: this host alone.',
      },
      ask: async ({ commands }) => {
        const { accepted: _, ...stats } = accepted(await commands.fleet());
        return stats;
      },
    }),
    {
      ...{ method: 'POST', path: '/v1/fleet/rollout', operationId: 'rollout' },
      summary: 'Has every host of the fleet reload or deploy, one after the other',
      description:
        'The canary host comes first. It stops at the first bad verdict; the last line says which hosts have what. A ' +
        'client that disconnects does not stop it.',
      ...{ takes: 'RolloutOptions', gives: 'RolloutLine', status: 200, isStream: true },
      answer: async (question) => {
        const { fields, commands } = question;
        const options = readFields(await fields(), 'RolloutOptions');
        let stream: LineStream | null = null;
        const open = (): LineStream => {
          stream ??= openStream(question);
          return stream;
        };
        const answer = await commands.rollout(options, (line) => open().write(line));
        if (!answer.accepted && stream === null) accepted(answer);
        open().end();
      },
    },
  ];
}
