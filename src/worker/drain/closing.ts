import { IncomingMessage, type ServerResponse } from 'node:http';
import { type AddressInfo, connect, type Server, type Socket } from 'node:net';
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises';
import { exchangesOf } from '../connections/connections.js';
import { arrival, isHttp, ours } from '../connections/follow-server.js';
import type { Servers } from '../connections/servers.js';
import { bytesBeingParsed, keepOpen, removeRequestReader } from '../node-internals/http.js';
import { setBacklog } from '../node-internals/listening.js';
import { hasConnected } from '../node-internals/sockets.js';

const headEnd = '\r\n\r\n';

/** Bytes that arrived at once on a connection, and how many requests began with them. */
interface Piece {
  readonly bytes: string;
  readonly begun: number;
}

/**
 * Makes the last answer of each connection say `Connection: close`, and no other: Node would not send the answers
 * after it, and would cut off a client that is still sending. Which answer is the last is decided when its head is
 * written.
 */
export function createLastAnswers(): (response: ServerResponse, socket: Socket) => void {
  const pieces = new WeakMap<Socket, Piece>();

  /** Promises of the app may settle while Node still parses the same bytes. */
  const count = (socket: Socket): void => {
    const bytes = bytesBeingParsed(socket).toString('latin1');
    const before = pieces.get(socket);
    const isSame = before?.bytes === bytes && before.begun < headsIn(bytes);
    pieces.set(socket, { bytes, begun: isSame ? before.begun + 1 : 1 });
  };
  const isLast = (response: ServerResponse, socket: Socket): boolean => {
    if (exchangesOf(socket).at(-1)?.response !== response) return false;
    const bytes = bytesBeingParsed(socket).toString('latin1');
    const piece = pieces.get(socket);
    return !hasMore(bytes, { begun: piece?.bytes === bytes ? piece.begun : 0, request: response.req });
  };
  return (response, socket) => {
    if (response.headersSent) return;
    count(socket);
    decideLate(response, () => {
      const last = isLast(response, socket);
      if (last) process.nextTick(() => isDecided(response) && ignoreRequests(socket));
      return last;
    });
  };
}

/** Connections whose last answer was sent: whatever is read after it is not a request. */
const over = new WeakSet<Socket>();

/** The events that node:http emits for a request. */
const arrivals: ReadonlySet<unknown> = new Set([
  'request',
  'checkContinue',
  'checkExpectation',
  'upgrade',
  'connect',
]);

/**
 * Keeps from the app the requests that a client sent after one whose answer said `Connection: close`. A server does
 * not process them (RFC 9112, section 9.6), and the client may send them again elsewhere. Node parses them
 * nevertheless if they arrive in one piece with the end of a body whose request was answered early.
 */
export function dropBehindClose(server: Server): void {
  const emit = server.emit;
  const emitUnlessOver = function (this: Server, ...event: unknown[]): boolean {
    const [name, request] = event;
    if (arrivals.has(name) && request instanceof IncomingMessage && isOver(request.socket)) return true;
    return Reflect.apply(emit, this, event);
  };
  Object.assign(server, { emit: emitUnlessOver });
}

function isOver(socket: Socket): boolean {
  return over.has(socket) || exchangesOf(socket).some(({ response }) => saysClose(response));
}

/**
 * Called when the last answer of a connection was sent, which said `Connection: close`. The connection lingers for at
 * most `limit` ms. If the client still sends its body we wait for the end first, because the app may be reading it.
 */
export function closeBehindAnswer(response: ServerResponse, limit: number): void {
  const { req } = response;
  if (!keepOpen(response)) return;
  over.add(req.socket);
  const close = (): void => closeLingering(req.socket, limit);
  if (isSending(req)) req.once('end', close);
  else close();
}

/** Whether the head with `Connection: close` is written and the request is read to its end. */
function isDecided(response: ServerResponse): boolean {
  return saysClose(response) && !isSending(response.req);
}

function saysClose(response: ServerResponse): boolean {
  return response.headersSent && !response.shouldKeepAlive;
}

function isSending({ complete, headers }: IncomingMessage): boolean {
  return !complete && hasBody(headers);
}

function hasBody(headers: IncomingMessage['headers']): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
}

/**
 * Whether more bytes came together with a request, of which we know nothing yet. In doubt yes, as with a blank line
 * in a body.
 */
function hasMore(bytes: string, { begun, request }: { begun: number; request: IncomingMessage }): boolean {
  const heads = headsIn(bytes);
  if (heads === 0) return false;
  return heads > begun || (!hasBody(request.headers) && !bytes.endsWith(headEnd));
}

function headsIn(bytes: string): number {
  return bytes.split(headEnd).length - 1;
}

/** Node reads `shouldKeepAlive` when it writes the head; changes after that have no effect. */
function decideLate(response: ServerResponse, isLast: () => boolean): void {
  let keeps = response.shouldKeepAlive;
  let seen = keeps;
  Object.defineProperty(response, 'shouldKeepAlive', {
    configurable: true,
    enumerable: true,
    get: () => {
      if (!response.headersSent) seen = keeps && !isLast();
      return seen;
    },
    set: (value: boolean) => {
      keeps = value;
    },
  });
}

/** Connections on which nothing more is read as a request, and those that wait for the client to close. */
const deaf = new WeakSet<Socket>();
const lingering = new WeakSet<Socket>();

export function isLingering(socket: Socket): boolean {
  return lingering.has(socket);
}

/** Connections from which this worker does not read for a while. */
export interface Held {
  /** Resolves once no new connection has come for a moment and no request is in flight, or after too long. */
  quiet(): Promise<void>;
  /** Resolves right after a check that found the kernel's queue empty: the caller closes the socket at once. */
  empty(): Promise<void>;
  release(): void;
}

/** How long a moment without a new connection is, and how long to wait for one at most, ms. */
const moment = 8;
export const longestHold = 400;
/**
 * Looks that are made in any case. A machine that is busy makes few in that time, and a socket that is closed too early
 * resets clients.
 */
const fewestMoments = longestHold / moment;
const fewestTurns = 500;
const fewestFills = 10;

/**
 * When the last process closes a listening socket, the kernel resets the connections in its queue: requests that the
 * service had not refused. Clients that connect again after each answer keep that queue filled. So, just before the
 * end, this worker stops reading. It answers the requests that it has read, and accepts new connections without
 * reading from them, until no more come. Once the socket is closed in all processes it reads and answers the rest,
 * and the kernel refuses the next connection.
 *
 * The master has closed its copies before (master/listen-sockets.ts): a worker closes last.
 *
 * @param until when it stops waiting in any case, however few looks there were: a point of `performance.now()`
 */
export function holdConnections(
  { all, counts }: Pick<Servers, 'all' | 'counts'>,
  until: number = Number.POSITIVE_INFINITY,
): Held {
  // Apps of other protocols may use pause() themselves.
  const tracked = all.filter(({ server }) => server.listening && isHttp(server));
  const held = new Set<Socket>();
  let came = 0;
  const holdNewcomer = (socket: Socket): void => {
    came++;
    held.add(socket);
    // At the next tick, because node:http resumes it then.
    process.nextTick(() => socket.pause());
  };
  for (const { server, sockets, upgraded } of tracked) {
    server.on(arrival(server), holdNewcomer);
    for (const socket of sockets) if (!upgraded.has(socket)) held.add(socket.pause());
  }
  return {
    quiet: async () => {
      const goesOn = createPatience({ looks: fewestMoments, limit: longestHold, until });
      const isMoving = (before: number): boolean => came > before || counts().inFlight > 0;
      for (let before = -1; isMoving(before) && goesOn(); ) {
        before = came;
        await sleep(moment);
        // In a process that got no CPU the timer fires before the waiting connections are accepted: give it one more
        // turn.
        await turn();
      }
    },
    empty: async () => {
      // libuv accepts one connection in each turn of the event loop.
      const goesOn = createPatience({ looks: fewestTurns, limit: longestHold, until });
      for (let before = -1; before !== counts().accepted && goesOn(); ) {
        before = counts().accepted;
        await turn();
      }
    },
    release: () => {
      for (const { server } of tracked) server.removeListener(arrival(server), holdNewcomer);
      for (const socket of held) socket.resume();
    },
  };
}

interface Patience {
  /** Looks that are made in any case, and until when there are more, ms from now. */
  readonly looks: number;
  readonly limit: number;
  readonly until: number;
}

/** Says before each look whether there is to be one. */
function createPatience({ looks, limit, until }: Patience): () => boolean {
  const deadline = performance.now() + limit;
  let left = looks;
  return () => {
    const now = performance.now();
    return now < until && (left-- > 0 || now < deadline);
  };
}

interface LastClose {
  /** Resolves once no connection waits in the kernel's queue, as far as the worker can see. */
  readonly empty: () => Promise<void>;
  readonly close: (server: Server) => void;
  /** After so long, and a few attempts, the socket is closed even if the queue may not be empty, ms. */
  readonly limit: number;
  /** As in holdConnections(). */
  readonly until?: number;
}

/** The shortest backlog; the kernel takes one connection more (listen(2), `sk_acceptq_is_full` of Linux). */
const smallest = 1;

/**
 * Closes a listening socket for the last time without resetting a client. A client may connect between a check of the
 * queue and the close, however short that time is. So we make the queue as short as possible and fill it with
 * connections of our own. If all of them are complete, no other connection is in the queue, and there is no room for
 * a new one: the kernel drops a client's SYN, and a second later the client tries again and is refused, or reaches
 * the next service that listens there.
 *
 * This works for TCP on Linux, on a socket that ends with its process. A client whose handshake is under way is reset
 * nevertheless: over a network, any that began within the last round trip.
 */
export async function closeFull(
  server: Server,
  { empty, close, limit, until = Number.POSITIVE_INFINITY }: LastClose,
): Promise<void> {
  const goesOn = createPatience({ looks: fewestFills, limit, until });
  while (goesOn()) {
    await empty();
    // From here to the close no other code runs.
    if (!setBacklog(server, smallest)) break;
    const fillers = await fill(server);
    const isFull = fillers.every(hasConnected);
    if (isFull) close(server);
    for (const filler of fillers) filler.destroy();
    if (isFull) return;
  }
  close(server);
}

/**
 * Reads and drops what the client sends from now on. The client was told `Connection: close`, so it knows that what
 * it sent after that request was not processed (RFC 9112, section 9.6). False where this version of Node reads
 * requests in another way.
 */
function ignoreRequests(socket: Socket): boolean {
  if (deaf.has(socket)) return true;
  if (!removeRequestReader(socket, 'data')) return false;
  deaf.add(socket);
  // A listener for data makes Node's parser let go of the connection.
  socket.on('data', drop);
  return true;
}

/**
 * Closes a connection after its last answer. Closing it while the client still sends resets it, and the client may
 * lose that answer. So we close our half, and drop what still comes until the client closes its half, or until
 * `limit` ms are over (RFC 9112, section 9.6).
 */
function closeLingering(socket: Socket, limit: number): void {
  if (socket.destroyed || lingering.has(socket)) return;
  if (limit === 0 || !ignoreRequests(socket)) return socket.destroySoon();
  lingering.add(socket);
  removeRequestReader(socket, 'end');
  const timer = setTimeout(() => socket.destroy(), limit);
  socket.once('close', () => clearTimeout(timer));
  socket.once('end', () => socket.destroy());
  socket.end();
  socket.resume();
}

const drop = ours(() => {});

/** Node begins to connect to an address at the next tick, within the same turn of the event loop. */
async function fill(server: Server): Promise<Socket[]> {
  const { address, port } = server.address() as AddressInfo;
  const host = anywhere[address] ?? address;
  const fillers = Array.from({ length: smallest + 1 }, () => connect({ host, port }).on('error', () => {}));
  await new Promise<void>((resolve) => process.nextTick(resolve));
  return fillers;
}

const anywhere: Readonly<Record<string, string>> = { '0.0.0.0': '127.0.0.1', '::': '::1' };
