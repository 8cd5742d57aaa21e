import {
  linkSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  renameSync,
  type Stats,
  statSync,
  unlinkSync,
} from 'node:fs';
import { connect, type ListenOptions, type Server } from 'node:net';
import { basename, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type ExitCode, exitCodes, RomAgentError } from '../errors.js';

/** Which file it is, whatever its name becomes. */
export interface FileIdentity {
  readonly dev: bigint;
  readonly ino: bigint;
}

/** A socket that listens beside its path, under a name that no client knows. */
export interface Beside {
  readonly temporary: string;
  readonly own: FileIdentity | null;
}

/** Has the server listen beside `path`. takeName() gives the socket its path: it has its mode by then, and answers. */
export async function listenBeside(
  server: Server,
  { path, mode }: { readonly path: string; readonly mode: number },
): Promise<Beside> {
  const temporary = nameBeside(path);
  // Bound within the call, so that the socket never has another mode.
  await withUmask(0o777 & ~mode, () => listening(server, { path: temporary, exclusive: true }));
  return { temporary, own: identify(temporary) };
}

export function listening(server: Server, where: ListenOptions | { readonly fd: number }): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(where as ListenOptions, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

/** Bytes of the names that stand beside the socket for a moment. */
export const lengthBeside = 11;

/** Whoever replaces a stale socket holds this name meanwhile. */
export function lockOf(path: string): string {
  // Only a stale socket needs it, and the module takes milliseconds of a start.
  const { createHash } = process.getBuiltinModule('node:crypto');
  const digest = createHash('sha256').update(basename(path)).digest('hex');
  return join(dirname(path), `.${digest.slice(0, lengthBeside - 1)}`);
}

/**
 * Gives `temporary`, a socket that already answers, the name `path`. A free name is taken by link(2), of which one of
 * many succeeds. A stale socket is replaced by rename(2), by whoever has taken the name of the lock in that way; the
 * lock is a name of a socket that answers, so one left behind by a daemon that was killed is recognised as well. Two
 * daemons that start at once can both get the name only over such a lock left behind, and where the file system has no
 * links.
 *
 * @throws RomAgentError exit 69 where somebody answers at `path`, 73 where it is not a socket, 77 without permission
 */
export async function takeName(temporary: string, path: string, link: Link = linkSync): Promise<void> {
  const deadline = performance.now() + patience;
  while (performance.now() < deadline) {
    const result = tryLink(link, { from: temporary, to: path });
    if (result === 'linked') return unlinkSync(temporary);
    const presence = await ask(path);
    if (presence === 'somebody') throw inUse(path);
    if (result === 'no links') return renameSync(temporary, path);
    const replace = { temporary, path, link, act: () => renameSync(temporary, path) };
    if (presence === 'nobody' && (await underLock(replace))) return;
  }
  throw inUse(path);
}

/**
 * Removes a stale socket at `path`, so that a later takeName() finds the name free and takes it within its call.
 *
 * @throws RomAgentError as takeName() does
 */
export async function freeName(temporary: string, path: string): Promise<void> {
  const deadline = performance.now() + patience;
  while (performance.now() < deadline) {
    const presence = await ask(path);
    if (presence === 'no file') return;
    if (presence === 'somebody') throw inUse(path);
    if (await underLock({ temporary, path, link: linkSync, act: () => unlinkSync(path) })) return;
  }
  throw inUse(path);
}

/** @returns null where there is nothing, or where one may not look */
export function identify(path: string): FileIdentity | null {
  try {
    const { dev, ino } = lstatSync(path, { bigint: true });
    return { dev, ino };
  } catch {
    return null;
  }
}

/** Removes `path` if it is still the same file. */
export function removeOwn(path: string, own: FileIdentity | null): void {
  const there = identify(path);
  if (own === null || there?.dev !== own.dev || there.ino !== own.ino) return;
  removeFile(path);
}

/** What a failed system call on the socket's name means. */
export function explain(path: string, cause: unknown): RomAgentError {
  const code = codeOf(cause);
  if (code === 'EACCES' || code === 'EPERM') return forbidden(path, cause);
  const message = `the control socket ${path} cannot be created (${code ?? cause})`;
  return new RomAgentError(message, { exitCode: exitCodes.cannotCreate, cause });
}

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

/** The name of a group as group(5) has it, else its number: directory services are not asked. */
export function groupName(gid: number, file = '/etc/group'): string {
  return nameIn(file, gid) ?? `with the number ${gid}`;
}

/** The name of a user as passwd(5) has it, else its number. */
export function userName(uid: number, file = '/etc/passwd'): string {
  return nameIn(file, uid) ?? `with the number ${uid}`;
}

/** A name beside `path` that nobody has. */
function nameBeside(path: string): string {
  return join(
    dirname(path),
    `.${Math.random()
      .toString(36)
      .slice(2)
      .padEnd(lengthBeside - 1, '0')
      .slice(0, lengthBeside - 1)}`,
  );
}

/** What is made in `make`, which must be synchronous, has none of the permission bits of `mask`. */
function withUmask<T>(mask: number, make: () => T): T {
  const before = process.umask(mask);
  try {
    return make();
  } finally {
    process.umask(before);
  }
}

type Link = (from: string, to: string) => void;

/** ms for others to finish what they do in well under one */
const patience = 5_000;

function tryLink(link: Link, { from, to }: { from: string; to: string }): 'linked' | 'taken' | 'no links' {
  try {
    link(from, to);
    return 'linked';
  } catch (cause) {
    const code = codeOf(cause);
    if (code === 'EEXIST') return 'taken';
    if (code === 'ENOTSUP' || code === 'EOPNOTSUPP' || code === 'ENOSYS') return 'no links';
    throw explain(to, cause);
  }
}

interface Stale {
  /** Holds the lock while `act` runs. */
  readonly temporary: string;
  readonly path: string;
  readonly link: Link;
  readonly act: () => void;
}

/**
 * Acts on a stale socket while no other daemon does.
 *
 * @returns false where it is to be tried again: another daemon was faster, or is about to be
 */
async function underLock({ temporary, path, link, act }: Stale): Promise<boolean> {
  const lock = lockOf(path);
  const held = tryLink(link, { from: temporary, to: lock });
  if (held === 'taken') {
    if ((await ask(lock)) === 'nobody') removeFile(lock);
    await sleep(1);
    return false;
  }
  try {
    if ((await ask(path)) !== 'nobody') return false;
    act();
    return true;
  } catch (cause) {
    throw cause instanceof RomAgentError ? cause : explain(path, cause);
  } finally {
    if (held === 'linked') removeFile(lock);
  }
}

function removeFile(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // Another was faster, or the directory is ours no more; who comes next finds that nobody answers.
  }
}

type Presence = 'somebody' | 'nobody' | 'no file';

/** @throws RomAgentError exit 73 where it is not a socket, 77 where it may not be asked */
async function ask(path: string): Promise<Presence> {
  const stats = lstatSync(path, { throwIfNoEntry: false });
  if (stats === undefined) return 'no file';
  if (!stats.isSocket()) {
    throw new RomAgentError(
      `${path} exists and is not a socket; expected a free path for the control socket`,
      {
        exitCode: exitCodes.cannotCreate,
      },
    );
  }
  const code = await connectCode(path);
  if (code === 'ECONNREFUSED') return 'nobody';
  if (code === 'ENOENT') return 'no file';
  if (code === 'EACCES' || code === 'EPERM') throw forbidden(path);
  return 'somebody';
}

/** How connecting fails; null where it does not. */
function connectCode(path: string): Promise<unknown> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(null);
    });
    socket.once('error', (error) => resolve(codeOf(error)));
  });
}

function forbidden(path: string, cause?: unknown): RomAgentError {
  const message = `no permission to create the control socket ${path}; expected a directory that this user may write`;
  return new RomAgentError(message, { exitCode: exitCodes.noPermission, cause });
}

function inUse(path: string): RomAgentError {
  const message = `the control socket ${path} is in use by another process, probably a running daemon; stop it, or choose another control_socket`;
  return new RomAgentError(message, { exitCode: exitCodes.addressInUse });
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined;
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
  const what = `it does not exist and cannot be created (${codeOf(cause)})`;
  const expected = 'expected RuntimeDirectory= in the unit, or a path that this user may create';
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

function nameIn(file: string, id: number): string | undefined {
  try {
    const lines = readFileSync(file, 'utf8').split('\n');
    return lines.map((line) => line.split(':')).find((fields) => fields[2] === String(id))?.[0];
  } catch {
    return undefined;
  }
}
