import { type AddressInfo, connect, type Server, type Socket } from 'node:net';
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises';
import { arrival, isHttp } from '../connections/follow-server.js';
import type { Servers } from '../connections/servers.js';
import { setBacklog } from '../node-internals/listening.js';
import { hasConnected } from '../node-internals/sockets.js';

/** Connections that are not read from for a while. */
export interface Held {
  /** Resolves once nobody new has come for a moment and nothing is being answered, or after too long. */
  quiet(): Promise<void>;
  /** Resolves right behind a look at the queue that found nobody in it: now is the time to close it. */
  empty(): Promise<void>;
  release(): void;
}

/** A moment without a new connection, and how long to wait for one, ms. */
const moment = 8;
export const longestHold = 400;

/**
 * When the last process closes a listening socket, the kernel resets what it has queued for it: requests that were sent
 * to a service which had not refused them. Clients that come again after each answer keep that queue filled. So, just
 * before the end, nothing more is read: requests that are in are answered, whoever comes again is accepted and kept
 * waiting, until nobody is left to come. Once the socket is closed everywhere the rest is read and answered, and the
 * next connection is refused.
 *
 * The master has closed its copies by then (master/listen-sockets.ts): a worker closes last.
 */
export function holdConnections({ all, counts }: Pick<Servers, 'all' | 'counts'>): Held {
  // Apps of other protocols may have a use of their own for pause().
  const tracked = all.filter(({ server }) => server.listening && isHttp(server));
  const held = new Set<Socket>();
  let came = 0;
  const holdNewcomer = (socket: Socket): void => {
    came++;
    held.add(socket);
    // Not at once: node:http has it resumed at the next tick.
    process.nextTick(() => socket.pause());
  };
  for (const { server, sockets, upgraded } of tracked) {
    server.on(arrival(server), holdNewcomer);
    for (const socket of sockets) if (!upgraded.has(socket)) held.add(socket.pause());
  }
  return {
    quiet: async () => {
      const deadline = performance.now() + longestHold;
      const isMoving = (before: number): boolean => came > before || counts().inFlight > 0;
      for (let before = -1; isMoving(before) && performance.now() < deadline; ) {
        before = came;
        await sleep(moment);
        // A process that got no CPU finds its timer due before it finds who came meanwhile: let it look.
        await turn();
      }
    },
    empty: async () => {
      const deadline = performance.now() + longestHold;
      // In each turn of the event loop libuv accepts one connection.
      for (let before = -1; before !== counts().accepted && performance.now() < deadline; ) {
        before = counts().accepted;
        await turn();
      }
    },
    release: () => {
      for (const { server } of tracked) server.removeListener(arrival(server), holdNewcomer);
      for (const socket of held) socket.resume();
    },
  };
}

interface LastClose {
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
