/**
 * One line of the record of decisions: what happened, or what the master decided, and from what. Lines of one moment stand
 * in the order of cause and effect.
 */
export interface WhyLine {
  /** Wall clock, ISO 8601 in UTC with milliseconds: `2026-11-27T02:13:07.120Z`. */
  readonly at: string;
  /** Number of the slot; null: a spare, or the service as a whole. */
  readonly worker: number | null;
  /** Of the worker; null: none yet, or the service as a whole. */
  readonly pid: number | null;
  /** Of the worker; null: the service as a whole. */
  readonly generation: number | null;
  readonly kind: WhyKind;
  /** What, with its subject: `worker 3 crashed after 12 s`. */
  readonly text: string;
  /** From what; null where it begins there, as a command or a signal does. */
  readonly cause: string | null;
  /** What an operator can do about it, where there is something to say. */
  readonly advice: string | null;
}

/**
 * The life of a worker: `started`, `spare` (booted, without a slot), `ready`, `draining`, `killed`, `died`, `gone`. The life of
 * the master: `master` (it starts), `service`, `exit`, and `lost` where it ended without a word. The others are what
 * decisions are about; `note` is the rest.
 */
export const whyKinds = [
  'master',
  'service',
  'exit',
  'lost',
  'started',
  'spare',
  'ready',
  'draining',
  'killed',
  'died',
  'gone',
  'health',
  'stall',
  'memory',
  'reload',
  'scale',
  'restart',
  'watchdog',
  'poison',
  'refused',
  'note',
] as const;

export type WhyKind = (typeof whyKinds)[number];

export interface WhyQuery {
  /** Only lines of the last so many seconds. */
  readonly since?: number | undefined;
  /** Only lines of the worker of this slot. */
  readonly worker?: number | undefined;
  /** At most so many, the newest; 1,000 unless given. */
  readonly lines?: number | undefined;
}

export interface Why {
  /** Oldest first. */
  readonly lines: readonly WhyLine[];
  /** Why there are none, or not all; null where nothing is wrong. */
  readonly problem: string | null;
}

/** How many lines can be asked for at once, and how many are unless that is said. */
export const mostWhyLines = 10_000;

/** Seconds that can be asked for: ten years. */
export const longestSince = 315_360_000;
export const usualWhyLines = 1_000;
