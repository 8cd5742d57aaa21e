import net from 'node:net';
import { resolve } from 'node:path';
import { portToListenAgain } from '../ipc/listen-again.js';

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

/**
 * The master's handles on listening sockets; nobody accepts on them, the workers have copies.
 *
 * node:cluster closes a descriptor when the last worker that listens on it is gone, and Node can neither duplicate nor
 * reopen one: after a crash of all workers at once the next ones would find nothing to listen on. So the handle on each
 * descriptor in `fds` is made once and never closed. Of the other sockets a worker may ask for one more copy
 * (ipc/listen-again.ts), where node:cluster would open a second socket at the same address and fail.
 */
export function keepOpen(fds: readonly number[], maker: HandleMaker = net as unknown as HandleMaker): void {
  const create = maker._createServerHandle;
  if (create === undefined) return;
  const kept = new Map<number, ListenHandle>();
  const shared = new Map<string, Shared>();
  maker._createServerHandle = (address, port, addressType, fd, flags = 0) => {
    const known = fd === undefined ? undefined : kept.get(fd);
    if (known !== undefined) return known;
    const again = portToListenAgain(flags);
    if (again !== null) return shared.get(nameOf(address, again, fd))?.again() ?? unknownSocket;
    const handle = create(address, port, addressType, fd, flags);
    if (typeof handle === 'number') return handle;
    if (fd !== undefined && fds.includes(fd)) {
      handle.close = () => {};
      kept.set(fd, handle);
    } else {
      const bound: { port?: number } = {};
      handle.getsockname?.(bound);
      share(handle, nameOf(address, bound.port ?? port, fd), shared);
    }
    return handle;
  };
}

interface Shared {
  /** The handle, for one more user. */
  again(): ListenHandle;
}

/** node:cluster closes a handle once for each key that it keeps it under. */
function share(handle: ListenHandle, name: string, shared: Map<string, Shared>): void {
  const close = handle.close;
  let users = 1;
  const entry: Shared = {
    again: () => {
      users++;
      return handle;
    },
  };
  handle.close = () => {
    if (--users > 0) return;
    if (shared.get(name) === entry) shared.delete(name);
    close.call(handle);
  };
  shared.set(name, entry);
}

/** node:cluster has paths that are relative to the folder. */
function nameOf(address: string | null, port: number, fd: number | undefined): string {
  if (fd !== undefined) return `${fd}`;
  return port > 0 ? `${address ?? ''}:${port}` : resolve(address ?? '');
}
