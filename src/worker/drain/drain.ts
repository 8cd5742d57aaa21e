import type { ServerResponse } from 'node:http';
import type { Http2Session } from 'node:http2';
import type { Server, Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { isPassed } from '../app/target.js';
import { isHttp, type TrackedServer, type Upgrade } from '../connections/follow-server.js';
import type { Servers } from '../connections/servers.js';
import { idleConnections, isHttpBusy, writeBetweenFrames } from '../node-internals/http.js';
import { closeListener, isAccepting } from '../node-internals/listening.js';
import {
  closeBehindAnswer,
  closeFull,
  createLastAnswers,
  dropBehindClose,
  holdConnections,
  isLingering,
  longestHold,
} from './closing.js';

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
  leave(socket: Socket): boolean;
  /** How many connections are on their way. */
  underWay(): number;
}

interface DrainCall {
  /** When the master kills the worker, ms from the end of the patience. */
  readonly timeout: number;
  /** While this holds connections go on, idle ones and WebSockets too; missing: they do not. */
  readonly isPatient?: () => boolean;
  /** No other worker goes on accepting: see holdConnections() in closing.ts. */
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

/** The shares of the timeout after which a worker closes its listeners in any case, and in which it waits for the others'. */
const shareToClose = 1 / 2;
const shareToWait = 1 / 4;

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
    drain: async ({ last, timeout, closed, isPatient = () => false }) => {
      draining = true;
      quietSince = performance.now();
      const later = beside(servers.listening());
      const service = (): TrackedServer[] => servers.all.filter(({ server }) => !later.has(server));
      for (const { server } of servers.all) dropBehindClose(server);
      for (const { response, socket } of servers.underWay()) tellToClose(response, socket);
      const patient = isPatient();
      farewells = createFarewells(patient ? { ...options, closeWebSockets: false } : options, {
        last,
        timeout,
      });
      // A client that is told reconnects at once. At a stop no other worker is there to take it, and it would be told
      // again here.
      if (!last) farewells.tell(service());
      await closeListeners({ all: service(), counts: servers.counts }, { last, timeout, closed });
      if (patient) {
        await every(sweepInterval, () => {
          farewells?.tell(service());
          return service().every(isEmpty) || !isPatient();
        });
        farewells = createFarewells(options, { last, timeout });
      }
      quietSince = performance.now();
      const half = quietSince + timeout * shareOfService;
      if (later.size > 0) {
        await every(sweepInterval, () => {
          sweep(service());
          return service().every(isEmpty) || performance.now() > half;
        });
        await closeBeside(servers, { last, timeout });
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

/** Tells clients of anything but plain HTTP/1 to go, once each. */
interface Farewells {
  /** Called repeatedly: it tells what began during the drain, and the next ones in turn. */
  tell(entries: readonly Pick<TrackedServer, 'sessions' | 'upgraded'>[]): void;
}

/** How many WebSockets are told at once, and how many each second after that if time allows. */
const burst = 100;
const perSecond = 500;
/** The share of the drain in which all of them are told; in the rest they end. */
const share = 1 / 3;

export function createFarewells(
  { linger, closeWebSockets }: Pick<DrainOptions, 'linger' | 'closeWebSockets'>,
  { last, timeout }: Pick<DrainCall, 'last' | 'timeout'>,
  now: () => number = () => performance.now(),
): Farewells {
  const goodBye = createGoodBye({ linger });
  const began = now();
  const told = new WeakSet<object>();
  let count = 0;

  const sayGoodBye = (sockets: readonly (readonly [Socket, Upgrade])[]): void => {
    const total = count + sockets.length;
    // At the last drain no worker is left to which they could come back at once.
    const due = last ? total : farewellsDue({ total, elapsed: now() - began, limit: timeout * share });
    for (const [socket, { end }] of sockets) {
      if (count >= due) return;
      if (end?.goAway() !== true) continue;
      told.add(socket);
      count++;
    }
  };
  return {
    tell: (entries) => {
      for (const { sessions } of entries) {
        for (const session of sessions.keys()) goodBye.tell(session);
      }
      if (!closeWebSockets) return;
      sayGoodBye(
        entries.flatMap(({ upgraded }) =>
          [...upgraded].filter(([socket, { end }]) => end !== null && !told.has(socket)),
        ),
      );
    },
  };
}

/**
 * How many WebSockets should have been told by now. If all were told at once, they would all reconnect at once, to
 * few workers.
 *
 * @param options how many there are; how long the drain has lasted, and in which time all are told, ms
 */
export function farewellsDue({
  total,
  elapsed,
  limit,
}: {
  readonly total: number;
  readonly elapsed: number;
  readonly limit: number;
}): number {
  if (elapsed >= limit) return total;
  const rate = Math.max(perSecond / 1_000, total / limit);
  return Math.min(total, burst + Math.floor(elapsed * rate));
}

type Closing = Pick<Servers, 'all' | 'counts'>;

async function closeListeners(
  servers: Closing,
  { last, timeout, closed }: Omit<DrainCall, 'isPatient'>,
): Promise<void> {
  const until = performance.now() + timeout * shareToClose;
  const held = last ? holdConnections(servers, until) : null;
  await held?.quiet();
  for (const { server } of servers.all) {
    if (held === null || isPassed(server)) closeListener(server);
    else await closeFull(server, { empty: held.empty, close: closeListener, limit: longestHold, until });
  }
  if (held === null) return void closed();
  await Promise.race([closed(), sleep(Math.min(releaseLimit, timeout * shareToWait))]);
  held.release();
  // Read what clients have sent before looking for connections on which nothing came.
  await sleep(sweepInterval);
}

/** Clients other than the app may use them, on a port of their own; each worker closes its own. */
async function closeBeside(
  { all, counts }: Closing,
  { last, timeout }: Pick<DrainCall, 'last' | 'timeout'>,
): Promise<void> {
  const { accepted } = counts();
  const others = async (): Promise<void> => {
    // A client that got an answer connects again, perhaps to a worker that has not closed yet.
    if (counts().accepted > accepted) await sleep(longestHold);
  };
  await closeListeners(
    { all: all.filter(({ server }) => isAccepting(server)), counts },
    { last, timeout: timeout * shareOfService, closed: others },
  );
}

const nowhere: Elsewhere = { leave: () => false, underWay: () => 0 };

function closeIdle({ server, accepted, sockets, upgraded }: TrackedServer, elsewhere: Elsewhere): void {
  if (!isHttp(server)) return;
  const idle = idleConnections(server);
  if (idle === null) server.closeIdleConnections();
  else for (const socket of idle) if (!isEnding(socket) && !elsewhere.leave(socket)) socket.destroy();
  // For Node a connection on which nothing ever came is not idle. On one from another worker something was read
  // there.
  const closeUnread = (socket: Socket): void => {
    if (socket.bytesRead === 0 && !elsewhere.leave(socket)) socket.destroy();
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

/** A GOAWAY frame (RFC 9113, section 6.8): no error, and every stream that the client can still open will be served. */
const openNoMore = Buffer.from([0, 0, 8, 7, 0, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0]);
/** How long a client may take to answer a ping, ms. */
const longestAnswer = 1_000;

/** Tells HTTP/2 clients to go, once each. */
interface GoodBye {
  /** Called repeatedly. */
  tell(session: Http2Session): void;
}

/**
 * Ends HTTP/2 sessions without refusing a stream. RFC 9113 does it in two steps. The server tells the client to open
 * no more streams, and serves those that the client sent before it read that. Once the client has answered a ping,
 * nothing is on its way any more, and the server tells it which stream was the last. Node only does the second step:
 * it refuses streams that come after its GOAWAY. Without TLS we write the first GOAWAY past Node; with TLS that is
 * not possible.
 *
 * The moment matters in both cases. A client that reads GOAWAY while a request waits in its own queue refuses that
 * request itself (nghttp2, and so Node and grpc-js, with REFUSED_STREAM). Its queue is empty when it has just sent a
 * request, and most clients then wait for the answer. So we tell it at that moment, or when nothing has come for the
 * linger.
 */
function createGoodBye({ linger }: { readonly linger: number }): GoodBye {
  const told = new WeakSet<Http2Session>();
  const since = new WeakMap<Http2Session, number>();

  const say = (session: Http2Session): void => {
    if (told.has(session)) return;
    if (session.encrypted === true) close(session);
    else if (writeBetweenFrames(session, openNoMore)) closeAfterAnswer(session);
    else return;
    told.add(session);
  };
  const sayAtRequests = (session: Http2Session): void => {
    session.on('stream', () => {
      if (told.has(session)) return;
      if (session.encrypted !== true) say(session);
      // Streams that came together with it begin before the session ends, and Node's first frame goes before ours.
      if (!told.has(session)) setImmediate(say, session);
    });
  };
  return {
    tell: (session) => {
      if (told.has(session)) return;
      const first = since.get(session);
      const now = performance.now();
      since.set(session, first ?? now);
      if (first === undefined) return sayAtRequests(session);
      if (now - first < linger) return;
      say(session);
      // The client may not have read everything that the session has to write.
      if (now - first >= linger + longestAnswer) close(session);
    },
  };
}

function closeAfterAnswer(session: Http2Session): void {
  setTimeout(close, longestAnswer, session).unref();
  if (isOpen(session)) session.ping(() => close(session));
}

function close(session: Http2Session): void {
  if (isOpen(session)) session.close();
}

function isOpen({ closed, destroyed }: Http2Session): boolean {
  return !closed && !destroyed;
}
