import * as v from 'valibot';
import type { ClusterStats } from '../protocol/stats.js';

const count = v.pipe(v.number(), v.integer(), v.minValue(0));
const maybeWhole = v.nullable(v.pipe(v.number(), v.integer()));
const counted = (about: string) => v.pipe(count, v.description(about));

export const Poison = v.strictObject({
  method: v.string(),
  route: v.pipe(v.string(), v.description('The path, with the parts that differ between requests replaced.')),
  deaths: count,
  agoSeconds: counted('Since the last of these deaths.'),
  blockedForSeconds: counted(
    'For how long such requests are still answered with 503, or passed on to the cell.',
  ),
});

export const CellSchema = v.pipe(
  v.strictObject({
    status: v.pipe(
      v.picklist(['ready', 'starting', 'waiting', 'ending', 'none']),
      v.description('waiting: for its next start, after it died.'),
    ),
    pid: maybeWhole,
    generation: maybeWhole,
    requests: count,
    inFlight: count,
    rssBytes: v.nullable(count),
    deaths: counted('Since the master started.'),
  }),
  v.description(
    'The worker that serves suspected requests apart from the others; absent where there was none.',
  ),
);

/** Examples, for the document. */
export const poisonExamples = {
  poison: [{ method: 'GET', route: '/orders/:id', deaths: 2, agoSeconds: 60, blockedForSeconds: 290 }],
  cell: {
    ...{ status: 'ready', pid: 4733, generation: 3, requests: 12, inFlight: 1 },
    ...{ rssBytes: 58_720_256, deaths: 2 },
  },
} satisfies Pick<ClusterStats, 'poison' | 'cell'>;
