import { exitCodes, RomAgentError } from '../errors.js';

/**
 * An argument that is wrong: exit 64.
 *
 * @param name of the argument, as the sentence begins: `history: -n`
 */
export function notRight(name: string, value: string, expected: string): RomAgentError {
  return new RomAgentError(`${name} ${JSON.stringify(value)} is not right: expected ${expected}`, {
    exitCode: exitCodes.usage,
  });
}

/**
 * A number from 1 to `most`.
 *
 * @throws RomAgentError exit 64
 */
export function wholeNumber(
  name: string,
  value: string,
  { most, expected = `a number from 1 to ${most}` }: { readonly most: number; readonly expected?: string },
): number {
  if (/^[1-9]\d{0,9}$/.test(value) && Number(value) <= most) return Number(value);
  throw notRight(name, value, expected);
}

const units: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3_600, d: 86_400 };

/** null: it is no duration. */
function msIn(text: string): number | null {
  const [, number, unit = ''] = /^(\d{1,9}(?:\.\d{1,9})?)\s*([smhd])$/.exec(text) ?? [];
  const seconds = units[unit];
  return number === undefined || seconds === undefined ? null : Number(number) * seconds * 1000;
}

/**
 * A duration, ms.
 *
 * @throws RomAgentError exit 64
 */
export function durationOf(name: string, text: string): number {
  const ms = msIn(text);
  if (ms === null) throw notRight(name, text, 'a duration such as 90s, 10m, 2h or 1d');
  return Math.round(ms);
}

/**
 * From when on, ms since 1970: so long ago, or a moment.
 *
 * @throws RomAgentError exit 64
 */
export function sinceOf(name: string, text: string, now: number): number {
  const ms = msIn(text);
  if (ms !== null) return now - ms;
  const at = Date.parse(text);
  if (!Number.isNaN(at) && /^\d{4}-/.test(text)) return at;
  throw notRight(name, text, 'a duration such as 90s, 10m, 2h or 1d, or a time such as 2026-11-23T12:00');
}
