import { Server } from 'node:net';
import { getSystemErrorName } from 'node:util';
import { exitCodes, RomAgentError } from '../../errors.js';
import type { Dispatch } from '../../settings/config.js';
import { untracked } from '../connections/servers.js';
import { deferred } from '../deferred.js';
import {
  aroundListenNow,
  getServerOf,
  type ListenHandle,
  type ListenQuery,
  type ListenReply,
  listenHandleOf,
  listeningIdOf,
  reusePortFlag,
  setGetServer,
  setListenHandle,
} from '../node-internals/listening.js';
import { passedTo } from './target.js';

export interface ListenCallsSeam {
  readonly dispatch: Dispatch;
  /** A server of the app has come for the socket that we had opened for it. */
  readonly onTakenOver: (server: Server) => void;
  /** node:cluster and the prototype of net.Server; a test has its own. */
  readonly giver?: object;
  readonly prototype?: object;
}

export interface ListenCalls {
  /** A server that we have opened for the app: where the app listens itself after all, it gets the socket. */
  lend(server: Server): void;
}

/**
 * Changes what a `listen()` of the app comes to, and leaves the app's own options as they are, for it may use them again:
 *
 * - a socket that was passed in where it means one,
 * - a socket of its own with `reuseport`,
 * - the socket that its siblings share where it wants one for itself (`exclusive`): the second worker would find the
 *   address in use,
 * - the socket that we have opened for it, where it comes late.
 */
export function redirectListens({ dispatch, onTakenOver, giver, prototype }: ListenCallsSeam): ListenCalls {
  const give = getServerOf(giver);
  if (give === undefined) return { lend: () => {} };
  const lent = new Set<Server>();

  const ask = function (this: unknown, asking: object, query: ListenQuery, reply: ListenReply): unknown {
    const server = asking as Server;
    const passed = passedTo(server);
    if (passed !== undefined) {
      const instead = { address: null, port: null, addressType: null, fd: passed.fd, backlog: query.backlog };
      return give.call(this, server, instead, (error, handle) => answer(reply, { error, handle, query }));
    }
    const lender = [...lent].find((each) => each !== server && isSame(each, query));
    const handle = lender === undefined ? null : listenHandleOf(lender);
    if (lender !== undefined && handle !== null) {
      lent.delete(lender);
      letGo(lender);
      process.nextTick(() => {
        answer(reply, { error: 0, handle, query });
        onTakenOver(server);
      });
      return undefined;
    }
    if (dispatch !== 'reuseport' || listenNow === null || !isTcp(query)) {
      return give.call(this, server, query, reply);
    }
    return listenNow(server, { ...query, fd: undefined, flags: (query.flags ?? 0) | reusePortFlag });
  };
  const listenNow = aroundListenNow((server, where, listen) => {
    const { fd, port, flags = 0 } = where;
    // What the app shares itself (reusePort) it has thought about; a port that is free is each worker's own.
    const isTheirs = fd !== undefined || Number(port) === 0 || (flags & reusePortFlag) !== 0;
    if (isTheirs || listenHandleOf(server) !== null || untracked.has(server)) return listen(where);
    const asked = listeningIdOf(server);
    ask.call(giver, server, where, (error, handle) => {
      // It was closed meanwhile.
      if (asked !== listeningIdOf(server)) return handle?.close();
      if (error || handle === undefined) return fail(server, { error: error ?? 0, where });
      setListenHandle(server, handle);
      listen(where);
    });
  }, prototype);
  setGetServer(ask, giver);
  return { lend: (server) => void lent.add(server) };
}

/** Its connections stay with it; it is over with the last of them. */
function letGo(server: Server): void {
  setListenHandle(server, null);
  Server.prototype.close.call(server);
}

interface Answer {
  readonly error: number | null;
  readonly handle: ListenHandle | undefined;
  /** As it was asked. */
  readonly query: ListenQuery;
}

/** Node takes a handle with another port than it has asked for as one that is in use (net.js, checkBindError). */
function answer(reply: ListenReply, { error, handle, query }: Answer): void {
  if (handle === undefined || !handle.getsockname) return reply(error, handle);
  const own = Object.getOwnPropertyDescriptor(handle, 'getsockname');
  const { getsockname } = handle;
  handle.getsockname = (out) => {
    const result = getsockname.call(handle, out);
    out.port = query.port;
    return result;
  };
  try {
    reply(error, handle);
  } finally {
    if (own === undefined) Reflect.deleteProperty(handle, 'getsockname');
    else Object.defineProperty(handle, 'getsockname', own);
  }
}

function isTcp({ fd, port, addressType }: ListenQuery): boolean {
  return typeof fd !== 'number' && Number(port ?? -1) >= 0 && Number(addressType) > 0;
}

/** The host may be another one: where we listen is what is configured. */
function isSame(server: Server, { fd, port, address, addressType }: ListenQuery): boolean {
  const bound = server.address();
  if (bound === null || typeof fd === 'number') return false;
  if (typeof bound === 'string') return addressType === -1 && bound === address;
  return Number(port) > 0 && bound.port === Number(port);
}

/** As node:net has it for a listen() in the cluster. */
function fail(server: Server, { error, where }: { error: number; where: ListenQuery }): void {
  const { address = null, port = null } = where;
  const code = error < 0 ? getSystemErrorName(error) : 'EINVAL';
  const place = port !== null && port > 0 ? `${address ?? '::'}:${port}` : `${address}`;
  const failure = new Error(`bind ${code} ${place}`);
  server.emit('error', Object.assign(failure, { code, errno: error, syscall: 'bind', address, port }));
}

/** Listeners that are not opened yet. */
export interface HeldListeners {
  /** Resolves when the first one would be. */
  readonly held: Promise<void>;
  /** Opens them, and all that follow. */
  open(): void;
}

/**
 * Keeps an app's `listen()` from taking effect: for the app it is under way, as it is while the master has not answered
 * yet. So an unmodified app boots as a whole, and what is left to be done is one question to the master.
 *
 * @throws RomAgentError where this Node asks in another way
 */
export function holdListeners(giver?: object): HeldListeners {
  const give = getServerOf(giver);
  if (give === undefined) throw new RomAgentError(noWay, { exitCode: exitCodes.noResources });
  const waiting: (() => void)[] = [];
  const held = deferred<void>();
  setGetServer(function (...args) {
    waiting.push(() => give.apply(this, args));
    held.resolve();
  }, giver);
  return {
    held: held.promise,
    open: () => {
      setGetServer(give, giver);
      for (const ask of waiting.splice(0)) ask();
    },
  };
}

const noWay = `spares: Node ${process.versions.node} has no way to hold back listeners; expected spares = 0`;
