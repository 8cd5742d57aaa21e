import type { ServerResponse } from 'node:http';
import type { Server, Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { isPassed } from '../app/target.js';
import { isHttp, type TrackedServer } from '../connections/follow-server.js';
import type { Servers } from '../connections/servers.js';
import { idleConnections, isHttpBusy } from '../node-internals/http.js';
import { closeListener, isAccepting } from '../node-internals/listening.js';
import { createFarewells, type Farewells } from './farewells.js';
import { closeBehindAnswer, createLastAnswers, dropBehindClose, isLingering } from './last-answer.js';
import { closeFull, holdConnections, longestHold } from './last-close.js';

export interface DrainOptions {
  /** How long an idle keep-alive connection is kept for one more request, ms. */
  readonly linger: number;
  /** Whether WebSocket clients get a Close frame. */
  readonly closeWebSockets: boolean;
  /** Which of the listening servers are not the service's: they close last. */
  readonly beside?: (listening: readonly Server[]) => ReadonlySet<Server>;
  /** Takes over idle connections, which are otherwise closed. */
  readonly elsewhere?: Elsewhere;
}

/** The other workers, which go on serving. */
export interface Elsewhere {
  /** False: the connection cannot go to another worker. */
  take(socket: Socket): boolean;
  /** How many connections are on their way. */
  underWay(): number;
}

export interface DrainCall {
  /** When the master kills the worker, ms from now. */
  readonly timeout: number;
  /** No other worker goes on accepting: see last-close.ts. */
  readonly last: boolean;
  /** Tells the master that the listeners are closed; resolves when the listeners of all workers are. */
  readonly closed: () => Promise<void>;
}

/** Ends a worker's connections without losing a request. */
export interface Drainer {
  /** Resolves once no connection is left. Never rejects; the caller has the deadline. */
  drain(options: DrainCall): Promise<void>;
  /** A request came in, or its answer was sent: see ServerEvents. */
  onRequest(response: ServerResponse, socket: Socket): void;
  onAnswered(response: ServerResponse): void;
}

/** How often the drain checks its connections, ms. */
const sweepInterval = 25;
/**
 * How long a worker waits for the others to close their listeners, ms: longer than one takes on a busy machine, so that
 * only a hung one is not waited for.
 */
const releaseLimit = 2_000;

/**
 * The share of the timeout in which the service's own connections drain; after that the app's other servers drain as
 * well.
 */
const shareOfService = 0.5;
/** How long a new connection to one of the app's other servers may take to send something, ms. */
const firstBytes = 100;

/**
 * `server.close()` ends idle keep-alive connections at once and so races with the client's next request. Here the
 * listener closes first. Every answer from then on says `Connection: close`. A connection that stays idle longer than
 * the linger goes to another worker if it can, and is closed if not. An upgraded connection is told to go and is then
 * left alone.
 *
 * An app may have servers of its own behind the configured one, to which it passes requests on. They go on accepting
 * until the connections of the service are gone.
 */
export function createDrainer(servers: Servers, options: DrainOptions): Drainer {
  const { linger, beside = () => new Set(), elsewhere = nowhere } = options;
  const tellToClose = createLastAnswers();
  let draining = false;
  let farewells: Farewells | null = null;
  /** When a connection last became idle without having been told to close. */
  let quietSince = 0;

  const sweep = (entries: readonly TrackedServer[]): void => {
    farewells?.tell(entries);
    if (performance.now() - quietSince >= linger) for (const entry of entries) closeIdle(entry, elsewhere);
  };

  return {
    drain: async ({ last, timeout, closed }) => {
      draining = true;
      quietSince = performance.now();
      const half = quietSince + timeout * shareOfService;
      const later = beside(servers.listening());
      const service = (): TrackedServer[] => servers.all.filter(({ server }) => !later.has(server));
      for (const { server } of servers.all) dropBehindClose(server);
      for (const { response, socket } of servers.underWay()) tellToClose(response, socket);
      farewells = createFarewells(options, { last, timeout });
      // A client that is told reconnects at once. At a stop no other worker is there to take it, and it would be told
      // again here.
      if (!last) farewells.tell(service());
      await closeListeners({ all: service(), counts: servers.counts }, { last, closed });
      quietSince = performance.now();
      if (later.size > 0) {
        await every(sweepInterval, () => {
          sweep(service());
          return service().every(isEmpty) || performance.now() > half;
        });
        await closeBeside(servers, last);
        quietSince = Math.max(quietSince, performance.now() - linger + Math.min(linger, firstBytes));
      }
      await every(sweepInterval, () => {
        sweep(servers.all);
        return isQuiet(servers) && elsewhere.underWay() === 0;
      });
    },
    onRequest: (response, socket) => {
      if (draining) tellToClose(response, socket);
    },
    onAnswered: (response) => {
      if (!draining) return;
      if (response.shouldKeepAlive) quietSince = performance.now();
      else closeBehindAnswer(response, linger);
    },
  };
}

type Closing = Pick<Servers, 'all' | 'counts'>;

async function closeListeners(servers: Closing, { last, closed }: Omit<DrainCall, 'timeout'>): Promise<void> {
  const held = last ? holdConnections(servers) : null;
  await held?.quiet();
  for (const { server } of servers.all) {
    if (held === null || isPassed(server)) closeListener(server);
    else await closeFull(server, { empty: held.empty, close: closeListener, limit: longestHold });
  }
  if (held === null) return void closed();
  await Promise.race([closed(), sleep(releaseLimit)]);
  held.release();
  // Read what clients have sent before looking for connections on which nothing came.
  await sleep(sweepInterval);
}

/** Clients other than the app may use them, on a port of their own; each worker closes its own. */
async function closeBeside({ all, counts }: Closing, last: boolean): Promise<void> {
  const { accepted } = counts();
  const others = async (): Promise<void> => {
    // A client that got an answer connects again, perhaps to a worker that has not closed yet.
    if (counts().accepted > accepted) await sleep(longestHold);
  };
  await closeListeners(
    { all: all.filter(({ server }) => isAccepting(server)), counts },
    { last, closed: others },
  );
}

const nowhere: Elsewhere = { take: () => false, underWay: () => 0 };

function closeIdle({ server, accepted, sockets, upgraded }: TrackedServer, elsewhere: Elsewhere): void {
  if (!isHttp(server)) return;
  const idle = idleConnections(server);
  if (idle === null) server.closeIdleConnections();
  else for (const socket of idle) if (!isEnding(socket) && !elsewhere.take(socket)) socket.destroy();
  // For Node a connection on which nothing ever came is not idle. On one from another worker something was read
  // there.
  const closeUnread = (socket: Socket): void => {
    if (socket.bytesRead === 0 && !elsewhere.take(socket)) socket.destroy();
  };
  for (const socket of sockets) if (!upgraded.has(socket)) closeUnread(socket);
  for (const socket of accepted) closeUnread(socket);
}

/** For Node an answer is sent once the app has ended it; a slow client may still have to receive it. */
function isEnding(socket: Socket): boolean {
  return isHttpBusy(socket) || socket.writableLength > 0 || isLingering(socket);
}

function isEmpty({ accepted, sockets }: TrackedServer): boolean {
  return accepted.size === 0 && sockets.size === 0;
}

function isQuiet(servers: Servers): boolean {
  const { inFlight, connections } = servers.counts();
  return inFlight === 0 && connections === 0;
}

/**
 * Checks at the end of a turn of the event loop: a process that had no CPU for a while first reads what has arrived
 * meanwhile.
 */
function every(interval: number, done: () => boolean): Promise<void> {
  return new Promise((resolve) => {
    let over = false;
    const look = (): void => {
      if (over || !done()) return;
      over = true;
      clearInterval(timer);
      resolve();
    };
    const timer = setInterval(() => setImmediate(look), interval);
    look();
  });
}
