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

/** Keeps connections waiting in the kernel's queue, where Node itself has no way to. */
export interface Accepting {
  /** From now on nobody is accepted, not even who is waiting already. False where none of the servers can do that. */
  pause(servers: readonly Server[]): boolean;
  resume(): void;
}

interface Paused {
  readonly server: Server;
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

const usualBacklog = 511;
/** How long the master has to answer, ms: the kernel drops a socket for which a process has no file descriptor left. */
const askAgain = 1_000;
const mostTries = 5;

/**
 * libuv accepts until the queue is empty, and Node cannot stop it: so a worker closes its copy of the listening socket and
 * asks the master for another one. The socket stays open, and the other workers go on.
 *
 * @param onLost the master has not given the socket back: this worker is deaf
 */
export function createAccepting(
  onLost: (server: Server) => void,
  giver: object = cluster,
  interval = askAgain,
): Accepting {
  const queries = new WeakMap<object, ListenQuery>();
  /** Of copies that were asked for again. */
  const origins = new WeakMap<ListenHandle, Origin>();
  const paused: Paused[] = [];
  /** The master has been asked for their sockets, and has not answered yet. */
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
    // The first copy is not given back to node:cluster: without any worker it would close the socket.
    if (origin === undefined) closeCopy(handle);
    else origin.giveBack();
    // For server.address().
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
      // It has come after all, or is not wanted any more.
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
      // Meanwhile it was closed, or an earlier answer has come.
      if (listenHandleOf(server) !== old) return giveBack();
      const first = origins.get(old)?.first ?? old;
      origins.set(handle, { first, giveBack });
      adoptListening(handle, old);
      handle.close = () => {
        first.close();
        giveBack();
      };
      setListenHandle(server, handle);
      // Of none, 0 stands for it here.
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

/** @param bound what the socket is bound to: a path is in the query itself */
function again(query: ListenQuery, { port }: Record<string, unknown>): ListenQuery {
  return { ...query, port: 0, flags: listenAgainFlags(typeof port === 'number' ? port : 0) };
}
