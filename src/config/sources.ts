import { dirname, isAbsolute, resolve } from 'node:path';
import { parseEnv } from 'node:util';
import type { Problem } from '../errors.js';
import type { Form } from '../settings/kinds.js';
import {
  configFile,
  flagNameOf,
  flagOf,
  type Key,
  keys,
  settingOf,
  show,
  type Value,
  variablesOf,
} from '../settings/settings.js';
import type { Directories } from './directories.js';
import type { GivenJobs } from './jobs.js';
import { closest } from './spelling.js';

/** A file as text; throws an ErrnoException where it cannot be read. */
export type ReadFile = (path: string) => string;
export type Environment = Readonly<Record<string, string | undefined>>;

export interface SourcesInput {
  /** Parsed flags by camel-cased name (`drainTimeout`), as commander has them; the app's path as `app`. */
  readonly flags: Readonly<Record<string, unknown>>;
  readonly env: Environment;
  readonly cwd: string;
  readonly readFile: ReadFile;
  readonly directories: Pick<Directories, 'config'>;
}

/** A setting's value before what is computed from others. */
export interface Found<T> {
  readonly value: T;
  /** As it was given; the default as it is shown. */
  readonly raw: unknown;
  readonly source: string;
  /** `wrong`: what was given was reported, and the default stands in. */
  readonly state: 'given' | 'default' | 'wrong';
}

export type Values = { readonly [K in Key]: Found<Value<K>> };

export interface Sources {
  readonly values: Values;
  /** The variables of .env. */
  readonly dotenv: Readonly<Record<string, string>>;
  /** The configuration file that was read, absolute; null: there is none. */
  readonly file: string | null;
  /** The section `jobs` of that file. */
  readonly jobs: GivenJobs | null;
}

/**
 * The value of every setting from the strongest source that gives one: flags, the environment, .env, the TOML file, the
 * default. A value that another one overrides is not looked at, except in the TOML file, which belongs to the daemon
 * alone: there, everything must be right. What is wrong is added to `problems`.
 */
export async function readSources(input: SourcesInput, problems: Problem[]): Promise<Sources> {
  const { flags, env, cwd } = input;
  const dotenv = readDotenv(input, problems);
  const file = await readConfigFile({ ...input, dotenv }, problems);
  const overriding = [
    flagLayer(flags, cwd),
    variableLayer(env, { where: 'the environment', cwd }),
    variableLayer(dotenv, { where: '.env', cwd }),
  ];
  const entries = keys.map((key): [Key, Found<unknown>] => {
    const first = overriding.map((layer) => layer(key)).find((given) => given !== undefined);
    const given = [first, file.layer(key)].filter((given) => given !== undefined);
    const [found] = given.map((each) => parse(key, each, problems));
    return [key, found ?? standIn(key, 'default')];
  });
  return { values: Object.fromEntries(entries) as Values, dotenv, file: file.path, jobs: file.jobs };
}

/**
 * What of .env the workers get: what the environment does not set. An empty variable of the environment stays empty,
 * unless it is one of ours, where empty means unset.
 */
export function handedOn(dotenv: Readonly<Record<string, string>>, env: Environment): Record<string, string> {
  const ours = new Set(keys.flatMap(variablesOf));
  const set = (name: string) => (ours.has(name) ? isSet(env[name]) : env[name] !== undefined);
  return Object.fromEntries(Object.entries(dotenv).filter(([name]) => !set(name)));
}

export function isMissing(error: unknown): boolean {
  return codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR';
}

/** A value as one source gave it. */
interface Given {
  readonly raw: unknown;
  readonly form: Form;
  /** For the operator: `--port`, `PORT in the environment`. */
  readonly source: string;
  /** Directory at which a relative path starts. */
  readonly base: string;
}

/** One source of settings: what it gives for a key. */
type Layer = (key: Key) => Given | undefined;

function parse(key: Key, { raw, form, source, base }: Given, problems: Problem[]): Found<unknown> {
  const { kind } = settingOf(key);
  const value = kind.parse(raw, form);
  if (value === undefined) {
    const value = kind.isSecret === true ? '(not shown)' : raw;
    problems.push({ field: key, value, source, expected: kind.expectedFor?.(raw) ?? kind.expected });
    return standIn(key, 'wrong');
  }
  const isRelative = kind.isPath === true && typeof value === 'string' && !isAbsolute(value);
  return { value: isRelative ? resolve(base, value) : value, raw, source, state: 'given' };
}

function standIn(key: Key, state: 'default' | 'wrong'): Found<unknown> {
  const value = settingOf(key).default;
  return { value, raw: show(key, value), source: 'default', state };
}

function flagLayer(flags: SourcesInput['flags'], cwd: string): Layer {
  return (key) => {
    const raw = flags[flagNameOf(key)];
    if (raw === undefined) return undefined;
    // The arguments behind `--` are words already.
    if (Array.isArray(raw)) return { raw, form: 'toml', source: 'behind --', base: cwd };
    return { raw, form: 'text', source: flagOf(key) ?? 'the argument', base: cwd };
  };
}

/** Environment variables, or those of .env. An empty one counts as unset. */
function variableLayer(variables: Environment, { where, cwd }: { where: string; cwd: string }): Layer {
  return (key) => {
    const name = variablesOf(key).find((variable) => isSet(variables[variable]));
    if (name === undefined) return undefined;
    return { raw: variables[name], form: 'text', source: `${name} in ${where}`, base: cwd };
  };
}

/** The variables of `.env` in the working directory; none where there is no such file. */
function readDotenv({ cwd, readFile }: SourcesInput, problems: Problem[]): Record<string, string> {
  const path = `${cwd}/.env`;
  try {
    return { ...parseEnv(readFile(path)) } as Record<string, string>;
  } catch (error) {
    // A directory named .env is a Python virtual environment.
    if (!isMissing(error) && codeOf(error) !== 'EISDIR')
      problems.push(unreadable(error, { field: '.env', value: path }));
    return {};
  }
}

async function readConfigFile(
  input: SourcesInput & { readonly dotenv: Environment },
  problems: Problem[],
): Promise<{ readonly path: string | null; readonly layer: Layer; readonly jobs: GivenJobs | null }> {
  const named = namedFile(input);
  const path = named === null ? input.directories.config : resolve(input.cwd, named.path);
  const text = contentsOf(path, { named, readFile: input.readFile, problems });
  if (text === null) return { path: null, layer: () => undefined, jobs: null };
  const { values, jobs } = await readToml(text, { path, problems });
  const layer: Layer = (key) =>
    values.has(key) ? { raw: values.get(key), form: 'toml', source: path, base: dirname(path) } : undefined;
  const given = jobs === undefined ? null : { raw: jobs, source: path, base: dirname(path) };
  return { path, layer, jobs: given };
}

interface NamedFile {
  readonly path: string;
  readonly source: string;
}

function namedFile({
  flags,
  env,
  dotenv,
}: SourcesInput & { readonly dotenv: Environment }): NamedFile | null {
  const { flag, flagName, variable } = configFile;
  if (typeof flags[flagName] === 'string') return { path: flags[flagName], source: flag };
  if (isSet(env[variable])) return { path: env[variable], source: `${variable} in the environment` };
  if (isSet(dotenv[variable])) return { path: dotenv[variable], source: `${variable} in .env` };
  return null;
}

function contentsOf(
  path: string,
  { named, readFile, problems }: { named: NamedFile | null; readFile: ReadFile; problems: Problem[] },
): string | null {
  try {
    return readFile(path);
  } catch (error) {
    if (named !== null || !isMissing(error))
      problems.push(unreadable(error, { field: 'config', value: path, source: named?.source }));
    return null;
  }
}

interface TomlContext {
  /** Of the file, for the operator. */
  readonly path: string;
  readonly problems: Problem[];
}

type Table = Readonly<Record<string, unknown>>;

/** The values of a configuration file by key. A syntax error and unknown keys are added to `problems`. */
async function readToml(
  text: string,
  context: TomlContext,
): Promise<{ readonly values: ReadonlyMap<Key, unknown>; readonly jobs: unknown }> {
  const sections = new Set(keys.filter(isNested).map(sectionOf));
  const values = new Map<Key, unknown>();
  const take = (name: string, value: unknown): void => {
    if (isKey(name)) values.set(name, value);
    else context.problems.push(unknownSetting({ name, value, path: context.path }));
  };
  const { jobs, ...rest } = await parseToml(text, context);
  for (const [name, value] of Object.entries(rest)) {
    if (!sections.has(name)) take(isNested(name) ? JSON.stringify(name) : name, value);
    else if (isTable(value)) for (const inner of Object.keys(value)) take(`${name}.${inner}`, value[inner]);
    else
      context.problems.push({ field: name, value, source: context.path, expected: `a section, [${name}]` });
  }
  return { values, jobs };
}

async function parseToml(text: string, { path, problems }: TomlContext): Promise<Table> {
  // Only a daemon with a configuration file loads the parser.
  const { parse, TomlError } = await import('smol-toml');
  try {
    return parse(text);
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    const reason = (error.message.split('\n')[0] ?? '').replace('Invalid TOML document: ', '');
    const expected = `valid TOML, but line ${error.line}, column ${error.column}: ${reason}`;
    problems.push({ field: 'config', value: text.split('\n')[error.line - 1] ?? '', source: path, expected });
    return {};
  }
}

function unknownSetting({ name, value, path }: { name: string; value: unknown; path: string }): Problem {
  const guess = closest(name, keys) as Key | undefined;
  const isJobs = isTable(value) && closest(name, ['jobs']) !== undefined;
  const hint = isJobs
    ? '; did you mean jobs, [jobs.NAME]?'
    : guess === undefined
      ? ''
      : `; did you mean ${guess}${placeOf(name, guess)}?`;
  return {
    field: name,
    value: isTable(value) ? {} : value,
    source: path,
    expected: `a setting that exists${hint}`,
  };
}

function placeOf(name: string, guess: Key): string {
  if (!isNested(guess)) return isNested(name) ? ' (above the first section)' : '';
  return sectionOf(name) === sectionOf(guess) && isNested(name)
    ? ''
    : ` (in the section [${sectionOf(guess)}])`;
}

function isKey(name: string): name is Key {
  return (keys as readonly string[]).includes(name);
}

function isNested(name: string): boolean {
  return name.includes('.');
}

function sectionOf(name: string): string {
  return name.split('.')[0] ?? '';
}

function isTable(value: unknown): value is Table {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date);
}

function isSet(value: string | undefined): value is string {
  return value !== undefined && value !== '';
}

function unreadable(
  error: unknown,
  { field, value, source = 'the file system' }: { field: string; value: string; source?: string | undefined },
): Problem {
  const reason = error instanceof Error ? error.message : String(error);
  return { field, value, source, expected: `a file that can be read, but: ${reason}` };
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
}
