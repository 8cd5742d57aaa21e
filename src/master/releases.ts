import { readFileSync, realpathSync } from 'node:fs';
import { workingDirectoryOf } from '../config/app.js';
import type { Loaded } from '../config/load.js';
import type { ReadFile } from '../config/sources.js';
import { exitCodes, RomAgentError } from '../errors.js';
import { type Config, toConfig } from '../settings/config.js';
import { fixedKeys, type Key } from '../settings/settings.js';

/** What the workers of one generation run, fixed when the generation was asked for. */
export interface Release {
  readonly generation: number;
  readonly config: Config;
  readonly effective: Loaded['effective'];
  /** Where the workers start: symbolic links resolved, so that the old code is found again after a rollback. */
  readonly cwd: string;
  /** Why there, in words. */
  readonly cwdFrom: string;
  /** Settings that differ from those of the start, but wait for a restart of the service. */
  readonly needRestart: readonly Key[];
}

export interface Releases {
  of(generation: number): Release;
  /** Those that are needed, oldest first. */
  all(): readonly Release[];
  /**
   * Reads the configuration anew and resolves the app's path, symbolic links included.
   *
   * @throws ConfigError where the configuration is wrong; RomAgentError (exit 66) where there is no such app
   */
  prepare(): Promise<Release>;
  /** Only these are needed any more. */
  keep(generations: readonly number[]): void;
}

export interface ReleasesSeam {
  readonly loaded: Loaded;
  /** Reads the configuration as at the start. */
  readonly load: () => Promise<Loaded>;
  readonly cwd: string;
  readonly env: NodeJS.ProcessEnv;
  readonly realpath?: (path: string) => string;
  readonly readFile?: ReadFile;
}

export function createReleases(seam: ReleasesSeam): Releases {
  const { loaded, load, realpath = realpathSync.native, readFile = readText } = seam;
  const startedIn = logicalDirectory(seam, realpath);
  const releases = new Map<number, Release>();
  let last = 0;

  const add = (config: Config, effective: Loaded['effective'], needRestart: readonly Key[]): Release => {
    const { workingDirectory: configured } = config;
    const { path: cwd, from: cwdFrom } = workingDirectoryOf({
      configured,
      app: config.app,
      cwd: startedIn,
      readFile,
      realpath,
    });
    // The first workers themselves say best what is wrong with a path.
    const app = config.app === null ? null : (resolved(config.app, realpath) ?? config.app);
    const generation = ++last;
    const release: Release = { generation, config: { ...config, app }, effective, cwd, cwdFrom, needRestart };
    releases.set(generation, release);
    return release;
  };
  const { config, effective } = loaded;
  add(config, effective, []);

  return {
    of: (generation) => {
      const release = releases.get(generation);
      if (release === undefined) throw new Error(`no release of generation ${generation}`);
      return release;
    },
    all: () => [...releases.values()],
    prepare: async () => {
      const next = await load();
      if (next.config.app !== null) mustExist(next.config.app, realpath);
      const needRestart = fixedKeys.filter((key) => next.effective[key].value !== effective[key].value);
      const config = toConfig(merged(next.effective, effective), next.config);
      return add(config, next.effective, needRestart);
    },
    keep: (generations) => {
      for (const generation of releases.keys())
        if (generation !== last && !generations.includes(generation)) releases.delete(generation);
    },
  };
}

/**
 * The settings of `next`, but for the fixed ones: the master opens listeners, the control socket and its log once, and
 * the workers of two generations must agree on where a client belongs.
 */
function merged(next: Loaded['effective'], first: Loaded['effective']): Loaded['effective'] {
  return { ...next, ...Object.fromEntries(fixedKeys.map((key) => [key, first[key]])) };
}

function mustExist(app: string, realpath: (path: string) => string): void {
  if (resolved(app, realpath) !== null) return;
  throw new RomAgentError(`module missing: app: there is no file ${app}`, {
    exitCode: exitCodes.moduleMissing,
  });
}

function resolved(path: string, realpath: (path: string) => string): string | null {
  try {
    return realpath(path);
  } catch {
    return null;
  }
}

/** Where rom-agent was started, by the way that led there: one through a symbolic link is gone anew for each release. */
function logicalDirectory({ cwd, env }: ReleasesSeam, realpath: (path: string) => string): string {
  const { PWD: logical } = env;
  return logical !== undefined && resolved(logical, realpath) === cwd ? logical : cwd;
}

function readText(path: string): string {
  return readFileSync(path, 'utf8');
}
