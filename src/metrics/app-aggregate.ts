import type { AppRegistry } from '../protocol/metrics.js';

/** A metric of the app, added up over the workers. */
export interface AppFamily {
  readonly name: string;
  readonly help: string;
  readonly type: AppType;
  readonly samples: readonly AppSample[];
}

export interface AppSample {
  /** With its ending: `_bucket`, `_sum`, `_count`. */
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export type AppType = 'counter' | 'gauge' | 'histogram' | 'summary';

export interface AppMetrics {
  readonly families: readonly AppFamily[];
  /** What was left out, and why. */
  readonly problems: readonly string[];
}

/** So many samples of the app are told at most, of all its metrics together. */
const mostAppSamples = 20_000;

/** Names that are ours. */
const ownPrefix = 'rom_agent_';

/**
 * Adds up the metrics of the app's processes as prom-client's own AggregatorRegistry does: by the `aggregator` that a metric
 * names, else by their sum. The app's code made them, so each field is checked, and what does not fit is left out and named.
 *
 * @param registries each with who sent it, in words
 */
export function aggregateApps(
  registries: readonly { readonly from: string; readonly registry: AppRegistry }[],
): AppMetrics {
  const families = new Map<string, Family>();
  const problems: string[] = [];
  let samples = 0;
  for (const { from, registry } of registries) {
    if (registry.failure !== null) problems.push(`${from}: ${registry.failure}`);
    for (const raw of listIn(registry.json)) {
      const problem = add(raw);
      if (problem !== null) problems.push(`${from}: ${problem}`);
    }
  }
  function add(raw: unknown): string | null {
    const read = familyIn(raw);
    if (typeof read === 'string') return read;
    const { name, help, type, aggregator, values } = read;
    if (aggregator === 'omit') return null;
    const known = families.get(name) ?? { name, help, type, aggregator, samples: new Map() };
    if (known.type !== type)
      return `${name} is a ${type} here and a ${known.type} in another worker: left out`;
    families.set(name, known);
    for (const sample of values) {
      const key = `${sample.name}${JSON.stringify(Object.entries(sample.labels).sort())}`;
      const sums = known.samples.get(key);
      if (sums === undefined && ++samples > mostAppSamples)
        return `more than ${mostAppSamples} samples: the rest is left out`;
      known.samples.set(key, sums === undefined ? { ...sample, count: 1 } : merged(known, sums, sample));
    }
    return null;
  }
  return { families: [...families.values()].map(finished), problems };
}

/**
 * What of the metrics of workers that are gone has to stay for ever, so that counters do not go back: counters, histograms, and
 * sum and count of summaries.
 *
 * @param before what this returned the last time
 */
export function keepCounters(before: AppRegistry | null, gone: readonly AppRegistry[]): AppRegistry {
  const registries = [...(before === null ? [] : [before]), ...gone];
  const { families } = aggregateApps(
    registries.map((registry) => ({ from: '', registry: { ...registry, failure: null } })),
  );
  const kept = families
    .filter(({ type }) => type !== 'gauge')
    .map(({ name, help, type, samples }) => ({
      name,
      help,
      type,
      aggregator: 'sum',
      values: samples
        .filter(({ labels }) => !('quantile' in labels))
        .map((sample) => ({ metricName: sample.name, labels: sample.labels, value: sample.value })),
    }));
  return { json: JSON.stringify(kept), failure: null };
}

type Aggregator = 'sum' | 'first' | 'min' | 'max' | 'average' | 'omit';

interface Family {
  readonly name: string;
  readonly help: string;
  readonly type: AppType;
  readonly aggregator: Aggregator;
  readonly samples: Map<string, Sum>;
}

interface Sum extends AppSample {
  /** How many processes have it. */
  readonly count: number;
}

/** A quantile cannot be added up: it is averaged. */
function merged({ aggregator }: Family, sums: Sum, { labels, value }: AppSample): Sum {
  const count = sums.count + 1;
  switch ('quantile' in labels ? 'average' : aggregator) {
    case 'first':
      return { ...sums, count };
    case 'min':
      return { ...sums, count, value: Math.min(sums.value, value) };
    case 'max':
      return { ...sums, count, value: Math.max(sums.value, value) };
    default:
      return { ...sums, count, value: sums.value + value };
  }
}

function finished({ name, help, type, aggregator, samples }: Family): AppFamily {
  const isAverage = ({ labels }: Sum): boolean => aggregator === 'average' || 'quantile' in labels;
  return {
    ...{ name, help, type },
    samples: [...samples.values()].map((sum) => ({
      name: sum.name,
      labels: sum.labels,
      value: isAverage(sum) ? sum.value / sum.count : sum.value,
    })),
  };
}

function listIn(json: string | null): readonly unknown[] {
  if (json === null) return [];
  try {
    const parsed: unknown = JSON.parse(json);
    return Array.isArray(parsed) ? parsed : [];
  } catch {
    return [];
  }
}

const types: ReadonlySet<unknown> = new Set(['counter', 'gauge', 'histogram', 'summary']);
const aggregators: ReadonlySet<unknown> = new Set(['sum', 'first', 'min', 'max', 'average', 'omit']);
/** https://prometheus.io/docs/concepts/data_model/ */
const metricName = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;
const labelName = /^[a-zA-Z_][a-zA-Z0-9_]*$/;
/** What a sample of a type may be called, behind the name of its metric. */
const endings: Readonly<Record<AppType, readonly string[]>> = {
  counter: [''],
  gauge: [''],
  histogram: ['_bucket', '_sum', '_count'],
  summary: ['', '_sum', '_count'],
};

/** @returns the reason where it is left out */
function familyIn(raw: unknown):
  | string
  | {
      readonly name: string;
      readonly help: string;
      readonly type: AppType;
      readonly aggregator: Aggregator;
      readonly values: readonly AppSample[];
    } {
  if (!isRecord(raw)) return 'an entry that is no metric: left out';
  const { name, help, type, aggregator, values } = raw;
  if (typeof name !== 'string' || !metricName.test(name))
    return `${JSON.stringify(name)} is no name of a metric: left out`;
  if (name.startsWith(ownPrefix)) return `${name} has a name that is rom-agent's own: left out`;
  if (!types.has(type) || !Array.isArray(values))
    return `${name} has no type of prom-client, or no values: left out`;
  const ofType = type as AppType;
  return {
    name,
    help: typeof help === 'string' ? help : '',
    type: ofType,
    aggregator: aggregators.has(aggregator) ? (aggregator as Aggregator) : 'sum',
    values: values.flatMap((value) => sampleIn(value, name, ofType) ?? []),
  };
}

/** JSON has no NaN and no infinity: such a value is null here, and left out. */
function sampleIn(raw: unknown, family: string, type: AppType): AppSample | null {
  if (!isRecord(raw)) return null;
  const { metricName: name = family, labels = {}, value } = raw;
  if (typeof value !== 'number' || !isRecord(labels)) return null;
  if (!endings[type].some((ending) => name === `${family}${ending}`)) return null;
  const entries = Object.entries(labels).filter(([label]) => labelName.test(label));
  return {
    name: name as string,
    labels: Object.fromEntries(entries.map(([label, text]) => [label, String(text)])),
    value,
  };
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
