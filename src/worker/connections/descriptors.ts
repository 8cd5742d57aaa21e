import { readdirSync, readFileSync, statSync } from 'node:fs';
import type { Socket } from 'node:net';
import { isBetweenRequests } from './connection-handle.js';
import { connectionOf } from './connections.js';
import { isHttp, type TrackedServer } from './follow-server.js';
import type { Accepting } from './pause-accepting.js';
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
  /** Calls `act` once, after `delay` ms. */
  readonly after: (delay: number, act: () => void) => void;
  readonly warn: (message: string, fields: Readonly<Record<string, unknown>>) => void;
}

/** The share of all descriptors that stays free for the app: for files, and for connections of its own. */
const reserveShare = 1 / 16;
const leastReserve = 16;
/** The share of the idle connections that is closed at a time, oldest first. */
const closedShare = 1 / 8;
/** How long a new connection may take to send its request before it counts as idle, ms. */
const grace = 250;
/** How often the worker checks for free descriptors while it does not accept, ms. */
const pauseInterval = 25;
/** ms between two warnings */
const warnInterval = 60_000;

/** Up to which number connections had been accepted at a time. */
interface Mark {
  readonly at: number;
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
  let marks: Mark[] = [];
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
    mark();
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
    const time = now();
    // The latest mark that is old enough, and all that are not yet.
    const old = marks.findLastIndex(({ at }) => at <= time - grace);
    marks = [...marks.slice(Math.max(0, old)), { at: time, number: newest }];
  };
  /** Connections up to this number have had time to send a request. */
  const grown = (): number => marks.findLast(({ at }) => at <= now() - grace)?.number ?? 0;
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
    if (makeRoom(grown()) > 0) return warn('the oldest connections without a request are closed');
    isPaused = accepting.pause(servers.listening());
    if (isPaused) {
      mark();
      after(pauseInterval, lookForRoom);
      warn('not accepting until some are free');
    } else if (makeRoom(number) > 0) warn('the oldest connections without a request are closed');
  };

  const lookForRoom = (): void => {
    mark();
    makeRoom(grown());
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
