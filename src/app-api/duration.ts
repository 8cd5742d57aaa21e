import { duration, wrong } from '../backplane/check.js';
import type { Duration } from './face.js';

const units: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** In ms. @throws EngineError `input` */
export function msOf(value: Duration, field: string): number {
  if (typeof value === 'number') {
    duration(value, field);
    return value;
  }
  const [, number, unit = ''] = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(String(value)) ?? [];
  const factor = units[unit];
  if (number === undefined || factor === undefined) {
    throw wrong(field, value, "ms as a number, or a text such as '500ms', '30s', '5m', '2h' or '1d'");
  }
  const ms = Math.round(Number(number) * factor);
  duration(ms, field);
  return ms;
}

/** `{}` where it is left out. */
export function optionalMs<Name extends string>(
  name: Name,
  value: Duration | undefined,
  field: string,
): { readonly [Key in Name]?: number } {
  return (value === undefined ? {} : { [name]: msOf(value, field) }) as { [Key in Name]?: number };
}
