import type { Capture } from '../protocol/capture.js';
import type { Millis } from '../protocol/limits.js';
import type { RequestNote } from '../protocol/requests.js';
import type { Health } from '../protocol/stats.js';
import { noPace, type Pace } from './pace.js';

/** What the master keeps of a worker to judge how it does. */
export interface Vitals {
  readonly health: Health;
  /** The worst that the log was told of it since it was last fit. */
  readonly told: Health;
  /** The last sign that it was in time; null where it is. */
  readonly slowSince: Millis | null;
  /** Beats in a row with more heap than it should have. */
  readonly fullBeats: number;
  /** Resident set of its first beat since it was ready, bytes. */
  readonly firstRss: number | null;
  /** When it last answered a request, or began to listen. */
  readonly provedAt: Millis | null;
  readonly silence: Silence | null;
  /** Until when nobody expects a beat from it. */
  readonly excusedUntil: Millis;
  /** What it had in flight at its end, by its own account. */
  readonly lastWord: readonly RequestNote[] | null;
  readonly pace: Pace;
}

/** It has been silent for so long that somebody went to see what it does. */
export interface Silence {
  readonly askedAt: Millis;
  /** null: nothing is known yet. */
  readonly capture: Capture | null;
  /** How long it was silent, where it has spoken again since. */
  readonly ended: Millis | null;
}

export const freshVitals: Vitals = {
  health: 'fit',
  told: 'fit',
  slowSince: null,
  fullBeats: 0,
  firstRss: null,
  provedAt: null,
  silence: null,
  excusedUntil: 0,
  lastWord: null,
  pace: noPace,
};
