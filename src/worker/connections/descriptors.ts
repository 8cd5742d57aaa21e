import cluster from 'node:cluster';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import type { Server, Socket } from 'node:net';
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
import { isBetweenRequests } from './connection-handle.js';
import { connectionOf } from './connections.js';
import { isHttp, type TrackedServer } from './follow-server.js';
import type { Servers } from './servers.js';

/** Keeps a process with many connections from running out of file descriptors. */
export interface DescriptorGuard {
  /** A connection was accepted, number `newest`; `connections` are open. */
  accepted(connections: number, newest: number): void;
  /**
   * Called with every heartbeat: counts what else is open. If the app leaves too few descriptors, the worker stops
   * accepting until there are more.
   */
  measure(): void;
}

export interface DescriptorSeam {
  readonly servers: Pick<Servers, 'all' | 'counts' | 'listening'>;
  readonly accepting: Accepting;
  /** How many descriptors this process may have; null: unknown, and the guard does nothing. */
  readonly limit: () => number | null;
  /** How many it has open. */
  readonly open: () => number;
  readonly now: () => number;
  /** Calls `act` once, after `delay` ms, at the end of a turn of the event loop: what had arrived was read. */
  readonly after: (delay: number, act: () => void) => void;
  readonly warn: (message: string, fields: Readonly<Record<string, unknown>>) => void;
}

/** The share of all descriptors that stays free for the app: for files, and for connections of its own. */
const reserveShare = 1 / 16;
const leastReserve = 16;
/** The share of the idle connections that is closed at a time, oldest first. */
const closedShare = 1 / 8;
/** How long a new connection may take to send its request before it counts as idle, ms: TCP repeats a lost packet by then. */
const grace = 1_000;
/** So often the worker looks within that time. Where it gets little CPU the grace is longer: its clients may get little too. */
const fewestLooks = 20;
/** After so long the number of looks does not matter, ms. */
const longGrace = 5_000;
/** How often the worker checks for free descriptors while it does not accept, ms. */
const pauseInterval = 25;
/** ms between two warnings */
const warnInterval = 60_000;

/** Up to which number connections had been accepted at a time, and how often the worker had looked before. */
interface Mark {
  readonly at: number;
  readonly looks: number;
  readonly number: number;
}

/**
 * If no descriptor is free, libuv empties the kernel's queue by closing the connections that wait in it, answered or
 * not, because it would spin otherwise. So connections make room before it comes to that: first those on which
 * nothing has come for a while, oldest first, then those that wait for a next request. If there are none, as in a
 * burst, or if the app itself has taken the descriptors, the worker stops accepting: new connections wait in the
 * kernel's queue, or go to another worker.
 */
export function guardDescriptors(seam: DescriptorSeam): DescriptorGuard {
  const { servers, accepting, limit, open, now, after } = seam;
  let most: number | null | undefined;
  let room = Number.POSITIVE_INFINITY;
  let newest = 0;
  /** Open descriptors other than connections. */
  let others = 0;
  let marks: readonly Mark[] = [];
  let looks = 0;
  /** Connections up to this number have had time to send a request. */
  let grown = 0;
  let isPaused = false;
  /** Connections being closed: their descriptors are free at once, but they count until their sockets emit 'close'. */
  let closing = 0;
  const onClose = (): void => {
    closing--;
  };
  let warnedAt = Number.NEGATIVE_INFINITY;
  const warn = (what: string): void => {
    if (now() - warnedAt < warnInterval) return;
    warnedAt = now();
    const { connections } = servers.counts();
    const message = `low on file descriptors (${others + connections} of ${most}): ${what}`;
    seam.warn(message, { connections, limit: most });
  };

  const measure = (): void => {
    most ??= limit();
    if (most === null) return;
    const { connections } = servers.counts();
    after(0, look);
    others = inUse(most) - connections;
    room = most - others - Math.max(leastReserve, Math.round(most * reserveShare));
    // A listener that the master is just giving back cannot be paused; that is no reason to close clients that had no
    // time to send a request.
    if (connections - closing > room) relieve(0);
  };
  /** To count them takes one. */
  const inUse = (all: number): number => {
    try {
      return open();
    } catch {
      return all;
    }
  };
  const mark = (): void => {
    if (marks.at(-1)?.number !== newest) marks = [...marks, { at: now(), looks, number: newest }];
  };
  /** At the end of a turn. A request that waits in the kernel has been sent in time, though it was not read yet. */
  const look = (): void => {
    looks++;
    const time = now();
    const hasGrown = ({ at, looks: before }: Mark): boolean =>
      time - at >= longGrace || (time - at >= grace && looks - before >= fewestLooks);
    grown = marks.findLast(hasGrown)?.number ?? grown;
    marks = marks.filter(({ number }) => number > grown);
    mark();
  };
  const makeRoom = (upTo: number): number => {
    const closed = idleUpTo(servers.all, upTo);
    for (const socket of closed) socket.once('close', onClose).destroy();
    closing += closed.length;
    return closed.length;
  };
  const hasRoom = (): boolean => servers.counts().connections - closing < room;

  /** @param number of the newest connection that may be closed if the listeners cannot be paused */
  const relieve = (number: number): void => {
    if (isPaused) return;
    if (makeRoom(grown) > 0) return warn('the oldest connections without a request are closed');
    isPaused = accepting.pause(servers.listening());
    if (isPaused) {
      mark();
      after(pauseInterval, lookForRoom);
      warn('not accepting until some are free');
    } else if (makeRoom(number) > 0) warn('the oldest connections without a request are closed');
  };

  const lookForRoom = (): void => {
    look();
    makeRoom(grown);
    if (!hasRoom()) return after(pauseInterval, lookForRoom);
    isPaused = false;
    accepting.resume();
  };

  return {
    measure,
    accepted: (connections, number) => {
      newest = number;
      if (connections - closing > room) relieve(number);
    },
  };
}

/** Some of the idle connections up to this number, oldest first; those that have sent a request before come last. */
function idleUpTo(tracked: readonly TrackedServer[], upTo: number): readonly Socket[] {
  const idle = tracked.filter(({ server }) => isHttp(server)).flatMap(idleOf);
  const silent = idle.filter(isSilent);
  const candidates = (silent.length > 0 ? silent : idle).filter((socket) => numberOf(socket) <= upTo);
  const oldest = candidates.sort((a, b) => numberOf(a) - numberOf(b));
  return oldest.slice(0, Math.ceil(candidates.length * closedShare));
}

function idleOf({ accepted, upgraded }: TrackedServer): Socket[] {
  return [...accepted].filter(
    (socket) =>
      connectionOf(socket).isOpen && !upgraded.has(socket) && (isSilent(socket) || isBetweenRequests(socket)),
  );
}

function numberOf(socket: Socket): number {
  return connectionOf(socket).number;
}

function isSilent({ bytesRead, bytesWritten, destroyed }: Socket): boolean {
  return bytesRead === 0 && bytesWritten === 0 && !destroyed;
}

/** RLIMIT_NOFILE of this process (proc_pid_limits(5)); null where the kernel does not say. */
export function descriptorLimit(readFile = (path: string) => readFileSync(path, 'utf8')): number | null {
  try {
    const soft = /^Max open files\s+(\d+)/m.exec(readFile('/proc/self/limits'))?.[1];
    return soft === undefined ? null : Number(soft);
  } catch {
    return null;
  }
}

/** Since Linux 6.2 the size of the directory is the number of descriptors (proc_pid_fd(5)); before, the size is 0. */
export function openDescriptors(): number {
  return statSync('/proc/self/fd').size || readdirSync('/proc/self/fd').length;
}

/** Makes connections wait in the kernel's queue, which Node itself cannot do. */
interface Accepting {
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
