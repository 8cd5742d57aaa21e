import { closeSync, type FSWatcher, linkSync, lstatSync, readdirSync, unlinkSync, watch } from 'node:fs';
import net, { connect } from 'node:net';
import { basename, dirname, join, resolve } from 'node:path';
import { exitCodes, RomAgentError } from '../errors.js';
import { isAlive } from '../processes.js';
import { portToListenAgain } from '../protocol/handles.js';
import type { Listen } from '../protocol/settings.js';
import type { TakeOver } from '../protocol/upgrade.js';
import type { BoundSocket } from '../service-manager/passed-sockets.js';
import type { Config } from '../settings/config.js';

/** How node:cluster opens a listening socket (net.js of Node 20 to 26); a number is a system error. */
type CreateHandle = (
  address: string | null,
  port: number,
  addressType: number | string | null,
  fd?: number,
  flags?: number,
) => ListenHandle | number;

interface ListenHandle {
  /** Where it has one that this process can pass on. */
  readonly fd?: number;
  close(): void;
  getsockname?(out: { port?: number }): number;
}

interface HandleMaker {
  _createServerHandle?: CreateHandle;
}

/** EADDRNOTAVAIL, as libuv has it. */
const unknownSocket = -99;

/** The master's own copies of the listening sockets. */
export interface KeptOpen {
  /**
   * Closes them for good: each socket then lives as long as a worker has a copy, and the last process that closes it is a
   * worker, which accepts until then. Sockets that were passed in stay open.
   */
  letGo(): void;
  /** Those that another master can take over, by their names; or why it cannot take over one of them. */
  passable(): readonly { readonly name: string; readonly fd: number }[] | { readonly reason: string };
  /** Closes what was taken over and no worker listens on. */
  dropUnclaimed(): void;
}

/**
 * Keeps the master's handles on listening sockets. The master does not accept on them; the workers have copies.
 *
 * node:cluster closes a descriptor when the last worker that listens on it has exited, and Node can neither duplicate nor
 * reopen one: after a crash of all workers the next ones would find nothing to listen on. So the handle on each descriptor
 * in `fds` is made once and never closed. A worker may ask for one more copy of any other socket
 * (protocol/handles.ts), where node:cluster would open a second socket at the same address and fail.
 *
 * @param inherited the sockets of the master whose place this one takes: what is asked for by such a name is one of them
 */
export function keepOpen(
  fds: readonly number[],
  maker: HandleMaker = net as unknown as HandleMaker,
  files: Pick<SocketFiles, 'bound' | 'closed'> = noFiles,
  inherited: TakeOver['listeners'] = [],
): KeptOpen {
  const create = maker._createServerHandle;
  const unclaimed = new Map(inherited.map(({ name, fd }) => [name, fd]));
  const dropUnclaimed = (): void => {
    for (const fd of unclaimed.values()) closeSync(fd);
    unclaimed.clear();
  };
  if (create === undefined)
    return {
      letGo: () => {},
      passable: () => ({ reason: 'this Node.js keeps its sockets to itself' }),
      dropUnclaimed,
    };
  const shared = new Map<string, Shared>();
  maker._createServerHandle = (address, port, addressType, fd, flags = 0) => {
    const again = portToListenAgain(flags);
    const isKept = fd !== undefined && fds.includes(fd);
    const known = isKept || again !== null ? shared.get(nameOf(address, again ?? port, fd)) : undefined;
    if (known !== undefined) {
      known.users++;
      return known.handle;
    }
    if (again !== null) return unknownSocket;
    const name = nameOf(address, port, fd);
    const passed = unclaimed.get(name);
    unclaimed.delete(name);
    const handle =
      passed === undefined ? create(address, port, addressType, fd, flags) : create(null, 0, null, passed, 0);
    if (typeof handle === 'number') return handle;
    const bound: { port?: number } = {};
    // libuv keeps EADDRINUSE of bind(2) for the next call; node:cluster would hand out a socket without an address.
    const error = handle.getsockname?.(bound) ?? 0;
    if (error < 0 && port > 0) {
      handle.close();
      return error;
    }
    if (isPath(address, addressType, fd)) watchFile(handle, resolve(address), files);
    share(shared, nameOf(address, bound.port ?? port, fd), {
      handle,
      users: isKept ? Number.POSITIVE_INFINITY : 1,
    });
    return handle;
  };
  return {
    letGo: () => {
      for (const { users, close } of [...shared.values()]) if (Number.isFinite(users)) close();
    },
    passable: () => {
      const sockets: { name: string; fd: number }[] = [];
      for (const [name, { handle, users }] of shared) {
        // The service manager's own: see TakeOver.passed.
        if (!Number.isFinite(users)) continue;
        if (!/:\d+$/.test(name)) return { reason: `it listens on the unix socket ${name}` };
        const { fd = -1 } = handle;
        if (fd < 0) return { reason: `the socket ${name} has no descriptor` };
        sockets.push({ name, fd });
      }
      return sockets;
    },
    dropUnclaimed,
  };
}

const noFiles = { bound: () => {}, closed: () => {} };

function isPath(address: string | null, addressType: unknown, fd: number | undefined): address is string {
  return (
    typeof address === 'string' && addressType === -1 && typeof fd !== 'number' && !address.startsWith('\0')
  );
}

function watchFile(handle: ListenHandle, path: string, files: Pick<SocketFiles, 'bound' | 'closed'>): void {
  const { close } = handle;
  files.bound(path);
  handle.close = () => {
    // First: libuv removes the file.
    files.closed(path);
    close.call(handle);
  };
}

interface Shared {
  readonly handle: ListenHandle;
  /** node:cluster closes a handle once for each key that it has for it; the last call closes it. */
  users: number;
  readonly close: () => void;
}

function share(
  shared: Map<string, Shared>,
  name: string,
  { handle, users }: Pick<Shared, 'handle' | 'users'>,
): void {
  const close = handle.close.bind(handle);
  let isOpen = true;
  const entry: Shared = {
    handle,
    users,
    close: () => {
      if (shared.get(name) === entry) shared.delete(name);
      if (isOpen) close();
      isOpen = false;
    },
  };
  handle.close = () => {
    if (--entry.users > 0) return;
    entry.close();
  };
  shared.set(name, entry);
}

/** node:cluster may have the path relative to the working directory. */
function nameOf(address: string | null, port: number, fd: number | undefined): string {
  if (fd !== undefined) return `${fd}`;
  return port > 0 ? `${address ?? ''}:${port}` : resolve(address ?? '');
}

/** The files of the unix sockets that workers listen on. */
export interface SocketFiles {
  /** A socket was bound at this path. */
  bound(path: string): void;
  /** That socket is about to be closed. */
  closed(path: string): void;
  /** Restores the file of the socket where it was removed. */
  check(path: string): void;
}

interface Known {
  /** Another name of the socket's inode, from which a removed file is restored. */
  readonly spare: string;
  readonly watcher: FSWatcher | null;
}

/** link(2) works on sockets where the file system has them as files (Linux); elsewhere a removed file stays removed. */
export function createSocketFiles(onRestored: (path: string) => void): SocketFiles {
  const known = new Map<string, Known>();

  const check = (path: string): void => {
    const entry = known.get(path);
    if (entry === undefined || lstatSync(path, { throwIfNoEntry: false }) !== undefined) return;
    try {
      linkSync(entry.spare, path);
      onRestored(path);
    } catch {
      // Another process made a file there first, or the directory is gone.
    }
  };
  const forget = (path: string): void => {
    const entry = known.get(path);
    known.delete(path);
    entry?.watcher?.close();
    if (entry !== undefined) removeQuietly(entry.spare);
  };
  return {
    check,
    bound: (path) => {
      // An abstract socket has no file (unix(7)).
      if (path.startsWith('\0')) return;
      forget(path);
      removeLeftOvers(path);
      const spare = spareOf(path, process.pid);
      if (!links(path, spare)) return;
      known.set(path, { spare, watcher: watchNames(spare, () => check(path)) });
    },
    closed: forget,
  };
}

/**
 * An app that removes the socket file of an earlier run removes the live file of the other workers, which is then restored.
 * inotify(7) reports a change in the number of an inode's names, so that no directory has to be watched.
 */
function watchNames(spare: string, onChange: () => void): FSWatcher | null {
  try {
    const watcher = watch(spare, { persistent: false }, onChange);
    return watcher.on('error', () => watcher.close());
  } catch {
    return null;
  }
}

function links(path: string, spare: string): boolean {
  try {
    linkSync(path, spare);
    return true;
  } catch {
    return false;
  }
}

/** A hidden file beside the socket: link(2) stays within a file system. */
function spareOf(path: string, pid: number): string {
  return join(dirname(path), `.${basename(path)}.rom-agent-${pid}`);
}

/** Removes the spare names of daemons that were killed. */
function removeLeftOvers(path: string): void {
  const prefix = spareOf(basename(path), 0).slice(0, -1);
  for (const name of readNames(dirname(path))) {
    const pid = name.startsWith(prefix) ? Number(name.slice(prefix.length)) : Number.NaN;
    if (Number.isInteger(pid) && (pid === process.pid || !isAlive(pid)))
      removeQuietly(join(dirname(path), name));
  }
}

function readNames(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

function removeQuietly(path: string): void {
  try {
    unlinkSync(path);
  } catch {}
}

/**
 * Where the app is served: on the sockets that were passed in, else where the configuration says.
 *
 * @throws RomAgentError exit 78 where sockets were passed in for an app that is no server
 */
export function listenTarget(
  { kind, port, host, socketMode }: Pick<Config, 'kind' | 'port' | 'host' | 'socketMode'>,
  sockets: readonly BoundSocket[],
): Listen {
  if (kind === 'process') {
    if (sockets.length === 0) return { kind: 'none' };
    const message =
      'kind: "process" is for an app that is no server, and sockets were passed in for one; ' +
      'expected "server", or a start without them (systemctl disable --now of the socket unit)';
    throw new RomAgentError(message, { exitCode: exitCodes.config });
  }
  if (sockets.length > 0) return { kind: 'fds', sockets, port };
  if (host?.startsWith('/')) return { kind: 'path', path: host, mode: socketMode };
  return { kind: 'tcp', port, host };
}

/**
 * Removes the unix socket that a killed daemon left behind. A socket that answers stays, and so does any other file.
 *
 * @throws RomAgentError exit 69 where another process listens on it, 73 where it is not a socket
 */
export async function clearStaleSocket(path: string): Promise<void> {
  const stats = lstatSync(path, { throwIfNoEntry: false });
  if (stats === undefined) return;
  if (!stats.isSocket()) {
    const message = `host: ${path} exists and is not a socket; expected a free path`;
    throw new RomAgentError(message, { exitCode: exitCodes.cannotCreate });
  }
  if (await answers(path)) {
    throw new RomAgentError(`socket ${path} is in use by another process`, {
      exitCode: exitCodes.addressInUse,
    });
  }
  unlinkSync(path);
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    const settle = (answered: boolean): void => {
      socket.destroy();
      resolve(answered);
    };
    socket.once('connect', () => settle(true));
    socket.once('error', ({ code }: NodeJS.ErrnoException) =>
      settle(code !== 'ECONNREFUSED' && code !== 'ENOENT'),
    );
  });
}

export interface AdviceInput extends Pick<Config, 'dispatch' | 'kind' | 'app' | 'lameDuck' | 'routesPrefix'> {
  /** Whether the app is served on sockets that were passed in. */
  readonly passed: boolean;
  readonly readFile: (path: string) => string;
}

/** Warnings about what listens, given the configuration: tcp(7) and the kernel's ip-sysctl document. */
export function adviceFor(input: AdviceInput): readonly string[] {
  return [...adviceOnDispatch(input), ...adviceOnReadiness(input)];
}

/** An app has the routes of its port to itself, so that /readyz is the app's own, or 404, and says nothing of a stop. */
function adviceOnReadiness({ kind, app, lameDuck, routesPrefix }: AdviceInput): readonly string[] {
  if (kind !== 'server' || app === null || lameDuck === 0 || routesPrefix !== null) return [];
  return [
    'lame_duck has no effect on load balancers: /readyz is answered by the app, which does not know of the stop; ' +
      'set routes_prefix = "/_ops" and have them check /_ops/readyz',
  ];
}

function adviceOnDispatch({ dispatch, passed, readFile }: AdviceInput): readonly string[] {
  if (dispatch !== 'shared' && passed)
    return [`dispatch "${dispatch}" has no effect on sockets that were passed in: all workers share them`];
  if (dispatch !== 'reuseport' || sysctl('net/ipv4/tcp_migrate_req', readFile) !== '0') return [];
  return [
    'dispatch "reuseport" loses the connections that wait for a worker when it ends, since net.ipv4.tcp_migrate_req ' +
      'is 0: set it to 1 (sysctl -w net.ipv4.tcp_migrate_req=1), or use dispatch "shared"',
  ];
}

function sysctl(name: string, readFile: (path: string) => string): string | null {
  try {
    return readFile(`/proc/sys/${name}`).trim();
  } catch {
    return null;
  }
}
