import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { bucketOf, emptyLatency } from '../../protocol/heartbeat.js';
import { withoutQuery } from '../../protocol/requests.js';
import { ours } from './follow-server.js';

/** A request that is being answered. */
export interface Exchange {
  readonly response: ServerResponse;
  /** When its first lines were read, ms of performance.now(), and whether it is timed: see RequestClock. */
  readonly begun: number;
  readonly weight: number;
}

/** Those without a remark are totals since the start of the process; see Heartbeat. */
export interface ConnectionCounts {
  readonly requests: number;
  readonly accepted: number;
  readonly answers: number;
  readonly errors: number;
  readonly latency: readonly number[];
  /** Now. */
  readonly inFlight: number;
  readonly connections: number;
}

/** The connections of this process with what is being answered on them. */
export interface Connections {
  /** A connection as the kernel knows it, once each, also where one server hands its connections to another: its number. */
  opened(socket: Socket): number;
  /** How many there are now. */
  open(): number;
  /** Whoever reports what was opened reports its end too. */
  closed(socket: Socket): void;
  begun(socket: Socket, response: ServerResponse): Connection;
  /** The whole of the answer has gone out. Undefined where it is not known to be under way. */
  answered(socket: Socket, response: ServerResponse): Connection | undefined;
  /** An answer that is none of node:http. @param took ms */
  count(status: number, took: number): void;
  counts(): ConnectionCounts;
  /** With every heartbeat: see RequestClock. */
  renewClock(): void;
  /** Of those that are closed. */
  bytesWritten(): number;
}

/**
 * What is known of a connection: one object of one shape for each, since properties that are added to a socket or to a
 * response one by one, and listeners of their own for each answer, cost several percent of a small request.
 */
export class Connection {
  isOpen = false;
  /** In the order in which they were opened, from 1; 0: it does not count. */
  number = 0;
  /** Somebody tells of its end. */
  isWatched = false;
  /** We ask ourselves over it: it is not counted. */
  isOwn = false;
  /** Another worker has accepted it, and counted. */
  wasHandedOver = false;
  /** Handed over, and no request has come on it yet. */
  isWaiting = false;
  /** Whether it could ever be handed on was found out, and it is among those if so: see hand-on.ts. */
  isWeighed = false;
  /** For the sake of its last request it stays here: see may-move.ts. */
  isPinned = false;
  /** What is being answered; null: nothing. */
  response: ServerResponse | null = null;
  begun = 0;
  weight = 0;
  /** Further requests, oldest first: they are pipelined. */
  behind: Exchange[] | null = null;
  readonly socket: Socket;

  constructor(socket: Socket) {
    this.socket = socket;
  }
}

type Known = Socket & { [key]?: Connection };
const key = Symbol('connection');

export function trackConnections(now: () => number = () => performance.now()): Connections {
  const counter = createAnswerCounter();
  const clock = new RequestClock(now);
  let requests = 0;
  let inFlight = 0;
  let accepted = 0;
  let open = 0;
  let opened = 0;
  let bytesOfClosed = 0;

  const closed = (socket: Known): void => {
    const connection = socket[key];
    if (connection === undefined) return;
    // What was cut off has no end of its own.
    inFlight -= (connection.response === null ? 0 : 1) + (connection.behind?.length ?? 0);
    connection.response = null;
    connection.behind = null;
    if (!connection.isOpen) return;
    connection.isOpen = false;
    open--;
    bytesOfClosed += writtenTo(socket);
  };
  const onClose = ours(function (this: Socket): void {
    closed(this);
  });
  return {
    opened: (socket) => {
      const connection = connectionOf(socket);
      if (connection.isOpen || connection.isOwn) return connection.number;
      connection.isOpen = true;
      connection.isWatched = true;
      connection.number = ++opened;
      if (!connection.wasHandedOver) accepted++;
      open++;
      return connection.number;
    },
    closed,
    open: () => open,
    begun: (socket, response) => {
      const connection = connectionOf(socket);
      if (connection.isOwn) return connection;
      requests++;
      inFlight++;
      if (!connection.isWatched) {
        connection.isWatched = true;
        socket.on('close', onClose);
      }
      clock.begin();
      const { begun, weight } = clock;
      if (connection.response === null) {
        connection.response = response;
        connection.begun = begun;
        connection.weight = weight;
        return connection;
      }
      connection.behind ??= [];
      connection.behind.push({ response, begun, weight });
      return connection;
    },
    answered: (socket: Known, response) => {
      const connection = socket[key];
      // Answers go out in the order of the requests.
      if (connection?.response !== response) return undefined;
      counter.count(response.statusCode);
      if (connection.weight > 0) counter.time(clock.since(connection.begun), connection.weight);
      inFlight--;
      const next = connection.behind?.shift();
      connection.response = next?.response ?? null;
      if (next !== undefined) {
        connection.begun = next.begun;
        connection.weight = next.weight;
      }
      return connection;
    },
    count: (status, took) => {
      counter.count(status);
      counter.time(took, 1);
    },
    counts: () => ({ requests, inFlight, accepted, connections: open, ...counter.counts() }),
    renewClock: () => clock.renew(),
    bytesWritten: () => bytesOfClosed,
  };
}

/** Bytes. An app may give a server any stream for a connection, and not all of them count. */
export function writtenTo(socket: Socket): number {
  return Number.isFinite(socket.bytesWritten) ? socket.bytesWritten : 0;
}

/** What is being answered on a connection, oldest first. */
export function exchangesOf(socket: Known): readonly Exchange[] {
  const { response = null, begun = 0, weight = 0, behind = null } = socket[key] ?? {};
  return response === null ? [] : [{ response, begun, weight }, ...(behind ?? [])];
}

export function isAnswering(socket: Known): boolean {
  return (socket[key]?.response ?? null) !== null;
}

/** The path of a request without its query; routers of Express cut their own part off `url`. */
export function pathOf(request: IncomingMessage & { originalUrl?: string }): string {
  return withoutQuery(request.originalUrl ?? request.url ?? '');
}

/**
 * What is special about a connection, said just before its server hears of it. Its socket is left as it is until then:
 * sockets that get their properties in another order than most make Node's own look-ups slower for all of them.
 */
export function announce(socket: Socket, what: 'wasHandedOver' | 'isOwn'): void {
  announced = { socket, what };
}

let announced: { readonly socket: Socket; readonly what: 'wasHandedOver' | 'isOwn' } | null = null;

export function connectionOf(socket: Known): Connection {
  return socket[key] ?? meet(socket);
}

function meet(socket: Known): Connection {
  const connection = new Connection(socket);
  socket[key] = connection;
  if (announced?.socket === socket) connection[announced.what] = true;
  announced = null;
  return connection;
}

/** Totals since the start of the process; see Heartbeat. */
interface AnswerCounts {
  readonly answers: number;
  readonly errors: number;
  readonly latency: readonly number[];
}

interface AnswerCounter {
  count(status: number): void;
  /** @param took from the first lines of a request to the end of its answer, ms; it is taken for that of `weight` answers */
  time(took: number, weight: number): void;
  counts(): AnswerCounts;
}

/** Counts complete answers, failed ones, and how long those took that are timed. */
export function createAnswerCounter(): AnswerCounter {
  let answers = 0;
  let errors = 0;
  const latency = emptyLatency();
  return {
    count: (status) => {
      answers++;
      if (status >= 500) errors++;
    },
    time: (took, weight) => {
      const bucket = bucketOf(took);
      latency[bucket] = (latency[bucket] ?? 0) + weight;
    },
    counts: () => ({ answers, errors, latency: [...latency] }),
  };
}

/** So many requests are timed, one by one, between two calls of `renew()`. */
const timedSingly = 64;
/** Of further ones each of so many. */
const step = 8;

/**
 * When requests begin. To read the clock twice a request costs 1 to 2 percent of a small one, so that of many only some
 * are timed, each for all of its step. What is not timed is taken to have begun when the clock was read last: some
 * requests ago, or in a worker that has fallen silent since at most as long ago as the last `renew()`.
 */
export class RequestClock {
  /** When the latest request began, ms of performance.now(). */
  begun: number;
  /** For how many answers it stands with the time that it takes; 0: it is not timed. */
  weight = 1;
  #singly = timedSingly;
  #passed = 0;
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
    this.begun = now();
  }

  /** A request begins. */
  begin(): void {
    if (this.#singly > 0) {
      this.#singly--;
      this.begun = this.#now();
      this.weight = 1;
    } else if (++this.#passed === step) {
      this.#passed = 0;
      this.begun = this.#now();
      this.weight = step;
    } else {
      this.weight = 0;
    }
  }

  /** How long one has taken that is timed, ms. */
  since(begun: number): number {
    return this.#now() - begun;
  }

  /** To be called with every heartbeat. */
  renew(): void {
    this.#singly = timedSingly;
    this.begun = this.#now();
  }
}
