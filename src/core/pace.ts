import type { Millis } from '../protocol/limits.js';

/** How fast a worker answers: its requests per second between two beats about a second apart. */
export interface Pace {
  /** The beat that the rate is reckoned from, and the requests that it told of; null: there was none yet. */
  readonly at: Millis | null;
  readonly requests: number;
  readonly perSecond: number;
}

export const noPace: Pace = { at: null, requests: 0, perSecond: 0 };

/** Beats that are asked for come in between: over less time than this a rate is chance. */
const leastTime: Millis = 900;
/** A rate that is older than this says nothing about now. */
const mostAge: Millis = 2_500;

export function paced(pace: Pace, requests: number, now: Millis): Pace {
  const { at } = pace;
  if (at !== null && now - at < leastTime) return pace;
  const perSecond = at === null ? 0 : Math.max(0, ((requests - pace.requests) * 1000) / (now - at));
  return { at: now, requests, perSecond };
}

/** Of a worker that has said nothing for a while nobody knows what it answers. */
export function perSecond({ at, perSecond }: Pace, now: Millis): number {
  return at === null || now - at > mostAge ? 0 : perSecond;
}
