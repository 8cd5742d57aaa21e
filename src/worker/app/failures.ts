import { spawnSync } from 'node:child_process';
import { lstatSync, readFileSync } from 'node:fs';
import { basename, isAbsolute } from 'node:path';
import { inspect } from 'node:util';
import { isNativeError } from 'node:util/types';
import { portHolder } from '../../config/proc.js';
import { type ExitCode, exitCodes, RomAgentError } from '../../errors.js';
import type { Failure } from '../../protocol/death-record.js';
import { sandboxHint } from './sandbox.js';

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
