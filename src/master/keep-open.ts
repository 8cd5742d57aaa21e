import net from 'node:net';
import { resolve } from 'node:path';
import { portToListenAgain } from '../protocol/handles.js';
import type { SocketFiles } from './socket-files.js';

/** What node:cluster opens a listening socket with (net.js of Node 20 to 26); a number is an error of the system. */
type CreateHandle = (
  address: string | null,
  port: number,
  addressType: number | string | null,
  fd?: number,
  flags?: number,
) => ListenHandle | number;

interface ListenHandle {
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
   * Closes them for good: from here on each socket lives as long as a worker has a copy, and the last one that closes
   * is a worker, which accepts until that very moment. Sockets that were passed in stay open.
   */
  letGo(): void;
}

/**
 * The master's handles on listening sockets; nobody accepts on them, the workers have copies.
 *
 * node:cluster closes a descriptor when the last worker that listens on it is gone, and Node can neither duplicate nor
 * reopen one: after a crash of all workers at once the next ones would find nothing to listen on. So the handle on each
 * descriptor in `fds` is made once and never closed. Of the other sockets a worker may ask for one more copy
 * (protocol/handles.ts), where node:cluster would open a second socket at the same address and fail.
 */
export function keepOpen(
  fds: readonly number[],
  maker: HandleMaker = net as unknown as HandleMaker,
  files: Pick<SocketFiles, 'bound' | 'closed'> = noFiles,
): KeptOpen {
  const create = maker._createServerHandle;
  if (create === undefined) return { letGo: () => {} };
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
    const handle = create(address, port, addressType, fd, flags);
    if (typeof handle === 'number') return handle;
    const bound: { port?: number } = {};
    handle.getsockname?.(bound);
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
  /** node:cluster closes a handle once for each key that it keeps it under; the last one closes it. */
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

/** node:cluster has paths that are relative to the folder. */
function nameOf(address: string | null, port: number, fd: number | undefined): string {
  if (fd !== undefined) return `${fd}`;
  return port > 0 ? `${address ?? ''}:${port}` : resolve(address ?? '');
}
