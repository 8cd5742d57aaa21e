import { readdirSync, readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { isBetweenRequests } from './connection-handle.js';
import { connectionOf } from './connections.js';
import { isHttp, type TrackedServer } from './follow-server.js';
import type { Servers } from './servers.js';

/** Keeps a process that has many connections from running out of file descriptors. */
export interface DescriptorGuard {
  /** A connection was accepted; so many are open. */
  accepted(connections: number): void;
  /** Counts what else is open; at times. */
  measure(): void;
}

export interface DescriptorSeam {
  readonly servers: Pick<Servers, 'all' | 'counts'>;
  /** Descriptors that this process may have; null: not known, and nothing is done. */
  readonly limit: () => number | null;
  /** Those that it has. */
  readonly open: () => number;
  readonly now: () => number;
  readonly warn: (message: string, fields: Readonly<Record<string, unknown>>) => void;
}

/** Of all descriptors, what is kept free for the app: for files, and for connections of its own. */
const reserveShare = 1 / 16;
const leastReserve = 16;
/** Of the connections that do nothing so many are closed at a time: to look for them takes time. */
const closedShare = 1 / 16;
/** ms between two warnings */
const warnInterval = 60_000;

/**
 * Without a free descriptor the kernel's queue is emptied by closing whoever waits in it, answered or not (libuv does so,
 * lest it spin). So, before it comes to that, connections make room on which nothing has ever come, the oldest first, and
 * after these the ones that wait for a next request.
 */
export function guardDescriptors({ servers, limit, open, now, warn }: DescriptorSeam): DescriptorGuard {
  let most: number | null | undefined;
  let room = Number.POSITIVE_INFINITY;
  let warnedAt = Number.NEGATIVE_INFINITY;
  /** Their descriptors are free at once, but they count until their sockets say so. */
  let closing = 0;
  const onClose = (): void => {
    closing--;
  };

  const measure = (): void => {
    most ??= limit();
    if (most === null) return;
    const { connections } = servers.counts();
    // Few connections cannot be the reason, and to count is not free.
    if (room !== Number.POSITIVE_INFINITY && connections < room / 2) return;
    room = most - (open() - connections) - Math.max(leastReserve, Math.round(most * reserveShare));
  };
  return {
    measure,
    accepted: (connections) => {
      if (connections - closing <= room) return;
      const closed = makeRoom(servers.all, onClose);
      closing += closed;
      if (now() - warnedAt < warnInterval) return;
      warnedAt = now();
      warn('file descriptors run short: the oldest connections without a request are closed', {
        closed,
        connections,
        limit: most,
      });
    },
  };
}

function makeRoom(tracked: readonly TrackedServer[], onClose: () => void): number {
  const idle = tracked.filter(({ server }) => isHttp(server)).flatMap(idleOf);
  const silent = idle.filter(isSilent);
  const candidates = silent.length > 0 ? silent : idle;
  const oldest = candidates.sort((a, b) => connectionOf(a).number - connectionOf(b).number);
  const closed = oldest.slice(0, Math.ceil(candidates.length * closedShare));
  for (const socket of closed) socket.once('close', onClose).destroy();
  return closed.length;
}

function idleOf({ accepted, upgraded }: TrackedServer): Socket[] {
  return [...accepted].filter(
    (socket) => !upgraded.has(socket) && (isSilent(socket) || isBetweenRequests(socket)),
  );
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

export function openDescriptors(): number {
  return readdirSync('/proc/self/fd').length;
}
