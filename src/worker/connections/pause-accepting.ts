import cluster from 'node:cluster';
import type { Server } from 'node:net';
import { listenAgainFlags } from '../../protocol/handles.js';
import {
  adoptListening,
  closeCopy,
  getServerOf,
  isCopyOfSocket,
  type ListenHandle,
  type ListenQuery,
  listenHandleOf,
  setGetServer,
  setListenHandle,
} from '../node-internals/listening.js';

/** Makes connections wait in the kernel's queue, which Node itself cannot do. */
export interface Accepting {
  /** Stops accepting, also the connections that wait already. False where this works for none of the servers. */
  pause(servers: readonly Server[]): boolean;
  resume(): void;
}

interface Paused {
  readonly server: Server;
  /** The query with which the worker asks for the socket again. */
  readonly query: ListenQuery;
  /** A closed handle; `server` keeps it, so that the server still counts as listening. */
  readonly handle: ListenHandle;
}

interface Origin {
  /** The copy that node:cluster gave first: closing it tells node:cluster that this worker is done with the socket. */
  readonly first: ListenHandle;
  readonly giveBack: () => void;
}

const usualBacklog = 511;
/**
 * How long the worker waits for the master's answer before it asks again, ms: the kernel drops a socket sent to a
 * process that has no free file descriptor.
 */
const askAgain = 1_000;
const mostTries = 5;

/**
 * libuv accepts until the queue is empty, and Node cannot stop it. So a worker closes its copy of the listening
 * socket, and later asks the master for another one. The socket stays open, and the other workers go on accepting.
 *
 * @param onLost called if the master has not given the socket back: clients cannot reach this worker
 */
export function createAccepting(
  onLost: (server: Server) => void,
  giver: object = cluster,
  interval = askAgain,
): Accepting {
  const queries = new WeakMap<object, ListenQuery>();
  /** The origins of copies that replaced the first one. */
  const origins = new WeakMap<ListenHandle, Origin>();
  const paused: Paused[] = [];
  /** Servers whose sockets the worker has asked the master for, without an answer yet. */
  const asked = new Set<Server>();

  const give = getServerOf(giver);
  if (give !== undefined) {
    setGetServer(function (server, query, reply) {
      queries.set(server, query);
      return give.call(this, server, query, reply);
    }, giver);
  }

  const letGo = (server: Server): Paused[] => {
    const handle = listenHandleOf(server);
    const query = queries.get(server);
    if (handle === null || query === undefined || asked.has(server) || !isCopyOfSocket(handle)) return [];
    const bound: Record<string, unknown> = {};
    handle.getsockname?.(bound);
    const origin = origins.get(handle);
    // The first copy is not given back to node:cluster, which would close the socket if no worker had one.
    if (origin === undefined) closeCopy(handle);
    else origin.giveBack();
    // server.address() asks it.
    handle.getsockname = (out) => {
      Object.assign(out, bound);
      return 0;
    };
    return [{ server, handle, query: again(query, bound) }];
  };

  const takeBack = (lent: Paused, tries = 1): void => {
    const { server, query, handle: old } = lent;
    asked.add(server);
    const missing = (): void => {
      // The socket came late, and the worker has another one or needs none.
      if (listenHandleOf(server) !== old) return void asked.delete(server);
      if (tries < mostTries) takeBack(lent, tries + 1);
      else onLost(server);
    };
    const timer = setTimeout(missing, interval).unref();
    give?.call(giver, { once: () => {} }, query, (error, handle) => {
      clearTimeout(timer);
      asked.delete(server);
      if (error || handle === undefined) return onLost(server);
      const giveBack = handle.close.bind(handle);
      // The server was closed meanwhile, or got its socket by an earlier answer.
      if (listenHandleOf(server) !== old) return giveBack();
      const first = origins.get(old)?.first ?? old;
      origins.set(handle, { first, giveBack });
      adoptListening(handle, old);
      handle.close = () => {
        first.close();
        giveBack();
      };
      setListenHandle(server, handle);
      // Without a backlog in the query, or with 0, Node's default applies.
      handle.listen(query.backlog || usualBacklog);
    });
  };

  return {
    pause: (servers) => {
      paused.push(...servers.flatMap(letGo));
      return paused.length > 0;
    },
    resume: () => {
      for (const each of paused.splice(0)) takeBack(each);
    },
  };
}

/** @param bound the address of the socket; a path is in the query already */
function again(query: ListenQuery, { port }: Record<string, unknown>): ListenQuery {
  return { ...query, port: 0, flags: listenAgainFlags(typeof port === 'number' ? port : 0) };
}
