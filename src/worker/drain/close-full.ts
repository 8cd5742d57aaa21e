import { type AddressInfo, connect, type Server, type Socket } from 'node:net';
import { hasConnected, setBacklog } from '../node-internals.js';

export interface LastClose {
  /** Resolves once nobody waits in the kernel's queue, as far as can be seen. */
  readonly empty: () => Promise<void>;
  readonly close: (server: Server) => void;
  /** Where it cannot be made sure that the queue is empty the socket is closed all the same. */
  readonly limit: number;
}

/** So many connections wait at most; the kernel takes one more (listen(2), `sk_acceptq_is_full` of Linux). */
const smallest = 1;

/**
 * Closes a listening socket for the last time and resets nobody. Between a look at its queue and the close somebody may
 * come, however close the two are. So the queue is made as short as can be and is filled with connections of our own: are
 * all of them complete, then nobody else is in it, and for a newcomer there is no room. The kernel drops what he sends
 * to connect; a second later he tries again, and is refused, or has the next service that listens there.
 *
 * For TCP on Linux, and for a socket that goes with its process. A client whose handshake is under way is reset all the
 * same: over a network that is whoever began within the last round trip.
 */
export async function closeFull(server: Server, { empty, close, limit }: LastClose): Promise<void> {
  for (const deadline = performance.now() + limit; performance.now() < deadline; ) {
    await empty();
    // From here to the close nothing runs but this.
    if (!setBacklog(server, smallest)) break;
    const fillers = await fill(server);
    const isFull = fillers.every(hasConnected);
    if (isFull) close(server);
    for (const filler of fillers) filler.destroy();
    if (isFull) return;
  }
  close(server);
}

/** Node begins to connect to an address at the next tick, within the same turn of the event loop. */
async function fill(server: Server): Promise<Socket[]> {
  const { address, port } = server.address() as AddressInfo;
  const host = anywhere[address] ?? address;
  const fillers = Array.from({ length: smallest + 1 }, () => connect({ host, port }).on('error', () => {}));
  await new Promise<void>((resolve) => process.nextTick(resolve));
  return fillers;
}

const anywhere: Readonly<Record<string, string>> = { '0.0.0.0': '127.0.0.1', '::': '::1' };
