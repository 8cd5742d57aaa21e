import { Server } from 'node:net';
import { constants } from 'node:os';
import { getSystemErrorName } from 'node:util';
import { exitCodes, RomAgentError } from '../../errors.js';
import type { WorkerSettings } from '../../protocol/settings.js';
import type { Dispatch } from '../../settings/config.js';
import type { Channel } from '../channel.js';
import { untracked } from '../connections/servers.js';
import { deferred } from '../deferred.js';
import {
  aroundListenNow,
  type GetServer,
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
import { numbering } from './surroundings.js';
import { addressOf, isWorkerPort, passedTo } from './target.js';

export interface ListenCallsSeam {
  readonly dispatch: Dispatch;
  /** How long a port may belong to another process, ms: see portWaiter. */
  readonly listenWait?: number;
  /** The wait for a port begins. */
  readonly onWait?: (port: number) => void;
  /** The app has called `listen()` where a server of ours listens, and gets that server's socket. */
  readonly onTakenOver: (server: Server) => void;
  /** node:cluster and the prototype of net.Server; a test passes in its own. */
  readonly giver?: object;
  readonly prototype?: object;
}

export interface ListenCalls {
  /** Marks a server that we opened for the app: if the app calls `listen()` after all, it gets the socket. */
  lend(server: Server): void;
  /** How long it has waited for ports in all, ms. */
  waited(): number;
}

/** Those of a worker of the service. */
export function listenCallsOf(
  { dispatch, listenWait }: Pick<WorkerSettings, 'dispatch' | 'listenWait'>,
  { channel, info }: { readonly channel: Pick<Channel, 'send'>; readonly info: (message: string) => void },
): ListenCalls {
  return redirectListens({
    dispatch,
    listenWait,
    onWait: (port) => void channel.send({ type: 'waits', port }),
    onTakenOver: (server) =>
      info(`the app listens itself after all, and has the socket of ${addressOf(server)} now`),
  });
}

/**
 * Decides which socket a `listen()` of the app gets. The app's options object stays unchanged, since the app may use
 * it again. It gets:
 *
 * - the passed socket where it names one,
 * - a socket of its own with `reuseport`,
 * - the socket that all workers share where it asks for an exclusive one (`exclusive`): otherwise the second worker
 *   would find the address in use,
 * - the socket that we opened for the app where the app listens late.
 */
export function redirectListens(seam: ListenCallsSeam): ListenCalls {
  const { dispatch, onTakenOver, giver, prototype, listenWait = 0, onWait = () => {} } = seam;
  const original = getServerOf(giver);
  if (original === undefined) return { lend: () => {}, waited: () => 0 };
  const waiter = portWaiter(original, { limit: listenWait, onWait });
  const give = listenWait === 0 ? original : waiter.give;
  const lent = new Set<Server>();

  const ask = function (this: unknown, asking: object, query: ListenQuery, reply: ListenReply): unknown {
    const server = asking as Server;
    // Shared with the next worker of the slot, whatever `dispatch` says.
    if (isWorkerPort(server)) return original.call(this, server, query, reply);
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
    // With reusePort the app shares the port itself; with port 0 each worker has a port of its own.
    const isTheirs = fd !== undefined || Number(port) === 0 || (flags & reusePortFlag) !== 0;
    if (isTheirs || listenHandleOf(server) !== null || untracked.has(server)) return listen(where);
    const asked = listeningIdOf(server);
    ask.call(giver, server, where, (error, handle) => {
      // The app has closed the server meanwhile.
      if (asked !== listeningIdOf(server)) return handle?.close();
      if (error || handle === undefined) return fail(server, { error: error ?? 0, where });
      setListenHandle(server, handle);
      listen(where);
    });
  }, prototype);
  setGetServer(ask, giver);
  return { lend: (server) => void lent.add(server), waited: waiter.waited };
}

/** ms between two attempts to get a port: what a client may notice when one service replaces another. */
const askAgain = 20;

/**
 * Asks for a TCP port that another process has again and again, within one limit for all ports. To the app its listen() is
 * under way meanwhile, as it is until the master answers.
 *
 * node:cluster counts an index up with each query, and has a socket for each index: all attempts have to have one index, the
 * same in every worker (Node 20 to 26).
 */
function portWaiter(
  original: GetServer,
  { limit, onWait }: { readonly limit: number; readonly onWait: (port: number) => void },
): { readonly give: GetServer; readonly waited: () => number } {
  const take = numbering();
  let since: number | null = null;
  let waited = 0;
  return {
    waited: () => waited,
    give(asking, query, reply) {
      const server = asking as Server;
      const port = Number(query.port ?? 0);
      if (!isTcp(query) || port === 0) return original.call(this, server, query, reply);
      const { number, giveBack } = take(server, query);
      const asked = listeningIdOf(server);
      const attempt = (): unknown => {
        const before = new Set(server.rawListeners('listening'));
        // node:cluster wants to hear when the server listens, once for each query.
        let added: readonly Listener[] = [];
        const result = original.call(this, server, { ...query, index: `${number}` }, (error, handle) => {
          const isBusy = error === addressInUse;
          if (isBusy && since === null) onWait(port);
          if (isBusy) since ??= performance.now();
          waited = since === null ? 0 : performance.now() - since;
          if (isBusy && waited < limit && asked === listeningIdOf(server)) {
            for (const each of added) server.removeListener('listening', each);
            return void setTimeout(attempt, askAgain);
          }
          if (error) giveBack();
          reply(error, handle);
        });
        added = (server.rawListeners('listening') as Listener[]).filter((each) => !before.has(each));
        return result;
      };
      return attempt();
    },
  };
}

type Listener = (...args: unknown[]) => void;

/** UV_EADDRINUSE */
const addressInUse = -constants.errno.EADDRINUSE;

/** Stops listening and leaves the connections to the server; the server ends with the last of them. */
function letGo(server: Server): void {
  setListenHandle(server, null);
  Server.prototype.close.call(server);
}

interface Answer {
  readonly error: number | null;
  readonly handle: ListenHandle | undefined;
  /** As the server asked. */
  readonly query: ListenQuery;
}

/** Node treats a handle with another port than it asked for as an address in use (net.js, checkBindError). */
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

/** The host is not compared: the app may name another one than the configured one, on which we listen. */
function isSame(server: Server, { fd, port, address, addressType }: ListenQuery): boolean {
  const bound = server.address();
  if (bound === null || typeof fd === 'number') return false;
  if (typeof bound === 'string') return addressType === -1 && bound === address;
  return Number(port) > 0 && bound.port === Number(port);
}

/** Emits the error that node:net emits for a failed listen() in a cluster. */
function fail(server: Server, { error, where }: { error: number; where: ListenQuery }): void {
  const { address = null, port = null } = where;
  const code = error < 0 ? getSystemErrorName(error) : 'EINVAL';
  const place = port !== null && port > 0 ? `${address ?? '::'}:${port}` : `${address}`;
  const failure = new Error(`bind ${code} ${place}`);
  server.emit('error', Object.assign(failure, { code, errno: error, syscall: 'bind', address, port }));
}

/** A `listen()` that waits, and where it is to listen. */
export interface HeldListen {
  readonly server: Server;
  readonly query: ListenQuery;
}

/** `listen()` calls that wait. */
export interface HeldListeners {
  /** What waits. */
  readonly waiting: readonly HeldListen[];
  /** Resolves at the first such call. */
  readonly held: Promise<void>;
  /** Lets the waiting calls and all later ones through. */
  open(): void;
}

/**
 * Keeps an app's `listen()` from taking effect: the app sees it under way, as it is until the master answers. So a
 * spare boots an unmodified app completely, and only has to ask the master for the socket.
 *
 * @throws RomAgentError where this version of Node asks for handles in another way
 */
export function holdListeners(giver?: object): HeldListeners {
  const give = getServerOf(giver);
  if (give === undefined) throw new RomAgentError(noWay, { exitCode: exitCodes.noResources });
  const waiting: (HeldListen & { readonly ask: () => void })[] = [];
  const held = deferred<void>();
  setGetServer(function (...args) {
    const [server, query] = args;
    waiting.push({ server: server as Server, query, ask: () => give.apply(this, args) });
    held.resolve();
  }, giver);
  return {
    waiting,
    held: held.promise,
    open: () => {
      setGetServer(give, giver);
      for (const { ask } of waiting.splice(0)) ask();
    },
  };
}

const noWay = `spares: Node ${process.versions.node} has no way to hold back listeners; expected spares = 0`;
