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
  /** Whether WebSocket clients are sent a Close frame. */
  readonly closeWebSockets: boolean;
  /** Which of the servers that listen are beside the service: they close last. */
  readonly beside?: (listening: readonly Server[]) => ReadonlySet<Server>;
  /** Where idle connections go instead of being closed. */
  readonly elsewhere?: Elsewhere;
}

/** Other workers, which go on. */
export interface Elsewhere {
  /** False: the connection cannot go there. */
  take(socket: Socket): boolean;
  /** How many connections are on their way. */
  underWay(): number;
}

export interface DrainCall {
  /** When the worker is cut, ms from now. */
  readonly timeout: number;
  /** No other worker goes on accepting: see last-close.ts. */
  readonly last: boolean;
  /** Tells the master that the listeners are closed; resolves when those of all workers are. */
  readonly closed: () => Promise<void>;
}

/** Ends a worker's connections without losing a request. */
export interface Drainer {
  /** Resolves once nothing is left. Never rejects; who calls it has the deadline. */
  drain(options: DrainCall): Promise<void>;
  /** A request came in, or its answer is out: see ServerEvents. */
  onRequest(response: ServerResponse, socket: Socket): void;
  onAnswered(response: ServerResponse): void;
}

/** How often connections are looked at while they drain, ms. */
const sweepInterval = 25;
/** What a hung worker may hold up the others' last answers, ms: longer than a busy one. */
const releaseLimit = longestHold + 200;

/** The share of its time in which the service is to drain; after that the servers beside it drain as well. */
const shareOfService = 0.5;
/** How long a connection that has just come to a server beside the service may take to send something, ms. */
const firstBytes = 100;

/**
 * `server.close()` ends idle keep-alive connections at once and so races with the client's next request. Here the
 * listener closes first; every answer from then on says `Connection: close`; a connection that stays idle past the
 * linger goes to another worker where it can, and is closed where not; what is upgraded is told to go and then left to itself.
 *
 * An app may have servers of its own behind the one that is configured, to which it passes requests on. They go on
 * accepting until the connections of the service are gone.
 */
export function createDrainer(servers: Servers, options: DrainOptions): Drainer {
  const { linger, beside = () => new Set(), elsewhere = nowhere } = options;
  const tellToClose = createLastAnswers();
  let draining = false;
  let farewells: Farewells | null = null;
  /** When a connection last went idle without having been told to close. */
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
      // Whoever is told comes back at once. At a stop nobody else is there to take him, and he would be told again.
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
  // What they have sent is read before anybody looks for connections on which nothing came.
  await sleep(sweepInterval);
}

/** They may be of use to others than the app, on a port of their own; each worker does it by itself. */
async function closeBeside({ all, counts }: Closing, last: boolean): Promise<void> {
  const { accepted } = counts();
  const others = async (): Promise<void> => {
    // Whoever is answered comes again, to another worker that has yet to close.
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
  // Node does not count a connection as idle on which nothing has ever come. One from another worker has been read there.
  const closeUnread = (socket: Socket): void => {
    if (socket.bytesRead === 0 && !elsewhere.take(socket)) socket.destroy();
  };
  for (const socket of sockets) if (!upgraded.has(socket)) closeUnread(socket);
  for (const socket of accepted) closeUnread(socket);
}

/** Node takes an answer for sent once the app is done with it; a slow client has yet to get it. */
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

/** Looks behind a turn of the event loop: a process that had no CPU for a while reads first what has come meanwhile. */
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
