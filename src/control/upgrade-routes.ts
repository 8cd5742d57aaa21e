import * as v from 'valibot';
import type { UpgradeLine } from '../protocol/upgrade.js';
import type { RouteParts } from './fleet-routes.js';
import { readFields } from './input-schemas.js';
import { streamLines } from './line-streams.js';
import type { Route } from './routes.js';

const atMs = v.pipe(v.number(), v.description('Since the upgrade began, ms.'));

const UpgradeLineSchema = v.variant('type', [
  v.strictObject({ type: v.literal('answer'), message: v.string() }),
  v.strictObject({ type: v.literal('step'), atMs, text: v.string() }),
  v.strictObject({
    type: v.literal('verdict'),
    verdict: v.pipe(
      v.picklist(['done', 'rolled-back']),
      v.description('done: the next master serves; rolled-back: this one goes on as if nothing had been.'),
    ),
    reason: v.pipe(
      v.nullable(v.string()),
      v.description('Why it was rolled back, or what is wrong although it was done; null: nothing is.'),
    ),
    pid: v.pipe(v.number(), v.description('Of the master that serves from now on.')),
    tookMs: v.number(),
  }),
]) satisfies v.GenericSchema<unknown, UpgradeLine>;

/** By its name in the OpenAPI document. */
export const upgradeAnswers = { UpgradeLine: UpgradeLineSchema };

export const upgradeExamples = {
  UpgradeLine: {
    answer: { type: 'answer', message: 'the next master starts with /usr/bin/node' },
    step: { type: 'step', atMs: 812, text: 'all of its workers serve' },
    verdict: { type: 'verdict', verdict: 'done', reason: null, pid: 5210, tookMs: 6_204 },
  } as const satisfies Record<UpgradeLine['type'], UpgradeLine>,
};

export function upgradeRoutes({
  accepted,
  openStream,
}: Pick<RouteParts, 'accepted' | 'openStream'>): readonly Route[] {
  return [
    {
      ...{ method: 'POST', path: '/v1/upgrade', operationId: 'upgrade' },
      summary: 'Has another process take the place of the master, under live connections',
      description:
        'The first line is the answer, each step follows, and the last line is the verdict. A client that disconnects ' +
        'does not stop the upgrade; POST /v1/abort does.',
      ...{ takes: 'UpgradeOptions', gives: 'UpgradeLine', status: 200, isStream: true },
      answer: async (question) => {
        const { patienceMs, ...options } = readFields(await question.fields(), 'UpgradeOptions');
        const asked = { ...options, patience: patienceMs };
        await streamLines<UpgradeLine>({
          first: async (onLine) => {
            const { message } = accepted(await question.commands.upgrade(asked, onLine));
            return { type: 'answer', message };
          },
          open: () => openStream(question),
          isLast: ({ type }) => type === 'verdict',
        });
      },
    },
  ];
}
