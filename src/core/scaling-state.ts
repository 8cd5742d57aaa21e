import type { Millis } from '../protocol/limits.js';

/** How the number of workers follows the load, where it is a range: see autoscale.ts. */
export interface Scaling {
  /** An operator has asked for the number in force: it holds until a reload is done, or until it is to follow the load again. */
  readonly held: boolean;
  readonly trend: Trend;
  /** Connections ever accepted at the last look. */
  readonly accepted: number;
  readonly reading: Reading | null;
  /** What the load last brought about. */
  readonly last: LastScale | null;
  /** No more than this, since one more did not start; null: as many as the range allows. */
  readonly cap: { readonly to: number; readonly until: Millis } | null;
}

export interface Trend {
  /** null: nobody has looked yet. */
  readonly lookedAt: Millis | null;
  /** How hot the last looks were, in a row, and since when. */
  readonly heat: number;
  readonly hotSince: Millis | null;
  /** Workers' worth of busy event loops, as a mean; null: nobody has looked yet. */
  readonly demand: number | null;
  /** The most workers that each part of the last time needed, the newest part first, and since when that is. */
  readonly peaks: readonly number[];
  readonly partSince: Millis | null;
  /** So many times `scale.down_after` is waited before there are fewer. */
  readonly patience: number;
  /** When there were last fewer, where no more were needed since. */
  readonly fewerAt: Millis | null;
}

/** Connections that waited to be accepted. */
export interface Reading {
  readonly at: Millis;
  readonly waiting: number;
}

export interface LastScale {
  readonly at: Millis;
  readonly from: number;
  readonly to: number;
  readonly why: string;
}

export const freshTrend: Trend = {
  lookedAt: null,
  heat: 0,
  hotSince: null,
  demand: null,
  peaks: [],
  partSince: null,
  patience: 1,
  fewerAt: null,
};
