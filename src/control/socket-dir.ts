import { mkdirSync, type Stats, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { RomAgentError } from '../errors/errors.js';
import { type ExitCode, exitCodes } from '../errors/exit-codes.js';
import { groupName, userName } from './groups.js';
import { withUmask } from './umask.js';

/**
 * Makes the directory of a control socket, with mode 0750, unless it is there; its parent must be. Nobody but its
 * owner, root and us may be able to put another socket in the place of ours.
 *
 * @throws RomAgentError exit 73 where it does not fit, 77 where it must not be made
 */
export function prepareDirectory(socketPath: string): string {
  const path = dirname(socketPath);
  const stats = statOf(path) ?? make(path);
  const wrong = complaint(stats);
  if (wrong !== null) {
    const { uid, gid, mode } = stats;
    const is = `owner ${userName(uid)}, group ${groupName(gid)}, mode ${octal(mode)}`;
    throw unusable(path, `it has ${is}, and ${wrong}`, { exitCode: exitCodes.cannotCreate });
  }
  return path;
}

function complaint(stats: Stats): string | null {
  const us = process.geteuid?.() ?? 0;
  if (!stats.isDirectory()) return 'is not a directory; expected one';
  if (stats.uid !== 0 && stats.uid !== us) {
    return us === 0
      ? 'its owner could replace the socket; expected the owner root'
      : `its owner could replace the socket; expected the owner root or ${userName(us)}`;
  }
  const anybody = (stats.mode & 0o002) !== 0;
  const sticky = (stats.mode & 0o1000) !== 0;
  return anybody && !sticky ? 'anybody could replace the socket; expected a mode such as 0750' : null;
}

function make(path: string): Stats {
  try {
    withUmask(0o027, () => mkdirSync(path, { mode: 0o750 }));
  } catch (cause) {
    // Another daemon that starts at the same time may have been faster.
    const stats = codeOf(cause) === 'EEXIST' ? statOf(path) : undefined;
    if (stats === undefined) throw notMade(path, cause);
    return stats;
  }
  return statSync(path);
}

function statOf(path: string): Stats | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false });
  } catch (cause) {
    const exitCode = isForbidden(cause) ? exitCodes.noPermission : exitCodes.cannotCreate;
    throw unusable(path, `it cannot be looked at (${codeOf(cause)})`, { exitCode, cause });
  }
}

function notMade(path: string, cause: unknown): RomAgentError {
  const { cannotCreate, noPermission } = exitCodes;
  if (codeOf(cause) === 'ENOENT') {
    const what = `it does not exist, and neither does ${dirname(path)}; expected an existing directory`;
    return unusable(path, what, { exitCode: cannotCreate, cause });
  }
  const exitCode = isForbidden(cause) ? noPermission : cannotCreate;
  const what = `it does not exist and cannot be made (${codeOf(cause)})`;
  const expected = 'expected RuntimeDirectory= in the unit, or a path that this user may make';
  return unusable(path, `${what}; ${expected}`, { exitCode, cause });
}

function unusable(
  path: string,
  why: string,
  { exitCode, cause }: { exitCode: ExitCode; cause?: unknown },
): RomAgentError {
  return new RomAgentError(`the directory ${path} cannot hold the control socket: ${why}`, {
    exitCode,
    cause,
  });
}

function octal(mode: number): string {
  return (mode & 0o7777).toString(8).padStart(4, '0');
}

function isForbidden(error: unknown): boolean {
  const code = codeOf(error);
  return code === 'EACCES' || code === 'EPERM';
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}
