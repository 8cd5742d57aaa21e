import { statSync } from 'node:fs';
import { userInfo } from 'node:os';
import { setTimeout } from 'node:timers/promises';
import { findDirectories, launchdRuntime, ofCheckout } from '../config/directories.js';
import { gather, type LoadInput } from '../config/load.js';
import { systemInput } from '../config/system.js';
import { type ControlClient, connectControl } from '../control/client.js';
import { ConfigError, exitCodes, type Problem, RomAgentError } from '../errors.js';
import { isAlive } from '../processes.js';
import { configFile } from '../settings/settings.js';
import { notRight } from './arguments.js';
import { openTerminal, plainClient, type Terminal } from './output.js';

/** What a command works with that talks to a daemon. */
export interface Session {
  readonly client: ControlClient;
  /** Its absolute path. */
  readonly controlSocket: string;
  readonly terminal: Terminal;
  /** Who asks, for the daemon's log and records. */
  readonly by: string;
  /** Wall clock, ms since 1970. */
  readonly clock: () => number;
  readonly sleep: (ms: number) => Promise<void>;
  /** From the first call on, Ctrl-C and SIGTERM abort this signal instead of ending the process. */
  readonly interrupted: () => AbortSignal;
  /** Whether there is such a process on this machine. */
  readonly lives: (pid: number) => boolean;
}

/** Ended by SIGINT, as shells say it. */
export const interruptedExit = 130;

/** What a command that talks to a daemon ends with. */
export type CommandExit = (typeof exitCodes)[keyof typeof exitCodes] | typeof interruptedExit;

/** @throws {ConfigError} where the path of the control socket is wrong */
export async function openSession(flags: Readonly<Record<string, unknown>>): Promise<Session> {
  const terminal = openTerminal();
  const uid = process.getuid?.() ?? 0;
  const input = systemInput(flags);
  const path =
    typeof flags.name === 'string'
      ? await socketOfService(flags, input)
      : await findControlSocket({
          input,
          uid,
          isThere,
          service: () => onlySocket(input),
          warn: terminal.warn,
        });
  const client = connectControl({ path });
  return {
    // JSON is what came, escaped as JSON escapes.
    client: flags.json === true ? client : plainClient(client),
    controlSocket: path,
    terminal,
    by: whoAsks({ env: process.env, user: userName, atTerminal: isAtTerminal() }),
    clock: Date.now,
    sleep: (ms) => setTimeout(ms),
    interrupted: interruptions(),
    lives: isAlive,
  };
}

/** @throws RomAgentError exit 64 where there is no such service, or where another flag names one too */
async function socketOfService(flags: Readonly<Record<string, unknown>>, input: LoadInput): Promise<string> {
  const { checkFlags, meantService } = await import('./service.js');
  checkFlags(flags, 'controlSocket', configFile.flagName);
  return (await meantService(String(flags.name), input)).controlSocket;
}

/** Of the one service that this host has; null where it has none. */
async function onlySocket(input: LoadInput): Promise<string | null> {
  const { theService } = await import('./service.js');
  return (await theService(input))?.controlSocket ?? null;
}

export interface Asking {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly user: () => string;
  readonly atTerminal: boolean;
}

/** systemd sets INVOCATION_ID for what it runs (systemd.exec(5)), which a terminal that it runs hands on. */
export function whoAsks({ env, user, atTerminal }: Asking): string {
  if (env.SUDO_USER) return env.SUDO_USER;
  return env.INVOCATION_ID && !atTerminal ? 'systemctl' : user();
}

/** An account without an entry in passwd(5), as containers have them, has a number only. */
function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return `uid ${process.getuid?.()}`;
  }
}

function isAtTerminal(): boolean {
  return [process.stdin, process.stdout, process.stderr].some(({ isTTY }) => isTTY);
}

function interruptions(): () => AbortSignal {
  let controller: AbortController | null = null;
  return () => {
    if (controller === null) {
      const created = new AbortController();
      for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => created.abort());
      controller = created;
    }
    return controller.signal;
  };
}

export interface SocketSeam {
  readonly input: LoadInput;
  readonly uid: number;
  readonly isThere: (path: string) => boolean;
  /** The control socket of the one service of this host; null where there is none. Throws where there are several. */
  readonly service: () => Promise<string | null>;
  readonly warn: (sentence: string) => void;
}

/**
 * The control socket that the configuration names. Other settings may be wrong: whoever has just broken the
 * configuration must still reach the daemon that runs.
 *
 * @throws {ConfigError} where the path itself is wrong
 */
export async function findControlSocket({ input, uid, isThere, service, warn }: SocketSeam): Promise<string> {
  const problems: Problem[] = [];
  const { effective } = await gather(input, problems);
  const { value, from } = effective.control_socket;
  const own = problems.filter(({ field }) => field === 'control_socket');
  if (own.length > 0) throw new ConfigError(own);
  if (problems.length > 0) warn('the configuration has errors; rom-agent check prints them');
  if (!from.startsWith('default') && !isUsualFile(from, input)) return value;
  // Asked by a service itself, as by ExecReload=.
  if (input.env.RUNTIME_DIRECTORY) return value;
  const system = systemSockets(input.platform).find((path) => path !== value && isThere(path));
  if (from.includes(ofCheckout)) {
    // The one that is meant may be a tour's, and the other one in production.
    if (system !== undefined && !isThere(value))
      warn(`not asking the service of this machine, whose control socket is ${system}`);
    return value;
  }
  // A daemon of one's own.
  if (uid !== 0 && from.startsWith('default') && isThere(value)) return value;
  const only = await service();
  if (only !== null) {
    if (uid === 0 && only !== value && isThere(value)) throw ambiguous(only, value);
    return only;
  }
  if (isThere(value) || system === undefined) return value;
  // Where root itself runs a daemon by hand, it is at the default.
  return uid === 0 && input.platform !== 'darwin' ? value : system;
}

/** The configuration of the plain unit, which nobody has named. */
function isUsualFile(from: string, { flags, env, directories }: LoadInput): boolean {
  return from === directories.config && flags[configFile.flagName] === undefined && !env[configFile.variable];
}

function ambiguous(service: string, other: string): RomAgentError {
  return new RomAgentError(
    `two daemons run, at ${service} and at ${other}: name the service with --name, or its control socket with --control-socket`,
    { exitCode: exitCodes.usage },
  );
}

/** Whether there is anything; a directory that may not be entered hides the answer, and so counts as yes. */
export function isThere(path: string): boolean {
  try {
    statSync(path);
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return code !== 'ENOENT' && code !== 'ENOTDIR';
  }
}

/** Of the service that this machine has: under launchd, which runs it as an account of its own, or as root's. */
function systemSockets(platform: NodeJS.Platform): readonly string[] {
  const nowhere = '';
  const { runtime } = findDirectories({ env: {}, uid: 0, platform, home: nowhere, tmpdir: nowhere });
  const all = platform === 'darwin' ? [launchdRuntime, runtime] : [runtime];
  return all.map((directory) => `${directory}/control.sock`);
}

/** ms between two looks */
const interval = 100;

export interface Waiting<T> {
  /** ms */
  readonly limit: number;
  /** The outcome, or null while there is none. */
  readonly look: () => Promise<T | null>;
  /** The limit starts anew. */
  readonly isExcused?: () => boolean;
  /** What is said when time is up. */
  readonly late: () => string;
}

/** @throws RomAgentError exit 75 when time is up */
export async function waitUntil<T>(
  { clock, sleep }: Session,
  { limit, look, isExcused = () => false, late }: Waiting<T>,
): Promise<T> {
  let deadline = clock() + limit;
  for (;;) {
    const outcome = await look();
    if (outcome !== null) return outcome;
    if (isExcused()) deadline = clock() + limit;
    if (clock() >= deadline) throw new RomAgentError(late(), { exitCode: exitCodes.tryAgain });
    await sleep(interval);
  }
}

/** A time of the daemon's configuration, or the sum of two, with some to spare, ms. */
export async function limitFrom(
  { client }: Session,
  setting: 'boot_timeout' | 'drain_timeout',
  besides?: 'lame_duck',
): Promise<number> {
  const config = await client.config();
  const value = config[setting]?.value;
  const more = besides === undefined ? 0 : config[besides]?.value;
  return (typeof value === 'number' ? value : usual) + (typeof more === 'number' ? more : 0) + spare;
}

const usual = 30_000;
const spare = 10_000;

/** @throws RomAgentError exit 64 where it is no number of a worker */
export function workerNumber(command: string, worker: string): number {
  if (/^[1-9]\d{0,5}$/.test(worker)) return Number(worker);
  throw notRight(`${command}:`, worker, 'the number of a worker, which rom-agent status shows');
}
