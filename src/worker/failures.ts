import type { Failure } from '../core/model.js';
import { RomAgentError } from '../errors/errors.js';
import { type ExitCode, exitCodes } from '../errors/exit-codes.js';
import { portHolder } from './port-holder.js';

interface SystemError extends Error {
  readonly code?: string;
  readonly errno?: number;
  readonly port?: number;
  readonly address?: string | null;
}

/** What an error that ended the worker means to the operator. */
export function failureOf(error: unknown): Failure {
  const known: SystemError = error instanceof Error ? error : new Error(`the app threw ${String(error)}`);
  const { message, exitCode, expected } = explain(known);
  return {
    message,
    exitCode,
    ...(typeof known.errno === 'number' ? { errno: Math.abs(known.errno) } : {}),
    ...(expected || known.stack === undefined ? {} : { stack: known.stack }),
  };
}

interface Explanation {
  readonly message: string;
  readonly exitCode: ExitCode;
  /** The message says it all: a stack would only hide it. */
  readonly expected: boolean;
}

function explain(error: SystemError): Explanation {
  if (error instanceof RomAgentError)
    return { message: error.message, exitCode: error.exitCode, expected: true };
  switch (error.code) {
    case 'EADDRINUSE':
      return expected(exitCodes.addressInUse, inUse(error));
    case 'EADDRNOTAVAIL':
      return expected(exitCodes.addressInUse, `host: ${where(error)} is not an address of this machine`);
    case 'EACCES':
    case 'EPERM':
      if (error.address == null && error.port === undefined) break;
      return expected(exitCodes.noPermission, noPermission(error));
    case 'ERR_MODULE_NOT_FOUND':
    case 'MODULE_NOT_FOUND':
      return expected(exitCodes.moduleMissing, `module missing: ${firstLine(error.message)}`);
    case 'ERR_UNKNOWN_FILE_EXTENSION':
      return expected(exitCodes.appFailed, unknownExtension(error));
    default:
      break;
  }
  return {
    message: `${error.name}: ${firstLine(error.message)}`,
    exitCode: exitCodes.appFailed,
    expected: false,
  };
}

function expected(exitCode: ExitCode, message: string): Explanation {
  return { message, exitCode, expected: true };
}

function inUse(error: SystemError): string {
  const holder = error.port === undefined ? null : portHolder(error.port);
  const by = holder === null ? '' : `, held by ${holder.name} (pid ${holder.pid})`;
  return `${where(error)} is in use${by}`;
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
