import { existsSync } from 'node:fs';
import { type Loaded, type LoadInput, loadConfig } from '../config/load.js';
import { keys, show } from '../config/settings.js';
import { systemInput } from '../config/system.js';
import { ConfigError } from '../errors/errors.js';
import { type ExitCode, exitCodes } from '../errors/exit-codes.js';

export interface CheckInput {
  /** What loadConfig takes; the real process unless given. */
  readonly input: LoadInput;
  /** JSON instead of a table. */
  readonly json?: boolean;
  readonly exists?: (path: string) => boolean;
}

export interface CheckResult {
  /** For standard output; may be empty. */
  readonly text: string;
  /** For standard error; empty where nothing is wrong. */
  readonly errors: string;
  readonly exitCode: ExitCode;
}

/** `rom-agent check` with the flags that commander parsed, in the real process. */
export function checkCommand({ json, ...flags }: Readonly<Record<string, unknown>>): Promise<CheckResult> {
  return runCheck({ input: systemInput(flags), json: json === true });
}

/**
 * The effective values and where each comes from; everything that is wrong otherwise. Exit status 78 for a wrong
 * configuration, 66 for an app that does not exist. Values of .env may be secrets: only their names are shown.
 */
export async function runCheck({
  input,
  json = false,
  exists = existsSync,
}: CheckInput): Promise<CheckResult> {
  const loaded = await load(input);
  if (loaded instanceof ConfigError) return failed(loaded, json);
  const missing = missingApp(loaded, exists);
  return {
    text: json ? toJson(loaded) : toTable(loaded),
    errors: missing === null ? '' : `${missing}\n`,
    exitCode: missing === null ? exitCodes.ok : exitCodes.moduleMissing,
  };
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
    text: json ? `${JSON.stringify({ problems: error.problems }, null, 2)}\n` : '',
    errors: `${error.message}\n`,
    exitCode: exitCodes.config,
  };
}

function missingApp({ config, origins }: Loaded, exists: (path: string) => boolean): string | null {
  if (config.app === null || exists(config.app)) return null;
  return `app: ${JSON.stringify(config.app)} (from ${origins.app}) does not exist`;
}

/** Durations in milliseconds, sizes in MiB. */
function toJson({ config, effective, file }: Loaded): string {
  const dotenv = Object.keys(config.dotenv);
  return `${JSON.stringify({ file, dotenv, settings: effective }, null, 2)}\n`;
}

function toTable({ config, effective, file }: Loaded): string {
  const rows = keys.map((key) => [key, show(key, effective[key].value), effective[key].from] as const);
  const names = Object.keys(config.dotenv);
  const notes = [
    `Configuration file: ${file ?? 'none'}`,
    ...(names.length === 0 ? [] : [`Handed on from .env to the workers: ${names.join(', ')}`]),
  ];
  return `${align([['setting', 'value', 'from'], ...rows])}\n\n${notes.join('\n')}\n`;
}

function align(rows: readonly (readonly [string, string, string])[]): string {
  const first = Math.max(...rows.map(([key]) => key.length));
  const second = Math.max(...rows.map(([, value]) => value.length));
  return rows
    .map(([key, value, from]) => `${key.padEnd(first)}  ${value.padEnd(second)}  ${from}`)
    .join('\n');
}
