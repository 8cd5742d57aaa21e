import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { RequestTally } from '../../metrics/tally.js';
import { bucketOf, emptyLatency } from '../../protocol/heartbeat.js';
import { withoutQuery } from '../../protocol/requests.js';
import { ours } from './follow-server.js';

/** A request that is being answered. */
export interface Exchange {
  readonly response: ServerResponse;
  /**
   * When the worker read the first lines of the request, ms of performance.now(), and whether the request is timed:
   * see RequestClock.
   */
  readonly begun: number;
  readonly weight: number;
}

/** Totals since the process started, unless a field says otherwise; see Heartbeat. */
export interface ConnectionCounts {
  readonly requests: number;
  readonly accepted: number;
  readonly answers: number;
  readonly errors: number;
  readonly latency: readonly number[];
  /** At this moment. */
  readonly inFlight: number;
  readonly connections: number;
}

/** The connections of this process, with the requests that are being answered on them. */
export interface Connections {
  /**
   * Counts a connection as the kernel knows it, once, also where one server hands its connections to another. Returns
   * its number.
   */
  opened(socket: Socket): number;
  /** How many connections are open now. */
  open(): number;
  /** Must be called for each connection that was reported as opened. */
  closed(socket: Socket): void;
  begun(socket: Socket, response: ServerResponse): Connection;
  /** The answer was sent completely. Undefined where the request is not known. */
  answered(socket: Socket, response: ServerResponse): Connection | undefined;
  /** Counts an answer that node:http did not send. @param took ms */
  count(status: number, took: number): void;
  counts(): ConnectionCounts;
  /** Requests at this moment. */
  inFlight(): number;
  /** Called with every heartbeat: see RequestClock. */
  renewClock(): void;
  /** Written on connections that are closed. */
  bytesWritten(): number;
}

/**
 * What we know of a connection: one object of one shape each. Properties added to a socket or a response one by one,
 * or a listener for each answer, would cost several percent of a small request.
 */
export class Connection {
  isOpen = false;
  /** Connections are numbered in the order in which they were opened, from 1; 0: this one is not counted. */
  number = 0;
  /** Somebody reports its end. */
  isWatched = false;
  /** This process asks itself over it: it is not counted. */
  isOwn = false;
  /** Another worker has accepted and counted it. */
  wasHandedOver = false;
  /** It was handed over, and no request has come on it yet. */
  isWaiting = false;
  /** Whether it could ever be handed on is known; if so it is in the set of those that can: see hand-on.ts. */
  isWeighed = false;
  /** It stays with this worker because of its last request: see pins() in transfer/moving.ts. */
  isPinned = false;
  /** The answer under way; null: none. */
  response: ServerResponse | null = null;
  begun = 0;
  weight = 0;
  /** Pipelined requests behind the first one, oldest first. */
  behind: Exchange[] | null = null;
  readonly socket: Socket;

  constructor(socket: Socket) {
    this.socket = socket;
  }
}

type Known = Socket & { [key]?: Connection };
const key = Symbol('connection');

/** @param tally counts the answers of node:http for the metrics; null: nobody does */
export function trackConnections(
  now: () => number = () => performance.now(),
  tally: Pick<RequestTally, 'answered'> | null = null,
): Connections {
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
    // Answers that were cut off get no event of their own.
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
      // HTTP/1 sends answers in the order of the requests.
      if (connection?.response !== response) return undefined;
      const { weight } = connection;
      counter.count(weight === excused ? notJudged : response.statusCode);
      const took = weight > 0 ? clock.since(connection.begun) : 0;
      if (weight > 0) counter.time(took, weight);
      tally?.answered(response, took, weight);
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
    inFlight: () => inFlight,
    renewClock: () => clock.renew(),
    bytesWritten: () => bytesOfClosed,
  };
}

/** Bytes. An app may pass any stream to a server as a connection, and not all of them count their bytes. */
export function writtenTo(socket: Socket): number {
  return Number.isFinite(socket.bytesWritten) ? socket.bytesWritten : 0;
}

/** The requests being answered on a connection, oldest first. */
export function exchangesOf(socket: Known): readonly Exchange[] {
  const { response = null, begun = 0, weight = 0, behind = null } = socket[key] ?? {};
  return response === null ? [] : [{ response, begun, weight }, ...(behind ?? [])];
}

export function isAnswering(socket: Known): boolean {
  return (socket[key]?.response ?? null) !== null;
}

/** An answer that says nothing of this worker, as another gave it: neither its status nor its time counts for the heartbeat. */
export function excuse(response: ServerResponse): void {
  const { socket } = response;
  if (socket === null) return;
  const connection = connectionOf(socket);
  if (connection.response === response) connection.weight = excused;
}

/** In place of a weight. */
const excused = -1;

/** Whether another worker answers it: this one cannot die of it. */
export function isExcused({ weight }: Exchange): boolean {
  return weight === excused;
}

const notJudged = 200;

/** The path of a request without its query; Express routers cut their own prefix off `url`. */
export function pathOf(request: IncomingMessage & { originalUrl?: string }): string {
  return withoutQuery(request.originalUrl ?? request.url ?? '');
}

/**
 * Marks a connection just before its server learns of it. We add nothing to the socket until then: sockets whose
 * properties were added in an unusual order make Node's property look-ups slower for all sockets.
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

/** Totals since the process started; see Heartbeat. */
interface AnswerCounts {
  readonly answers: number;
  readonly errors: number;
  readonly latency: readonly number[];
}

interface AnswerCounter {
  count(status: number): void;
  /** @param took from the first lines of a request to the end of its answer, ms; counts for `weight` answers */
  time(took: number, weight: number): void;
  counts(): AnswerCounts;
}

/** Counts complete answers, failed answers, and the time of those that are timed. */
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

/** This many requests between two calls of `renew()` are all timed. */
const timedSingly = 64;
/** Of the requests after them, one in this many is timed. */
const step = 8;

/**
 * Knows when requests begin. Reading the clock twice a request costs 1 to 2 percent of a small one, so under load
 * only every eighth request is timed, and stands for eight. A request that is not timed counts as begun when the
 * clock was last read: a few requests ago, and in a quiet worker no earlier than the last `renew()`.
 */
export class RequestClock {
  /** When the latest request began, ms of performance.now(). */
  begun: number;
  /** How many answers the time of this request stands for; 0: it is not timed. */
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

  /** How long a timed request has taken, ms. */
  since(begun: number): number {
    return this.#now() - begun;
  }

  /** Called with every heartbeat. */
  renew(): void {
    this.#singly = timedSingly;
    this.begun = this.#now();
  }
}
