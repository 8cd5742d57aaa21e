import { spawnSync } from 'node:child_process';
import { accessSync, constants, lstatSync, readFileSync, statSync } from 'node:fs';
import { basename, dirname, isAbsolute } from 'node:path';
import { inspect } from 'node:util';
import { isNativeError } from 'node:util/types';
import { unitInCgroup } from '../../config/cgroup.js';
import { type ExitCode, exitCodes, RomAgentError } from '../../errors.js';
import { portHolder } from '../../processes.js';
import type { Failure } from '../../protocol/death-record.js';
import { commandOf, groupNameIn, type Refusal, remedyFor, type Sandbox } from '../../sandbox/remedies.js';

interface SystemError extends Error {
  readonly code?: string;
  readonly errno?: number;
  readonly port?: number;
  readonly address?: string | null;
  readonly syscall?: string;
  /** Of a failed require(): the modules that required it, the nearest first. */
  readonly requireStack?: readonly string[];
}

/** What an error that ended the worker means to the operator. */
export function failureOf(error: unknown): Failure {
  const known: SystemError = isNativeError(error) ? error : thrown(error);
  const { message, exitCode, expected } = explain(known);
  const hint = sandboxHint(known);
  return {
    message: hint === null ? message : `${message}; ${hint}`,
    exitCode,
    ...(typeof known.errno === 'number' ? { errno: Math.abs(known.errno) } : {}),
    ...(expected || known.stack === undefined ? {} : { stack: known.stack }),
  };
}

export interface SandboxSeam {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly uid: number;
  readonly readFile: (path: string) => string;
  /** null where the file does not exist, or where this process may not see it. */
  readonly ownerOf: (path: string) => { readonly uid: number; readonly gid: number } | null;
  /** Why this process may not write there, as the error code of access(2); null where it may. */
  readonly writeError: (path: string) => string | null;
  /** Whether this process may enter the directory. */
  readonly mayEnter: (path: string) => boolean;
}

/**
 * Names the directive of the unit that refused access, and the drop-in that allows it; null where no sandbox refused,
 * and where this process does not run in a systemd unit. See systemd.exec(5).
 */
export function sandboxHint(error: Refusal, seam: SandboxSeam = here): string | null {
  const unit = unitOf(seam);
  if (unit === null) return null;
  const remedy = remedyFor(error, sandboxAround(seam));
  if (remedy === null) return null;
  return remedy.lines.length === 0 ? remedy.why : `${remedy.why}: ${commandOf(remedy, unit)}`;
}

interface Explanation {
  readonly message: string;
  readonly exitCode: ExitCode;
  /** The message says everything: a stack would only hide it. */
  readonly expected: boolean;
}

/** JavaScript may throw any value; where it was thrown is then not known. */
function thrown(value: unknown): RomAgentError {
  const text = inspect(value, { depth: 1, breakLength: Number.POSITIVE_INFINITY });
  return new RomAgentError(`the app threw ${text}, which is no Error`, { exitCode: exitCodes.appFailed });
}

function explain(error: SystemError): Explanation {
  if (error instanceof RomAgentError)
    return { message: error.message, exitCode: error.exitCode, expected: true };
  return explainCode(error) ?? unexpected(error);
}

/**
 * What the system's or the module loader's error code means; null for any other. A failed connect() has the same
 * codes as a listen().
 */
function explainCode(error: SystemError): Explanation | null {
  const listens = error.syscall === 'listen' || error.syscall === 'bind';
  switch (error.code) {
    case 'EADDRINUSE':
      return listens ? expected(exitCodes.addressInUse, inUse(error)) : null;
    case 'EADDRNOTAVAIL':
      if (!listens) return null;
      return expected(exitCodes.addressInUse, `host: ${where(error)} is not an address of this machine`);
    case 'EACCES':
    case 'EPERM':
      return listens ? expected(exitCodes.noPermission, noPermission(error)) : null;
    case 'ERR_MODULE_NOT_FOUND':
    case 'MODULE_NOT_FOUND':
      return expected(exitCodes.moduleMissing, moduleMissing(error));
    case 'ERR_UNKNOWN_FILE_EXTENSION':
      return expected(exitCodes.appFailed, unknownExtension(error));
    default:
      return null;
  }
}

function unexpected(error: SystemError): Explanation {
  const text = `${error.name}: ${textOf(error)}`;
  const place = error.name === 'SyntaxError' ? syntaxErrorAt(error) : null;
  return {
    message: place === null ? text : `${text} (${place})`,
    exitCode: exitCodes.appFailed,
    expected: false,
  };
}

/** Where connecting failed at every address of a name, the error's own message is empty. */
function textOf(error: SystemError): string {
  if (error.message !== '' || !(error instanceof AggregateError)) return firstLine(error.message);
  return error.errors
    .map((each: unknown) => (isNativeError(each) ? firstLine(each.message) : inspect(each)))
    .join(', ');
}

function moduleMissing({ message, requireStack }: SystemError): string {
  const [asker] = requireStack ?? [];
  return `module missing: ${firstLine(message)}${asker === undefined ? '' : ` required by ${asker}`}`;
}

function expected(exitCode: ExitCode, message: string): Explanation {
  return { message, exitCode, expected: true };
}

function inUse(error: SystemError): string {
  if (isLeftOver(error.address)) {
    const remedy = 'remove the file, or have the app remove it before it listens';
    return `${where(error)} is a file that a killed process has left, and nobody listens on it: ${remedy}`;
  }
  const holder = error.port === undefined ? null : portHolder(error.port);
  const own = holder !== null && (holder.pid === process.ppid || holder.pid === process.pid);
  if (own) return `${where(error)} is in use by another server of the same app`;
  const by = holder === null ? '' : `, held by ${holder.name} (pid ${holder.pid})`;
  return `${where(error)} is in use${by}`;
}

/** Whether a unix socket's file is there without a socket of its name in the kernel's list (Linux: /proc/net/unix). */
function isLeftOver(address: string | null | undefined): boolean {
  if (address == null || !isAbsolute(address)) return false;
  try {
    if (!lstatSync(address).isSocket()) return false;
    // The list has names as the programs gave them, also relative ones.
    const name = basename(address);
    return readFileSync('/proc/net/unix', 'utf8')
      .split('\n')
      .every((row) => basename(row) !== name && !row.endsWith(` ${name}`));
  } catch {
    return false;
  }
}

function noPermission(error: SystemError): string {
  const privileged = error.port !== undefined && error.port > 0 && error.port < 1024;
  const hint = privileged ? ': ports below 1024 need CAP_NET_BIND_SERVICE or a socket unit' : '';
  return `no permission to listen on ${where(error)}${hint}`;
}

function unknownExtension(error: SystemError): string {
  const hint = /\.[cm]?ts\b/.test(error.message)
    ? ` (Node ${process.versions.node} does not strip types; 22.18 and later do)`
    : '';
  return `${firstLine(error.message)}${hint}`;
}

function where({ port, address }: SystemError): string {
  if (port === undefined || port < 0) return `socket ${address ?? 'unknown'}`;
  return address == null || address === '::' || address === '0.0.0.0'
    ? `port ${port}`
    : `${address} port ${port}`;
}

function firstLine(text: string): string {
  return text.split('\n', 1)[0] ?? text;
}

/** How long Node may take to check a file, ms. */
const limit = 5_000;

/**
 * Where a syntax error is, as `file:line`; null where that is not known. For CommonJS Node writes the place above the
 * stack. For an ES module Node prints it on standard error only and does not put it into the error, so that we run
 * `node --check`.
 *
 * @param main the app's own file, the only one that is checked; not those that it imports
 */
function syntaxErrorAt({ stack = '' }: Error, main = process.argv[1]): string | null {
  const [above = ''] = stack.split('\n', 1);
  // While the service runs, JSON.parse() and eval() throw syntax errors, too; no file of the app is the cause then.
  const ofModule = main !== undefined && stack.includes('node:internal/modules/esm');
  return placeIn(above) ?? (ofModule ? placeIn(check(main)) : null);
}

function check(file: string): string {
  const { stderr } = spawnSync(process.execPath, ['--check', file], {
    encoding: 'utf8',
    timeout: limit,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  return stderr ?? '';
}

function placeIn(text: string): string | null {
  const match = /^(?:file:\/\/)?(\/.*:\d+)$/m.exec(text);
  return match?.[1] ?? null;
}

function sandboxAround(seam: SandboxSeam): Sandbox {
  const { env, uid, ownerOf, mayEnter } = seam;
  const [state = '/var/lib/rom-agent'] = (env.STATE_DIRECTORY ?? '').split(':').filter(Boolean);
  return {
    isDynamic: isDynamic(uid),
    state: basename(state),
    // Without ProtectHome= every user may enter /home.
    hidesHomes: !mayEnter('/home'),
    gidOf: (path) => ownerOf(path)?.gid ?? null,
    groupName: (gid) => groupNameIn(seam, gid),
    owns: (path) => ownerOf(path)?.uid === uid,
    isReadOnly: (path) => isReadOnly(path, seam),
    isOutside: () => null,
  };
}

/**
 * On a read-only file system mkdir() with `recursive` fails with ENOENT (Node 20). access(2) checks the mode first,
 * and fails with EACCES where another user owns the directory.
 */
function isReadOnly(path: string, { writeError }: SandboxSeam): boolean {
  for (let up = path; up !== ''; up = dirname(up)) {
    const code = writeError(up);
    if (code !== 'ENOENT' || up === dirname(up)) return code === 'EROFS' || code === 'EACCES';
  }
  return false;
}

/** The range from which systemd takes dynamic users: docs/UIDS-GIDS of systemd. */
function isDynamic(uid: number): boolean {
  return uid >= 61_184 && uid <= 65_519;
}

/** systemd sets INVOCATION_ID, and names the cgroup after the unit; a shell below a service is in one too. */
function unitOf({ env, readFile }: SandboxSeam): string | null {
  if (!env.INVOCATION_ID) return null;
  try {
    return unitInCgroup(readFile('/proc/self/cgroup')).unit;
  } catch {
    return null;
  }
}

const here: SandboxSeam = {
  env: process.env,
  uid: process.getuid?.() ?? 0,
  readFile: (path) => readFileSync(path, 'utf8'),
  ownerOf: (path) => {
    try {
      return statSync(path);
    } catch {
      return null;
    }
  },
  writeError: (path) => accessError(path, constants.W_OK),
  mayEnter: (path) => accessError(path, constants.X_OK) !== 'EACCES',
};

function accessError(path: string, mode: number): string | null {
  try {
    accessSync(path, mode);
    return null;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? null;
  }
}
