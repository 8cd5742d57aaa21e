import { basename, dirname } from 'node:path';
import { ConfigError, type Problem } from '../errors.js';
import { type Config, toConfig } from '../settings/config.js';
import type { Key } from '../settings/settings.js';
import { commandFile } from './app.js';
import { crossCheck } from './checks.js';
import type { Directories } from './directories.js';
import { checkDeploySchedule, readJobs } from './jobs.js';
import type { Machine } from './machine.js';
import { type EffectiveValues, resolveValues } from './resolve.js';
import {
  handedOn,
  isMissing,
  type ReadFile,
  readSources,
  type SourcesInput,
  type Values,
} from './sources.js';

/** Everything the configuration depends on. systemInput() gathers it from the real process. */
export interface LoadInput extends SourcesInput {
  readonly machine: Machine;
  readonly directories: Directories;
  /** process.versions.node */
  readonly nodeVersion: string;
  readonly platform: NodeJS.Platform;
  /** What this Node has against flags for the workers; null: nothing. */
  readonly nodeRejects?: (flags: readonly string[]) => string | null;
}

export interface Loaded {
  readonly config: Config;
  /** Where each value comes from, in words. */
  readonly origins: Readonly<Record<Key, string>>;
  /** The same settings by key, with those that are no part of the Config. */
  readonly effective: EffectiveValues;
  /** The configuration file that was read, or null. */
  readonly file: string | null;
}

export interface Inspected {
  readonly loaded: Loaded;
  readonly problems: readonly Problem[];
}

/**
 * Flags over environment over .env over the TOML file over defaults, deeply frozen.
 * @throws {ConfigError} with everything that is wrong, at once.
 */
export async function loadConfig(input: LoadInput): Promise<Loaded> {
  const { loaded, problems } = await inspectConfig(input);
  if (problems.length > 0) throw new ConfigError(problems);
  return loaded;
}

/** The same with the default in the place of each wrong value, for callers that go on all the same. */
export async function inspectConfig(input: LoadInput): Promise<Inspected> {
  const problems: Problem[] = [];
  const { dotenv, file, values, effective, jobs: given } = await gather(input, problems);
  const jobs = await readJobs(given, problems);
  await checkDeploySchedule(values, problems);
  problems.push(...crossCheck({ ...input, values, effective }));
  const config = toConfig(effective, { dotenv: handedOn(dotenv, input.env), jobs });
  return { loaded: freeze({ config, origins: originsOf(effective), effective, file }), problems };
}

/** Every source read and every value computed; what is wrong is added to `problems`. */
export async function gather(input: LoadInput, problems: Problem[]) {
  const { values: given, dotenv, file, jobs } = await readSources(input, problems);
  const values = withCommand(given, input);
  const nodeOptions = input.env.NODE_OPTIONS ?? dotenv.NODE_OPTIONS;
  return { dotenv, file, values, jobs, effective: resolveValues(values, { ...input, nodeOptions }) };
}

/** An app that is no file but the name of a command is the file of that command. */
function withCommand(values: Values, { readFile }: LoadInput): Values {
  const { app } = values;
  if (app.value === null || !/^[\w.-]+$/.test(basename(app.value)) || isThere(app.value, readFile))
    return values;
  const name = basename(app.value);
  const file = commandFile(name, dirname(app.value), readFile);
  if (file === null) return values;
  return { ...values, app: { ...app, value: file, source: `${app.source}: the command ${name}` } };
}

function isThere(path: string, readFile: ReadFile): boolean {
  try {
    readFile(path);
    return true;
  } catch (error) {
    return !isMissing(error);
  }
}

function originsOf(effective: EffectiveValues): Readonly<Record<Key, string>> {
  const entries = Object.entries(effective).map(([key, { from }]) => [key, from]);
  return Object.fromEntries(entries) as Record<Key, string>;
}

function freeze<T extends object>(value: T): T {
  for (const inner of Object.values(value)) {
    if (typeof inner === 'object' && inner !== null) freeze(inner);
  }
  return Object.freeze(value);
}
