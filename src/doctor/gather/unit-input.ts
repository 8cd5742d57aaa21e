import { resolve } from 'node:path';
import { parseEnv } from 'node:util';
import { findDirectories } from '../../config/directories.js';
import type { LoadInput } from '../../config/load.js';
import type { ServiceUnit } from '../service-unit.js';

export interface UnitInput {
  readonly input: LoadInput;
  /** Files that systemd reads and we may not. */
  readonly unreadable: readonly string[];
}

/**
 * What the daemon of a unit has its settings from: the unit's environment, working directory and command line, not
 * those of who asks. Flags that were given win.
 */
export function inputOf(unit: ServiceUnit, own: LoadInput): UnitInput {
  const { files, unreadable } = readEnvironmentFiles(unit, own);
  const env = { ...unit.environment, ...files, ...directoryVariables(unit) };
  const uid = isRoot(unit) ? 0 : 1;
  const { platform } = own;
  const home = '/nonexistent';
  const input = {
    ...own,
    env,
    cwd: unit.workingDirectory || '/',
    flags: { ...serveFlags(unit.execStart[0] ?? []), ...absolute(own) },
    directories: findDirectories({ env, uid, platform, home, tmpdir: '/tmp' }),
  };
  return { input, unreadable };
}

export function isRoot({ user, dynamicUser }: ServiceUnit): boolean {
  return !dynamicUser && (user === '' || user === 'root' || user === '0');
}

/** As commander hands them over, from a command line of `rom-agent serve`. */
export function serveFlags(argv: readonly string[]): Record<string, unknown> {
  const flags: Record<string, unknown> = {};
  const words = argv.slice(argv.indexOf('serve') + 1);
  if (words.length === argv.length) return flags;
  for (let word = words.shift(); word !== undefined; word = words.shift()) {
    const [, name, , value] = /^--([\w-]+)(=(.*))?$/s.exec(word) ?? [];
    if (name === undefined) flags.app = word;
    else flags[camelCase(name)] = value ?? words.shift();
  }
  return flags;
}

/** A path that was given is meant from where it was given. */
function absolute({ flags, cwd }: LoadInput): Record<string, unknown> {
  const paths = ['app', 'config', 'logDir', 'controlSocket', 'stateDir'];
  const entries = Object.entries(flags).map(([name, value]) =>
    paths.includes(name) ? [name, resolve(cwd, String(value))] : [name, value],
  );
  return Object.fromEntries(entries);
}

function camelCase(name: string): string {
  return name.replaceAll(/-(\w)/g, (_, letter: string) => letter.toUpperCase());
}

/** systemd names them to the service: systemd.exec(5). */
function directoryVariables({ stateDirectories, runtimeDirectories }: ServiceUnit): Record<string, string> {
  return {
    ...(stateDirectories.length === 0 ? {} : { STATE_DIRECTORY: stateDirectories.join(':') }),
    ...(runtimeDirectories.length === 0 ? {} : { RUNTIME_DIRECTORY: runtimeDirectories.join(':') }),
  };
}

function readEnvironmentFiles({ environmentFiles }: ServiceUnit, { readFile }: LoadInput) {
  const files: Record<string, string> = {};
  const unreadable: string[] = [];
  for (const { path } of environmentFiles) {
    try {
      Object.assign(files, parseEnv(readFile(path)));
    } catch (error) {
      // One that is missing is no matter here: without its `-` systemd says so itself.
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') unreadable.push(path);
    }
  }
  return { files, unreadable };
}
