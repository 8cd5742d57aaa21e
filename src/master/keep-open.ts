import net from 'node:net';

/** What node:cluster opens a descriptor with (net.js of Node 20 to 26); a number is an error of the system. */
type CreateHandle = (
  address: string | null,
  port: number,
  addressType: number | string | null,
  fd?: number,
  flags?: number,
) => Closable | number;

interface Closable {
  close(): void;
}

interface HandleMaker {
  _createServerHandle?: CreateHandle;
}

/**
 * node:cluster closes a descriptor when the last worker that listens on it is gone, and Node can neither duplicate nor
 * reopen one: after a crash of all workers at once the next ones would find nothing to listen on. So the master's
 * handle on each of these descriptors is made once and never closed. Nobody accepts on it: the workers have copies.
 */
export function keepOpen(fds: readonly number[], maker: HandleMaker = net as unknown as HandleMaker): void {
  const create = maker._createServerHandle;
  if (create === undefined) return;
  const kept = new Map<number, Closable>();
  maker._createServerHandle = (address, port, addressType, fd, flags) => {
    const known = fd === undefined ? undefined : kept.get(fd);
    if (known !== undefined) return known;
    const handle = create(address, port, addressType, fd, flags);
    if (typeof handle === 'number' || fd === undefined || !fds.includes(fd)) return handle;
    handle.close = () => {};
    kept.set(fd, handle);
    return handle;
  };
}
