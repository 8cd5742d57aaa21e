import { existsSync, realpathSync } from 'node:fs';
import { type WorkingDirectory, workingDirectoryOf } from '../../config/app.js';
import { type Loaded, type LoadInput, loadConfig } from '../../config/load.js';
import { systemInput } from '../../config/system.js';
import { ConfigError, type ExitCode, exitCodes } from '../../errors.js';
import { secretProblem } from '../../protocol/admin-process.js';
import { showJob } from '../../settings/jobs.js';
import { disclosed, isChanged, type Key, keys, show } from '../../settings/settings.js';
import { plain, table, toJson } from '../output.js';
import type { CommandExit, Session } from '../session.js';

export interface CheckInput {
  /** What loadConfig takes; the real process unless given. */
  readonly input: LoadInput;
  /** JSON instead of a table. */
  readonly json?: boolean;
  /** Only the settings that differ from their defaults. */
  readonly changed?: boolean;
  readonly exists?: (path: string) => boolean;
  readonly realpath?: (path: string) => string;
}

export interface CheckResult {
  /** For standard output; may be empty. */
  readonly text: string;
  /** For standard error; empty where nothing is wrong. */
  readonly errors: string;
  readonly exitCode: ExitCode;
}

/** `rom-agent check` with the flags that commander parsed, in the real process, or as the service that is named. */
export async function checkCommand({
  json,
  changed,
  name,
  ...flags
}: Readonly<Record<string, unknown>>): Promise<CheckResult> {
  const own = systemInput(flags);
  const input = typeof name === 'string' ? await inputOfService(name, own) : own;
  return runCheck({ input, json: json === true, changed: changed === true });
}

/** Flags that were given win, as they do on the service's command line. */
async function inputOfService(name: string, own: LoadInput): Promise<LoadInput> {
  const { input } = await (await import('../service.js')).meantService(name, own);
  return { ...input, flags: { ...input.flags, ...own.flags } };
}

/**
 * The effective values and where each comes from; everything that is wrong otherwise. Exit status 78 for a wrong
 * configuration, 66 for an app that does not exist. Values of .env may be secrets: only their names are shown.
 */
export async function runCheck({
  input,
  json = false,
  changed = false,
  exists = existsSync,
  realpath = realpathSync.native,
}: CheckInput): Promise<CheckResult> {
  const loaded = await load(input);
  if (loaded instanceof ConfigError) return failed(loaded, json);
  const { app, workingDirectory: configured } = loaded.config;
  const { cwd, readFile } = input;
  const directory = workingDirectoryOf({ configured, app, cwd, readFile, realpath });
  const missing =
    missingApp(loaded, exists) ??
    missingDirectory(loaded, exists) ??
    missingJob(loaded, exists) ??
    missingSecret(loaded, readFile);
  const report: Report = {
    loaded,
    directory,
    shown: changed ? keys.filter((key) => isChanged(key, loaded.effective[key])) : keys,
  };
  const secrets = wrongSecrets(loaded, readFile);
  const errors = [...secrets, ...(missing === null ? [] : [missing])];
  const exitCode = missing === null ? exitCodes.ok : exitCodes.moduleMissing;
  return {
    text: json ? asJson(report) : toTable(report),
    errors: errors.map((line) => `${line}\n`).join(''),
    exitCode: secrets.length > 0 ? exitCodes.config : exitCode,
  };
}

/** Files that the admin server and the webhook do not work without, of which nobody but the log would tell. */
function secretsOf({ config, origins }: Loaded): readonly (readonly [name: string, path: string])[] {
  const files = [
    ['admin_token_file', config.admin === null ? null : config.adminTokenFile],
    ['deploy.hook_secret_file', config.deploy.hookSecretFile],
  ] as const;
  return files.flatMap(([key, path]) =>
    path === null ? [] : [[`${key}: ${path} (from ${origins[key]})`, path] as const],
  );
}

/** Not where its directory may not be read. */
function missingSecret(loaded: Loaded, readFile: LoadInput['readFile']): string | null {
  for (const [name, path] of secretsOf(loaded)) {
    try {
      readFile(path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return `${name} does not exist`;
    }
  }
  return null;
}

/** Who may not read a file hears nothing of it. */
function wrongSecrets(loaded: Loaded, readFile: LoadInput['readFile']): readonly string[] {
  return secretsOf(loaded).flatMap(([name, path]) => {
    try {
      const problem = secretProblem(readFile(path));
      return problem === null ? [] : [`${name} ${problem}`];
    } catch {
      return [];
    }
  });
}

async function load(input: LoadInput): Promise<Loaded | ConfigError> {
  try {
    return await loadConfig(input);
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
}

function failed(error: ConfigError, json: boolean): CheckResult {
  return {
    text: json ? `${toJson({ problems: error.problems }, 2)}\n` : '',
    errors: `${error.message}\n`,
    exitCode: exitCodes.config,
  };
}

function missingApp({ config, origins }: Loaded, exists: (path: string) => boolean): string | null {
  if (config.app === null || exists(config.app)) return null;
  const hint = config.deploy.source === null ? '' : '; rom-agent deploy --init makes the first release';
  return `app: ${JSON.stringify(config.app)} (from ${origins.app}) does not exist${hint}`;
}

/** The file that a job would run, where it says by a path which one that is. */
function missingJob({ config, file }: Loaded, exists: (path: string) => boolean): string | null {
  for (const { name, work } of config.jobs) {
    const path = work.kind === 'module' ? work.path : work.kind === 'command' ? work.command[0] : undefined;
    if (path?.startsWith('/') && !exists(path))
      return `jobs.${name}.${work.kind}: ${JSON.stringify(path)} (from ${file}) does not exist`;
  }
  return null;
}

function missingDirectory({ config, origins }: Loaded, exists: (path: string) => boolean): string | null {
  const { workingDirectory: path } = config;
  if (path === null || exists(path)) return null;
  return `working_directory: ${JSON.stringify(path)} (from ${origins.working_directory}) does not exist`;
}

interface Report {
  readonly loaded: Loaded;
  readonly directory: WorkingDirectory;
  readonly shown: readonly Key[];
}

/** Durations in milliseconds, sizes in MiB. */
function asJson({ loaded: { config, effective, file }, directory, shown }: Report): string {
  const dotenv = Object.keys(config.dotenv);
  const settings = Object.fromEntries(shown.map((key) => [key, disclosed(effective)[key]]));
  // Their values may be secrets.
  const jobs = config.jobs.map(({ env, ...job }) => ({ ...job, env: Object.keys(env) }));
  return `${toJson({ file, dotenv, workingDirectory: directory, settings, jobs }, 2)}\n`;
}

function toTable({ loaded: { config, effective, file }, directory, shown }: Report): string {
  const rows = shown.map((key) =>
    plain([key, show(key, effective[key].value), effective[key].from] as const),
  );
  const names = Object.keys(config.dotenv);
  const notes = [
    `Configuration file: ${file ?? 'none'}`,
    `Working directory of the workers: ${directory.path} (${directory.from})`,
    ...(names.length === 0 ? [] : [`Handed on from .env to the workers: ${names.join(', ')}`]),
  ];
  const settings =
    rows.length === 0 ? 'every setting has its default\n' : table([['setting', 'value', 'from'], ...rows]);
  const jobs = config.jobs.map((job) => plain([job.name, showJob(job)] as const));
  const jobTable = jobs.length === 0 ? '' : `\n${table([['job', 'what it does, and when'], ...jobs])}`;
  return `${settings}${jobTable}\n${notes.join('\n')}\n`;
}

/** `rom-agent config`: what the daemon that runs goes by, which may differ from what `check` finds in the files. */
export async function runningConfigCommand(
  { client, terminal }: Session,
  { json = false, changed = false }: { readonly json?: boolean; readonly changed?: boolean },
): Promise<CommandExit> {
  const all = Object.entries(await client.config());
  // One that this command does not know may be anything.
  const shownOnes = changed ? all.filter(([key, setting]) => !isKey(key) || isChanged(key, setting)) : all;
  const settings = Object.fromEntries(shownOnes);
  if (json) {
    terminal.printJson(settings, 'pretty');
    return exitCodes.ok;
  }
  const rows = Object.entries(settings).map(([key, { value, from }]) => [key, shown(key, value), from]);
  terminal.print(table([['setting', 'value', 'from'], ...rows]));
  return exitCodes.ok;
}

/** A daemon of another version may have settings that this command does not know. */
function shown(key: string, value: unknown): string {
  return isKey(key) ? show(key, value) : JSON.stringify(value);
}

function isKey(key: string): key is Key {
  return (keys as readonly string[]).includes(key);
}
