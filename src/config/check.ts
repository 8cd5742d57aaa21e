import type { Problem } from '../errors.js';
import type { Key } from '../settings/settings.js';
import type { EffectiveValues } from './resolve.js';
import type { ReadFile, Values } from './sources.js';

export interface CheckInput {
  readonly values: Values;
  readonly effective: EffectiveValues;
  /** process.versions.node */
  readonly nodeVersion: string;
  readonly platform: NodeJS.Platform;
  readonly readFile: ReadFile;
  readonly nodeRejects?: (flags: readonly string[]) => string | null;
}

/** A check of several settings against each other, or of one against the machine. */
export interface Check {
  readonly reads: readonly Key[];
  readonly check: (input: CheckInput) => Problem | null;
}

export function problem(values: Values, field: Key, expected: string): Problem {
  const { raw, source } = values[field];
  return { field, value: raw, source, expected };
}
