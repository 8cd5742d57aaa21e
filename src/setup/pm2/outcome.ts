import { splitWords } from '../../settings/kinds.js';

/**
 * What comes of a key. `becomes`: the service has the same. `dropped`: nothing takes its place, and nothing is missing.
 * `todo`: the operator has something to do or to know. `refused`: the app cannot become a service as it is.
 */
export type Verdict = 'becomes' | 'dropped' | 'todo' | 'refused';

export interface Outcome {
  readonly verdict: Verdict;
  readonly says: string;
  /** Settings by their keys, as TOML has them. */
  readonly settings?: Readonly<Record<string, unknown>>;
  readonly nodeArgs?: readonly string[];
  readonly user?: string;
  readonly group?: string;
  /** When the service is reloaded: OnCalendar= of systemd.timer(5). */
  readonly calendar?: readonly string[];
}

export function becomes(
  says: string,
  settings: Readonly<Record<string, unknown>> = {},
  others: Pick<Outcome, 'user' | 'group' | 'calendar'> = {},
): Outcome {
  return { verdict: 'becomes', says, settings, ...others };
}

export function dropped(says: string): Outcome {
  return { verdict: 'dropped', says };
}

export function todo(says: string): Outcome {
  return { verdict: 'todo', says };
}

export function refused(says: string): Outcome {
  return { verdict: 'refused', says };
}

/** PM2 takes numbers as strings too. */
export function numberOf(value: unknown): number | null {
  const number = typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : value;
  return typeof number === 'number' && Number.isInteger(number) && number >= 0 ? number : null;
}

/** A list of words, or one string that a shell would take apart. */
export function wordsOf(value: unknown): readonly string[] | null {
  if (Array.isArray(value)) return value.map(String);
  return typeof value === 'string' ? splitWords(value) : null;
}
