import { type AddressInfo, connect, type Server, type Socket } from 'node:net';
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises';
import { arrival, isHttp } from '../connections/follow-server.js';
import type { Servers } from '../connections/servers.js';
import { setBacklog } from '../node-internals/listening.js';
import { hasConnected } from '../node-internals/sockets.js';

/** Connections from which this worker does not read for a while. */
export interface Held {
  /** Resolves once no new connection has come for a moment and no request is in flight, or after too long. */
  quiet(): Promise<void>;
  /** Resolves right after a check that found the kernel's queue empty: the caller closes the socket at once. */
  empty(): Promise<void>;
  release(): void;
}

/** How long a moment without a new connection is, and how long to wait for one at most, ms. */
const moment = 8;
export const longestHold = 400;
/**
 * Looks that are made in any case. A machine that is busy makes few in that time, and a socket that is closed too early
 * resets clients.
 */
const fewestMoments = longestHold / moment;
const fewestTurns = 500;
const fewestFills = 10;

/**
 * When the last process closes a listening socket, the kernel resets the connections in its queue: requests that the
 * service had not refused. Clients that connect again after each answer keep that queue filled. So, just before the
 * end, this worker stops reading. It answers the requests that it has read, and accepts new connections without
 * reading from them, until no more come. Once the socket is closed in all processes it reads and answers the rest,
 * and the kernel refuses the next connection.
 *
 * The master has closed its copies before (master/listen-sockets.ts): a worker closes last.
 */
export function holdConnections({ all, counts }: Pick<Servers, 'all' | 'counts'>): Held {
  // Apps of other protocols may use pause() themselves.
  const tracked = all.filter(({ server }) => server.listening && isHttp(server));
  const held = new Set<Socket>();
  let came = 0;
  const holdNewcomer = (socket: Socket): void => {
    came++;
    held.add(socket);
    // At the next tick, because node:http resumes it then.
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
      let left = fewestMoments;
      for (let before = -1; isMoving(before) && (left > 0 || performance.now() < deadline); left--) {
        before = came;
        await sleep(moment);
        // In a process that got no CPU the timer fires before the waiting connections are accepted: give it one more
        // turn.
        await turn();
      }
    },
    empty: async () => {
      const deadline = performance.now() + longestHold;
      // libuv accepts one connection in each turn of the event loop.
      let left = fewestTurns;
      for (
        let before = -1;
        before !== counts().accepted && (left > 0 || performance.now() < deadline);
        left--
      ) {
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
  /** Resolves once no connection waits in the kernel's queue, as far as the worker can see. */
  readonly empty: () => Promise<void>;
  readonly close: (server: Server) => void;
  /** After so long, and a few attempts, the socket is closed even if the queue may not be empty, ms. */
  readonly limit: number;
}

/** The shortest backlog; the kernel takes one connection more (listen(2), `sk_acceptq_is_full` of Linux). */
const smallest = 1;

/**
 * Closes a listening socket for the last time without resetting a client. A client may connect between a check of the
 * queue and the close, however short that time is. So we make the queue as short as possible and fill it with
 * connections of our own. If all of them are complete, no other connection is in the queue, and there is no room for
 * a new one: the kernel drops a client's SYN, and a second later the client tries again and is refused, or reaches
 * the next service that listens there.
 *
 * This works for TCP on Linux, on a socket that ends with its process. A client whose handshake is under way is reset
 * nevertheless: over a network, any that began within the last round trip.
 */
export async function closeFull(server: Server, { empty, close, limit }: LastClose): Promise<void> {
  const deadline = performance.now() + limit;
  for (let left = fewestFills; left > 0 || performance.now() < deadline; left--) {
    await empty();
    // From here to the close no other code runs.
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
