import type { Millis } from './model.js';

/**
 * SIGINTs within so long are one press of Ctrl-C, ms: a terminal sends it to the whole process group, and npm,
 * concurrently and shells' wrappers pass theirs on besides.
 */
export const onePress = 500;

/** Whether a SIGINT is a second press, which means "now". @param first when the first one came; null: this is it */
export function isSecondPress(first: Millis | null, now: Millis): boolean {
  return first !== null && now - first >= onePress;
}
