import cluster from 'node:cluster';
import type { Server } from 'node:net';
import { listenAgainFlags } from '../ipc/listen-again.js';
import type { HandleGiver, ListenHandle, ListeningServer, ListenQuery } from './listen-handle.js';

/** Keeps connections waiting in the kernel's queue, where Node itself has no way to. */
export interface Accepting {
  /** From now on nobody is accepted, not even who is waiting already. False where none of the servers can do that. */
  pause(servers: readonly Server[]): boolean;
  resume(): void;
}

interface Paused {
  readonly server: ListeningServer;
  /** How the socket is asked for again. */
  readonly query: ListenQuery;
  /** Closed; `server` still has it, so that whoever asks finds it listening. */
  readonly handle: ListenHandle;
}

interface Origin {
  /** The copy that node:cluster gave at first: closing it says that this worker is done with the socket. */
  readonly first: ListenHandle;
  readonly giveBack: () => void;
}

/** Node's own: the copies of a socket that all workers accept on. What `round-robin` has instead is no handle. */
const copies: ReadonlySet<string | undefined> = new Set(['TCP', 'Pipe']);
const usualBacklog = 511;

/**
 * libuv accepts until the queue is empty, and Node cannot stop it: so a worker closes its copy of the listening socket and
 * asks the master for another one. The socket stays open, and the other workers go on.
 *
 * @param onLost the socket was not to be had again: this worker is deaf
 */
export function createAccepting(
  onLost: (server: Server) => void,
  giver: HandleGiver = cluster as unknown as HandleGiver,
): Accepting {
  const queries = new WeakMap<object, ListenQuery>();
  /** Of copies that were asked for again. */
  const origins = new WeakMap<ListenHandle, Origin>();
  const paused: Paused[] = [];

  const give = giver._getServer;
  if (give !== undefined) {
    giver._getServer = function (server, query, reply) {
      queries.set(server, query);
      return give.call(this, server, query, reply);
    };
  }

  const letGo = (server: ListeningServer): Paused[] => {
    const { _handle: handle } = server;
    const query = queries.get(server);
    if (handle === null || query === undefined || !copies.has(handle.constructor.name)) return [];
    const bound: Record<string, unknown> = {};
    handle.getsockname?.(bound);
    const origin = origins.get(handle);
    // The first copy is not given back to node:cluster: without any worker it would close the socket.
    if (origin === undefined) Object.getPrototypeOf(handle).close.call(handle);
    else origin.giveBack();
    // For server.address().
    handle.getsockname = (out) => {
      Object.assign(out, bound);
      return 0;
    };
    return [{ server, handle, query: again(query, bound) }];
  };

  const takeBack = ({ server, query, handle: old }: Paused): void => {
    give?.call(giver, { once: () => {} }, query, (error, handle) => {
      if (error || handle === undefined) return onLost(server);
      const giveBack = handle.close.bind(handle);
      // Meanwhile it was closed.
      if (server._handle !== old) return giveBack();
      const first = origins.get(old)?.first ?? old;
      origins.set(handle, { first, giveBack });
      adopt(handle, old);
      handle.close = () => {
        first.close();
        giveBack();
      };
      server._handle = handle;
      // Of none, 0 stands for it here.
      handle.listen(query.backlog || usualBacklog);
    });
  };

  return {
    pause: (servers) => {
      paused.push(...servers.flatMap((server) => letGo(server as ListeningServer)));
      return paused.length > 0;
    },
    resume: () => {
      for (const each of paused.splice(0)) takeBack(each);
    },
  };
}

/** @param bound what the socket is bound to: a path is in the query itself */
function again(query: ListenQuery, { port }: Record<string, unknown>): ListenQuery {
  return { ...query, port: 0, flags: listenAgainFlags(typeof port === 'number' ? port : 0) };
}

/** What Node has put on the former handle: whose it is, and what is called for each connection. */
function adopt(handle: ListenHandle, old: ListenHandle): void {
  handle.onconnection = old.onconnection;
  for (const key of Object.getOwnPropertySymbols(old)) Reflect.set(handle, key, Reflect.get(old, key));
}
