import { readdirSync, readFileSync, statSync } from 'node:fs';
import type { Socket } from 'node:net';
import { isBetweenRequests } from './connection-handle.js';
import { connectionOf } from './connections.js';
import { isHttp, type TrackedServer } from './follow-server.js';
import type { Accepting } from './pause-accepting.js';
import type { Servers } from './servers.js';

/** Keeps a process that has many connections from running out of file descriptors. */
export interface DescriptorGuard {
  /** The `newest`th connection was accepted; so many are open. */
  accepted(connections: number, newest: number): void;
  /** With every heartbeat: counts what else is open. If the app leaves too little, accepting waits until there is room. */
  measure(): void;
}

export interface DescriptorSeam {
  readonly servers: Pick<Servers, 'all' | 'counts' | 'listening'>;
  readonly accepting: Accepting;
  /** Descriptors that this process may have; null: not known, and nothing is done. */
  readonly limit: () => number | null;
  /** Those that it has. */
  readonly open: () => number;
  readonly now: () => number;
  /** Once, after so many ms. */
  readonly after: (delay: number, act: () => void) => void;
  readonly warn: (message: string, fields: Readonly<Record<string, unknown>>) => void;
}

/** Of all descriptors, what is kept free for the app: for files, and for connections of its own. */
const reserveShare = 1 / 16;
const leastReserve = 16;
/** Of the connections that do nothing so many are closed at a time, the oldest. */
const closedShare = 1 / 8;
/** A request comes with its connection, or a busy client's moment later, ms. */
const grace = 250;
/** How often it is looked for room while nobody is accepted, ms. */
const pauseInterval = 25;
/** ms between two warnings */
const warnInterval = 60_000;

/** At this time connections had been accepted up to this number. */
interface Mark {
  readonly at: number;
  readonly number: number;
}

/**
 * Without a free descriptor the kernel's queue is emptied by closing whoever waits in it, answered or not (libuv does so,
 * lest it spin). So, before it comes to that, connections make room on which nothing has come for a while, the oldest
 * first, and after these the ones that wait for a next request. Where there are none, as in a burst, or where the app has
 * taken the descriptors itself, the worker stops accepting: new connections wait in the kernel's queue, or go to another
 * worker.
 */
export function guardDescriptors(seam: DescriptorSeam): DescriptorGuard {
  const { servers, accepting, limit, open, now, after } = seam;
  let most: number | null | undefined;
  let room = Number.POSITIVE_INFINITY;
  let newest = 0;
  /** What is open beside connections. */
  let others = 0;
  let marks: Mark[] = [];
  let isPaused = false;
  /** Their descriptors are free at once, but they count until their sockets say so. */
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
    // A listener that is on its way back cannot be paused: that is no reason to close who has had no time to ask.
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
    // The latest one that is old enough, and all that are not yet.
    const old = marks.findLastIndex(({ at }) => at <= time - grace);
    marks = [...marks.slice(Math.max(0, old)), { at: time, number: newest }];
  };
  /** Numbers up to this one have had time to ask for something. */
  const grown = (): number => marks.findLast(({ at }) => at <= now() - grace)?.number ?? 0;
  const makeRoom = (upTo: number): number => {
    const closed = idleUpTo(servers.all, upTo);
    for (const socket of closed) socket.once('close', onClose).destroy();
    closing += closed.length;
    return closed.length;
  };
  const hasRoom = (): boolean => servers.counts().connections - closing < room;

  /** @param number of the newest connection that may be closed where the listeners cannot be paused */
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

/** Some of those that do nothing and have a number up to this one, the oldest: who has asked before comes last. */
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

/** RLIMIT_NOFILE of this process (proc_pid_limits(5)); null where the kernel does not tell. */
export function descriptorLimit(readFile = (path: string) => readFileSync(path, 'utf8')): number | null {
  try {
    const soft = /^Max open files\s+(\d+)/m.exec(readFile('/proc/self/limits'))?.[1];
    return soft === undefined ? null : Number(soft);
  } catch {
    return null;
  }
}

/** Linux counts them itself since 6.2, as the size of the folder (proc_pid_fd(5)); before, the size is 0. */
export function openDescriptors(): number {
  return statSync('/proc/self/fd').size || readdirSync('/proc/self/fd').length;
}
