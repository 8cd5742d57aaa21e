import { dirname, resolve } from 'node:path';
import type { Problem } from '../errors.js';
import type { Directories } from './directories.js';
import { configFile } from './settings.js';
import { type Environment, isMissing, isSet, type Layer, type ReadFile, unreadable } from './sources.js';

/** What was read of the configuration file. */
export interface ConfigFile {
  /** Absolute; null where there is no file. */
  readonly path: string | null;
  readonly layer: Layer;
}

export interface FileInput {
  readonly flags: Readonly<Record<string, unknown>>;
  readonly env: Environment;
  readonly dotenv: Environment;
  readonly cwd: string;
  readonly readFile: ReadFile;
  readonly directories: Pick<Directories, 'config'>;
}

/** Reads the TOML file, if there is one. What is wrong with it, its values apart, is added to `problems`. */
export async function readConfigFile(input: FileInput, problems: Problem[]): Promise<ConfigFile> {
  const named = nameOf(input);
  const path = named === null ? input.directories.config : resolve(input.cwd, named.path);
  const text = contentsOf(path, { named, readFile: input.readFile, problems });
  if (text === null) return { path: null, layer: () => undefined };
  // only a daemon with a file pays for the parser
  const { readToml } = await import('./toml.js');
  const values = readToml(text, { path, problems });
  const base = dirname(path);
  const layer: Layer = (key) =>
    values.has(key) ? { raw: values.get(key), form: 'toml', source: path, base } : undefined;
  return { path, layer };
}

interface Named {
  readonly path: string;
  readonly source: string;
}

function nameOf({ flags, env, dotenv }: FileInput): Named | null {
  const { flag, flagName, variable } = configFile;
  if (typeof flags[flagName] === 'string') return { path: flags[flagName], source: flag };
  if (isSet(env[variable])) return { path: env[variable], source: `${variable} in the environment` };
  if (isSet(dotenv[variable])) return { path: dotenv[variable], source: `${variable} in .env` };
  return null;
}

function contentsOf(
  path: string,
  { named, readFile, problems }: { named: Named | null; readFile: ReadFile; problems: Problem[] },
): string | null {
  try {
    return readFile(path);
  } catch (error) {
    if (named === null && isMissing(error)) return null;
    const problem = unreadable({ field: 'config', path, error });
    problems.push(named === null ? problem : { ...problem, source: named.source });
    return null;
  }
}
