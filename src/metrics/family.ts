import type { Distribution, MetricsSnapshot } from '../protocol/metrics.js';

/** One metric: its name, what it says, and its samples in a snapshot. */
export interface Family {
  readonly name: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  /** One sentence; the master counts from its own start. */
  readonly help: string;
  readonly labels: readonly string[];
  /** Upper limits of the buckets of a histogram. */
  readonly limits?: readonly number[];
  readonly samples: (snapshot: MetricsSnapshot) => readonly Sample[];
}

export interface Sample {
  /** In the order of `labels`. */
  readonly labels: readonly (string | number)[];
  readonly value: number | Distribution;
}

/** A value that is null has no sample. */
export type Maybe = number | null;

/** The one sample of a metric without labels. */
export function one(value: Maybe): readonly Sample[] {
  return value === null ? [] : [{ labels: [], value }];
}
