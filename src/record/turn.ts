import type { Effect } from '../core/effects.js';
import type { Event } from '../core/events.js';
import type { Policy } from '../core/policy.js';
import type { State } from '../core/state.js';
import type { Millis } from '../protocol/limits.js';

/** One step of the core: what it was given, and what it answered. */
export interface Turn {
  /** The monotonic clock that the core was given. */
  readonly now: Millis;
  /** Wall clock, ms since 1970. */
  readonly clockMs: number;
  readonly event: Event;
  readonly policy: Policy;
  readonly before: State;
  readonly after: State;
  readonly effects: readonly Effect[];
}
