import { parseEnv } from 'node:util';
import type { Problem } from '../errors.js';
import { flagNameOf, flagOf, type Key, keys, variablesOf } from './settings.js';

/** A file as text; throws an ErrnoException where it cannot be read. */
export type ReadFile = (path: string) => string;
export type Environment = Readonly<Record<string, string | undefined>>;

/** A value as one source gave it. */
export interface Given {
  readonly raw: unknown;
  /** How to parse it. */
  readonly form: 'text' | 'toml';
  /** For the operator: `--port`, `PORT in the environment`. */
  readonly source: string;
  /** Directory at which a relative path starts. */
  readonly base: string;
}

/** One source of settings: what it gives for a key. */
export type Layer = (key: Key) => Given | undefined;

/** Flags as commander hands them over, by camel-cased name. */
export function flagLayer(flags: Readonly<Record<string, unknown>>, cwd: string): Layer {
  return (key) => {
    const raw = flags[flagNameOf(key)];
    if (raw === undefined) return undefined;
    // Words behind `--` are several already.
    if (Array.isArray(raw)) return { raw, form: 'toml', source: 'behind --', base: cwd };
    return { raw, form: 'text', source: flagOf(key) ?? 'the argument', base: cwd };
  };
}

/** Environment variables, or those of .env. An empty one counts as unset. */
export function variableLayer(variables: Environment, { where, cwd }: { where: string; cwd: string }): Layer {
  return (key) => {
    const name = variablesOf(key).find((variable) => isSet(variables[variable]));
    if (name === undefined) return undefined;
    return { raw: variables[name], form: 'text', source: `${name} in ${where}`, base: cwd };
  };
}

/** The variables of `.env` in the working directory; none where there is no such file. */
export function readDotenv(
  { cwd, readFile }: { cwd: string; readFile: ReadFile },
  problems: Problem[],
): Record<string, string> {
  const path = `${cwd}/.env`;
  try {
    return { ...parseEnv(readFile(path)) } as Record<string, string>;
  } catch (error) {
    // a directory of this name is somebody's virtual environment
    if (!isMissing(error) && codeOf(error) !== 'EISDIR')
      problems.push(unreadable({ field: '.env', path, error }));
    return {};
  }
}

/**
 * What of .env the workers get: what the environment does not set. An empty variable of the environment is left
 * alone, unless it is one of ours, where empty means unset.
 */
export function handedOn(dotenv: Readonly<Record<string, string>>, env: Environment): Record<string, string> {
  const ours = new Set(keys.flatMap(variablesOf));
  const set = (name: string) => (ours.has(name) ? isSet(env[name]) : env[name] !== undefined);
  return Object.fromEntries(Object.entries(dotenv).filter(([name]) => !set(name)));
}

export function isSet(value: string | undefined): value is string {
  return value !== undefined && value !== '';
}

export function isMissing(error: unknown): boolean {
  return codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR';
}

export function unreadable({ field, path, error }: { field: string; path: string; error: unknown }): Problem {
  const reason = error instanceof Error ? error.message : String(error);
  return {
    field,
    value: path,
    source: 'the file system',
    expected: `a file that can be read, but: ${reason}`,
  };
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
}
