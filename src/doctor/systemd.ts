import { resolve } from 'node:path';
import { parseEnv } from 'node:util';
import { attempt } from '../config/cgroup.js';
import { findDirectories } from '../config/directories.js';
import type { LoadInput } from '../config/load.js';
import type { ReadFile } from '../config/sources.js';
import type { DoctorSeam, SystemdFacts } from './facts.js';
import { refusalsOf } from './refusals.js';
import {
  isLoaded,
  parseProperties,
  parseService,
  parseSocket,
  type ServiceUnit,
  serviceProperties,
  socketProperties,
  watchdogInFiles,
} from './units.js';

/** null where systemd does not run this machine: sd_booted(3). */
export async function systemdFacts(seam: DoctorSeam, name: string): Promise<SystemdFacts | null> {
  if (seam.platform !== 'linux' || seam.stat('/run/systemd/system') === null) return null;
  const socketName = name.replace(/\.service$/, '.socket');
  const [version, service, socket] = await Promise.all([
    seam.run('systemctl', ['--version']),
    show(seam, name, serviceProperties),
    show(seam, socketName, socketProperties),
  ]);
  const unit = isLoaded(service) ? await withWatchdog(seam, parseService(name, service)) : null;
  return {
    version: Number(/^systemd (\d+)/.exec(version ?? '')?.[1]) || null,
    name,
    unit,
    socket: isLoaded(socket) ? parseSocket(socketName, socket) : null,
    missingPaths: (unit?.needed ?? []).filter(
      // What systemd makes for the service is there once it starts.
      ({ path }) => seam.stat(path) === null && !isMade(path, unit),
    ),
    refusals: unit === null ? [] : await refusalsOf(seam, unit),
    missing: unit === null ? [] : filesOf(unit).filter((path) => seam.stat(path) === null),
  };
}

async function withWatchdog(seam: DoctorSeam, unit: ServiceUnit): Promise<ServiceUnit> {
  if (unit.mainPid !== 0) return unit;
  const files = await seam.run('systemctl', ['cat', unit.name]);
  return { ...unit, watchdog: files === null ? null : watchdogInFiles(files) };
}

async function show(seam: DoctorSeam, unit: string, properties: readonly string[]) {
  return parseProperties((await seam.run('systemctl', ['show', unit, '-p', properties.join(',')])) ?? '');
}

/** The program and, for node, its script. */
export function filesOf({ execStart }: ServiceUnit): readonly string[] {
  return execStart.flatMap((argv) => argv.slice(0, 2)).filter((word) => word.startsWith('/'));
}

function isMade(path: string, unit: ServiceUnit | null): boolean {
  const made = [
    ...(unit?.stateDirectories ?? []),
    ...(unit?.runtimeDirectories ?? []),
    ...(unit?.otherDirectories ?? []),
  ];
  return made.some((directory) => path === directory || path.startsWith(`${directory}/`));
}

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
  const unreadable: string[] = [];
  const readFile = sparing(own.readFile, unreadable);
  const files = environmentIn(unit, readFile);
  const env = { ...unit.environment, ...files, ...directoryVariables(unit) };
  const uid = isRoot(unit) ? 0 : 1;
  const { platform } = own;
  const home = '/nonexistent';
  const input = {
    ...own,
    readFile,
    env,
    cwd: unit.workingDirectory || '/',
    flags: { ...serveFlags(unit.execStart[0] ?? []), ...absolute(own) },
    directories: findDirectories({ env, uid, platform, home, tmpdir: '/tmp' }),
  };
  return { input, unreadable };
}

/** What is kept from us is not kept from the service: it is no error, but unknown. */
function sparing(readFile: ReadFile, unreadable: string[]): ReadFile {
  return (path) => {
    try {
      return readFile(path);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== 'EACCES' && code !== 'EPERM') throw error;
      unreadable.push(path);
      return '';
    }
  };
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
    if (word === '--') {
      flags.args = words.splice(0);
      break;
    }
    const [, name, , value] = /^--([\w-]+)(=(.*))?$/s.exec(word) ?? [];
    if (name === undefined) flags.app = word;
    else flags[camelCase(name)] = value ?? words.shift();
  }
  return flags;
}

/** A path that was given is meant from where it was given. */
function absolute({ flags, cwd }: LoadInput): Record<string, unknown> {
  const paths = ['app', 'config', 'workingDirectory', 'logDir', 'controlSocket', 'stateDir'];
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

function environmentIn({ environmentFiles }: ServiceUnit, readFile: ReadFile): Record<string, string> {
  // One that is missing is no matter here: without its `-` systemd says so itself.
  const files = environmentFiles.map(({ path }) => parseEnv(attempt(readFile, path) ?? ''));
  return Object.assign({}, ...files) as Record<string, string>;
}
