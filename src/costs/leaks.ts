import type { Collection, Leak } from '../protocol/leak.js';
import { type Measurements, measurements, type Series } from './fit.js';

/*
 * Which route's requests make the memory grow. After each full collection a worker tells how much is left and how many
 * requests of each kind it has had. Traffic mixes its routes by chance, so that the kind which leaks explains the growth
 * better than time or any other kind does; how much better decides whether it is named.
 */

/** Of which worker it is: a number that names one process for ever. */
export interface Collected extends Collection {
  readonly worker: number;
}

/** A worker fills caches and compiles while it is young, ms. */
const youth = 5_000;
const fewestLooks = 8;
/** Less growth is no leak that anybody has to know of, bytes. */
const leastGrowth = 8 * 2 ** 20;
/** Twice the logarithm of how much likelier the growth has to be with a kind than without it, or with another instead. */
const evidence = 24;
/** Kinds of requests, and time. */
const mostCauses = 4;
/** Who has less of the growth is not worth a name. */
const leastShare = 0.1;
/** Of a normal distribution, for 95 %. */
const z = 1.96;

/** The kinds of requests that leak, the worst first. Empty: none does, or nobody can tell yet. */
export function leaks(all: readonly Collected[]): readonly Leak[] {
  const byWorker = groups(all);
  const kinds = [...new Set(all.flatMap(({ counts }) => Object.keys(counts)))].sort();
  // A cache that is being filled hides a leak: once it is full, the later half shows it.
  const later = byWorker.map((looks) => looks.slice(Math.floor(looks.length / 2)));
  const found = leaksIn(byWorker, kinds);
  return found.length > 0 ? found : leaksIn(later, kinds);
}

function leaksIn(byWorker: readonly (readonly Collected[])[], kinds: readonly string[]): readonly Leak[] {
  const series = byWorker.map(
    (looks): Series => ({
      y: looks.map(({ bytes }) => bytes),
      x: looks.map(({ atMs, counts }) => [...kinds.map((kind) => counts[kind] ?? 0), atMs]),
    }),
  );
  const data = measurements(series);
  if (data.freedom < fewestLooks) return [];
  const time = kinds.length;
  const columns = [...kinds.keys(), time];
  // The second time by weights that the explanation of the first one gave.
  const first = explain(data, columns);
  if (first.length === 0) return [];
  data.reweigh(first);
  const chosen = explain(data, columns);
  const certain = chosen.filter((column) => column !== time && isCertain(data, columns, { chosen, column }));
  return named(certain, { kinds, chosen, data, series });
}

/** The columns that explain the growth: the best is added, and what is no longer needed goes, until nothing is gained. */
function explain(data: Measurements, columns: readonly number[]): readonly number[] {
  let chosen: readonly number[] = [];
  while (chosen.length < mostCauses) {
    const before = data.rest(chosen) ?? Number.POSITIVE_INFINITY;
    const next = best(data, chosen, columns);
    if (next === null || (before - next.rest) / data.noise([...chosen, next.column]) < evidence) break;
    chosen = needed(data, [...chosen, next.column]);
    if (!chosen.includes(next.column)) break;
  }
  return chosen;
}

function needed(data: Measurements, chosen: readonly number[]): readonly number[] {
  const rest = data.rest(chosen) ?? Number.POSITIVE_INFINITY;
  const noise = data.noise(chosen);
  return chosen.filter((column) => {
    const without = data.rest(chosen.filter((each) => each !== column));
    return without === null || (without - rest) / noise >= evidence;
  });
}

/** Whether no other column would do as well in its place. */
function isCertain(
  data: Measurements,
  columns: readonly number[],
  { chosen, column }: { chosen: readonly number[]; column: number },
): boolean {
  const rest = data.rest(chosen);
  const instead = best(
    data,
    chosen.filter((each) => each !== column),
    columns.filter((each) => each !== column),
  );
  return rest !== null && (instead === null || (instead.rest - rest) / data.noise(chosen) >= evidence);
}

/** The worker's looks in order, without those of its youth. */
function groups(all: readonly Collected[]): readonly (readonly Collected[])[] {
  const byWorker = new Map<number, Collected[]>();
  for (const look of all) {
    const known = byWorker.get(look.worker);
    if (known === undefined) byWorker.set(look.worker, [look]);
    else known.push(look);
  }
  return [...byWorker.values()].map((looks) => {
    const first = looks[0]?.atMs ?? 0;
    return looks.filter(({ atMs }) => atMs - first >= youth);
  });
}

/** The column that explains most beside those. Memory only grows by a request: one with a slope below 0 is none. */
function best(
  data: Measurements,
  chosen: readonly number[],
  columns: readonly number[],
): { readonly column: number; readonly rest: number } | null {
  let winner: { column: number; rest: number } | null = null;
  for (const column of columns) {
    if (chosen.includes(column)) continue;
    const rest = data.rest([...chosen, column]);
    if (rest !== null && (winner === null || rest < winner.rest)) winner = { column, rest };
  }
  return winner;
}

function named(
  certain: readonly number[],
  {
    kinds,
    chosen,
    data,
    series,
  }: {
    kinds: readonly string[];
    chosen: readonly number[];
    data: Measurements;
    series: readonly Series[];
  },
): readonly Leak[] {
  const growth = series.reduce((sum, { y }) => sum + Math.max(0, (y.at(-1) ?? 0) - (y[0] ?? 0)), 0);
  if (growth < leastGrowth) return [];
  const slopes = data.slopes(chosen);
  // Student's distribution for few looks, by the first term of its expansion.
  const wide = z * (1 + (z * z + 1) / (4 * Math.max(1, data.freedom - chosen.length)));
  return chosen
    .flatMap((column, at): readonly Leak[] => {
      const { slope, error } = slopes[at] ?? { slope: 0, error: 0 };
      const low = slope - wide * error;
      if (!certain.includes(column) || low <= 0) return [];
      const requests = series.reduce(
        (sum, { x }) => sum + (x.at(-1)?.[column] ?? 0) - (x[0]?.[column] ?? 0),
        0,
      );
      const share = Math.min(1, (slope * requests) / growth);
      const highBytes = slope + wide * error;
      return [{ kind: kinds[column] ?? '', bytesPerRequest: slope, lowBytes: low, highBytes, share }];
    })
    .filter(({ share }) => share >= leastShare)
    .sort((one, other) => other.share - one.share);
}
