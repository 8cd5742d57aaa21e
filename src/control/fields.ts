import type { ReloadOptions, ScaleChange } from '../protocol/control-api.js';
import { longestProfile, mostWorkers, usualProfile } from '../protocol/limits.js';
import { badFields, type FieldProblem } from './answers.js';
import type { Fields } from './body.js';

/** Characters. */
export const longestLabel = 64;

/** Who asks, where nobody says so. */
const nobody = 'control';

const label = {
  expected: `printable characters, 1 to ${longestLabel} of them`,
  holds: (value: unknown): value is string =>
    typeof value === 'string' &&
    new RegExp(`^[\\p{L}\\p{M}\\p{N}\\p{P}\\p{S} ]{1,${longestLabel}}$`, 'u').test(value),
};

const flag = {
  expected: 'true or false',
  holds: (value: unknown): value is boolean => typeof value === 'boolean',
};

const count = {
  expected: `an integer from 1 to ${mostWorkers}`,
  holds: (value: unknown): value is number => isInteger(value) && value >= 1 && value <= mostWorkers,
};

const difference = {
  expected: `an integer other than 0 from -${mostWorkers} to ${mostWorkers}`,
  holds: (value: unknown): value is number =>
    isInteger(value) && value !== 0 && Math.abs(value) <= mostWorkers,
};

const span = {
  expected: `an integer from 1 to ${longestProfile}`,
  holds: (value: unknown): value is number => isInteger(value) && value >= 1 && value <= longestProfile,
};

interface Rule<T> {
  readonly expected: string;
  readonly holds: (value: unknown) => value is T;
}

/** @throws ControlError 400, with everything that is wrong */
export function reloadOptions(fields: Fields): ReloadOptions {
  check(fields, { by: label, soak: flag, rollback: flag });
  const { by = nobody, soak = true, rollback = true } = fields as Partial<ReloadOptions>;
  return { by, soak, rollback };
}

/** @throws ControlError 400, with everything that is wrong */
export function scaleOptions(fields: Fields): { by: string; change: ScaleChange } {
  check(fields, { by: label, to: count, add: difference });
  const { by = nobody, to, add } = fields as { by?: string; to?: number; add?: number };
  if ((to === undefined) === (add === undefined)) {
    const value = to === undefined ? null : { to, add };
    throw badFields([{ field: 'to', value, expected: 'either "to" or "add"' }]);
  }
  return { by, change: to === undefined ? { add: add ?? 0 } : { to } };
}

/** @throws ControlError 400, with everything that is wrong */
export function byOf(fields: Fields): string {
  check(fields, { by: label });
  return (fields as { by?: string }).by ?? nobody;
}

/** @throws ControlError 400, with everything that is wrong */
export function profileOptions(fields: Fields): { by: string; seconds: number } {
  check(fields, { by: label, seconds: span });
  const { by = nobody, seconds = usualProfile } = fields as { by?: string; seconds?: number };
  return { by, seconds };
}

/** @throws ControlError 400 where it is no number of a slot */
export function workerNumber(text: string): number {
  const worker = /^[0-9]{1,5}$/.test(text) ? Number(text) : text;
  if (!count.holds(worker)) throw badFields([{ field: 'id', value: worker, expected: count.expected }]);
  return worker;
}

function check(fields: Fields, rules: Readonly<Record<string, Rule<unknown>>>): void {
  const problems = Object.entries(fields).flatMap(([field, value]): FieldProblem[] => {
    if (!Object.hasOwn(rules, field)) {
      return [{ field, value, expected: `only the fields ${Object.keys(rules).join(', ')}` }];
    }
    const { expected, holds } = rules[field] as Rule<unknown>;
    return holds(value) ? [] : [{ field, value, expected }];
  });
  if (problems.length > 0) throw badFields(problems);
}

function isInteger(value: unknown): value is number {
  return Number.isInteger(value);
}
