import { type Stats, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { type ExitCode, exitCodes, RomAgentError } from '../errors.js';
import { groupName } from './socket-file.js';

const elsewhere = 'point to another control socket with --control-socket';

/** What a failure of the connection means for the operator. */
export function explainFailure(cause: unknown, path: string): RomAgentError {
  if (cause instanceof RomAgentError) return cause;
  switch (codeOf(cause)) {
    case 'ENOENT':
    case 'ENOTDIR':
      return failure(
        `the service is not running: there is no control socket ${path}; start the service, or ${elsewhere}`,
        {
          exitCode: exitCodes.addressInUse,
          cause,
        },
      );
    case 'ECONNREFUSED':
    case 'ENOTSOCK':
    case 'EPROTOTYPE':
      return failure(unanswered(path), { exitCode: exitCodes.addressInUse, cause });
    case 'EACCES':
    case 'EPERM':
      return failure(forbidden(path), { exitCode: exitCodes.noPermission, cause });
    default:
      return parserRefused(cause)
        ? notRomAgent(path, 'something other than HTTP', cause)
        : wentAway(path, cause);
  }
}

/** The daemon ended, or cut the connection, before its answer was complete. */
export function wentAway(path: string, cause?: unknown): RomAgentError {
  const message = `the daemon at ${path} disconnected before it answered; its log says why`;
  return failure(message, { exitCode: exitCodes.tryAgain, cause });
}

export function tooLate(path: string, limit: number): RomAgentError {
  const message = `the daemon at ${path} has not answered for ${limit} ms; it may be stopped or overloaded`;
  return failure(message, { exitCode: exitCodes.tryAgain });
}

export function notRomAgent(path: string, seen: string, cause?: unknown): RomAgentError {
  const message = `the process at ${path} is not rom-agent of this version: it sent ${seen}; ${elsewhere}`;
  return failure(message, { exitCode: exitCodes.addressInUse, cause });
}

export function pathTooLong(path: string, limit: number): RomAgentError {
  const message = `the control socket ${path} has a path of ${Buffer.byteLength(path)} bytes; expected at most ${limit}`;
  return failure(message, { exitCode: exitCodes.usage });
}

/** The daemon answered, and it was no success. */
export class RefusedByDaemon extends RomAgentError {
  /** Of HTTP; 409: the master refuses. */
  readonly status: number;

  /** @param message the daemon's own sentence; null where it gave none */
  constructor(status: number, message: string | null) {
    super(message ?? `the daemon answered with status ${status}`, { exitCode: exitCodeOf(status) });
    this.name = 'RomAgentError';
    this.status = status;
  }
}

function exitCodeOf(status: number): ExitCode {
  if (status === 409 || status === 503) return exitCodes.tryAgain;
  // The route is missing: a daemon of another version.
  if (status === 404 || status === 405) return exitCodes.addressInUse;
  return status < 500 ? exitCodes.usage : exitCodes.bug;
}

function unanswered(path: string): string {
  if (look(path)?.isSocket() === false) return `${path} is not a socket; ${elsewhere}`;
  return `the service is not running: nothing answers at the control socket ${path}; start the service, or ${elsewhere}`;
}

function forbidden(path: string): string {
  const what = `no permission to use the control socket ${path}`;
  const socket = look(path);
  if (socket === null) return `${what}: this user may not enter the directory ${dirname(path)}; use sudo`;
  const group = groupName(socket.gid);
  const open = (socket.mode & 0o020) !== 0 && socket.gid !== 0;
  // A group that DynamicUser= makes nobody can join: systemd, docs/UIDS-GIDS.
  if (socket.gid >= 61_184 && socket.gid <= 65_519)
    return `${what}: use sudo, or make it accessible to one of your groups: sudo systemctl edit rom-agent.service: under [Service] Group=NAME`;
  return open
    ? `${what}: it belongs to the group ${group}; join the group, or use sudo`
    : `${what}; use sudo`;
}

function look(path: string): Stats | null {
  try {
    return statSync(path);
  } catch {
    return null;
  }
}

function failure(
  message: string,
  { exitCode, cause }: { exitCode: ExitCode; cause?: unknown },
): RomAgentError {
  return new RomAgentError(message, { exitCode, cause });
}

function parserRefused(error: unknown): boolean {
  return String(codeOf(error)).startsWith('HPE_');
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}
