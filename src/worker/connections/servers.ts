import { subscribe } from 'node:diagnostics_channel';
import { errorMonitor } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo, ListenOptions as NetListenOptions, Server, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { RequestTally } from '../../metrics/tally.js';
import type { RequestNote } from '../../protocol/requests.js';
import { isAccepting } from '../node-internals/listening.js';
import {
  type Connection,
  type ConnectionCounts,
  type Exchange,
  exchangesOf,
  isExcused,
  pathOf,
  trackConnections,
  writtenTo,
} from './connections.js';
import { asNote, newestAndOldest, redacted, type TellPath, trackStreams } from './current-requests.js';
import { followServer, isAnyHttp, isTls, type TrackedServer } from './follow-server.js';

export type { TrackedServer } from './follow-server.js';

/**
 * Every server of this process and its requests. It finds them through diagnostics_channel, and changes nothing in
 * the app.
 */
export interface Servers {
  /** Adds an observer. */
  observe(events: Partial<ServerEvents>): void;
  readonly all: readonly TrackedServer[];
  /**
   * Responses under way with their connections, oldest first for each. The response to a pipelined request has no
   * socket yet.
   */
  underWay(): readonly UnderWay[];
  /** Some of the requests in flight: see Heartbeat. */
  current(): readonly RequestNote[];
  /** Some of the requests that began since the last call: see Heartbeat. */
  begun(): readonly Pick<RequestNote, 'method' | 'path'>[];
  counts(): ConnectionCounts;
  /** Requests at this moment: `counts()` without the rest. */
  inFlight(): number;
  /** Called with every heartbeat: see RequestClock. */
  renewClock(): void;
  bytesWritten(): number;
  /** Servers whose listening sockets are open: a drain closes the sockets before the app closes its servers. */
  listening(): readonly Server[];
  /** How many listeners are being opened: the worker has asked the master and has no answer yet. */
  pending(): number;
  /** Why the latest `listen()` failed, which the app may not report; null where none has failed. */
  listenError(): Error | null;
}

export interface UnderWay extends Exchange {
  readonly socket: Socket;
}

/** At most so many of the requests between two heartbeats are told. */
const mostBegun = 4;

/** Servers of our own: they do not count as the app's. */
export const untracked = new WeakSet<Server>();

export interface ServerEvents {
  /** A server is about to listen. `options` is the app's own object. */
  onListen(server: Server, options: Readonly<ListenOptions>): void;
  onListening(server: Server): void;
  /** `count` listeners are being opened now. */
  onPending(count: number): void;
  /** A connection was accepted, number `newest`; `open` are open. */
  onAccepted(open: number, newest: number): void;
  onRequest(response: ServerResponse, connection: Connection): void;
  /** The answer was sent completely. */
  onAnswered(response: ServerResponse, connection: Connection): void;
  /** A connection was upgraded from HTTP. */
  onUpgraded(socket: Socket, request?: IncomingMessage): void;
  /** Without it only the route is told. */
  tellPath: TellPath;
}

/** The options that `server.listen()` uses; the diagnostics channel hands out this very object. */
export interface ListenOptions {
  port?: number | string | null;
  host?: string;
  path?: string;
  fd?: number;
}

interface Exchanged {
  readonly response: ServerResponse;
  readonly socket: Socket;
  readonly server: Server;
}

/** @param tally see trackConnections */
export function trackServers(first: Partial<ServerEvents>, tally: RequestTally | null = null): Servers {
  let events = first;
  const known = new WeakSet<Server>();
  const tracked = new Set<TrackedServer>();
  const opening = new Set<Server>();
  const connections = trackConnections(undefined, tally);
  const streams = trackStreams((status, took, note) => {
    connections.count(status, took);
    tally?.counted(note, status, took);
  });
  let begun: IncomingMessage[] = [];
  let listenError: Error | null = null;
  let latest: Server | null = null;

  const settled = (server: Server): boolean => {
    if (!opening.delete(server)) return false;
    events.onPending?.(opening.size);
    return true;
  };
  const track = (server: Server): void => {
    if (known.has(server)) return;
    known.add(server);
    const entry = followServer(server, {
      onStream: streams.begun,
      onAccepted: (socket) => {
        const newest = connections.opened(socket);
        events.onAccepted?.(connections.open(), newest);
      },
      onClosed: connections.closed,
      onUpgraded: (socket, request) => events.onUpgraded?.(socket, request),
    });
    tracked.add(entry);
    server.on('listening', () => tracked.add(entry));
    server.on('close', () => {
      tracked.delete(entry);
      // The server was closed before the master answered.
      settled(server);
    });
    // The diagnostics channel does not report failures in a cluster.
    (server as NodeJS.EventEmitter).on(errorMonitor, (error: Error) => {
      if (settled(server)) listenError = error;
    });
  };

  onListenCalls({
    start: ({ server, options }) => {
      if (untracked.has(server)) return;
      track(server);
      opening.add(server);
      events.onListen?.(server, options);
      events.onPending?.(opening.size);
    },
    end: ({ server }) => {
      if (untracked.has(server)) return;
      settled(server);
      events.onListening?.(server);
    },
  });
  subscribe('http.server.request.start', (message) => {
    const { response, socket, server } = message as Exchanged;
    // Another server can pass connections to a server that never listens.
    if (server !== latest) track(server);
    latest = server;
    const connection = connections.begun(socket, response);
    if (connection.weight > 0 && begun.length < mostBegun && !connection.isOwn) begun.push(response.req);
    events.onRequest?.(response, connection);
  });
  // Cheaper than a listener for the end of each response; a response that was cut off ends with its connection.
  subscribe('http.server.response.finish', (message) => {
    const { response, socket } = message as Exchanged;
    const connection = connections.answered(socket, response);
    if (connection !== undefined) events.onAnswered?.(response, connection);
  });

  const all = () => [...tracked];
  const underWay = () => [...socketsOf(all())].flatMap(exchanges);
  return {
    observe: (more) => {
      events = { ...events, ...more };
    },
    get all() {
      return all();
    },
    underWay,
    current: () => {
      const own = underWay().filter((exchange) => !isExcused(exchange));
      return newestAndOldest([...own.map(asNote), ...streams.current()], events);
    },
    begun: () => {
      const some = begun;
      begun = [];
      const tell = events.tellPath ?? redacted;
      return some.map((request) => ({ method: request.method ?? '', path: tell(pathOf(request)) }));
    },
    counts: () => {
      const { requests, inFlight, ...counts } = connections.counts();
      return {
        ...counts,
        requests: requests + streams.requests(),
        inFlight: inFlight + streams.inFlight(),
      };
    },
    inFlight: () => connections.inFlight() + streams.inFlight(),
    renewClock: connections.renewClock,
    bytesWritten: () => {
      const open = new Set(all().flatMap(({ accepted }) => [...accepted]));
      return [...open].reduce((sum, socket) => sum + writtenTo(socket), connections.bytesWritten());
    },
    listening: () => all().flatMap(({ server }) => (isAccepting(server) ? [server] : [])),
    pending: () => opening.size,
    listenError: () => listenError,
  };
}

/** Each connection once, also where one server hands its connections to another. */
function socketsOf(tracked: readonly TrackedServer[]): Set<Socket> {
  return new Set(tracked.flatMap(({ sockets }) => [...sockets]));
}

function exchanges(socket: Socket): UnderWay[] {
  return exchangesOf(socket).map((exchange) => ({ ...exchange, socket }));
}

/** Where a server listens, as a person would type it. `answers`: the server that gets its connections, if another. */
export function urlOf(server: Server, answers: Server = server): string {
  const address = server.address() as AddressInfo | string | null;
  if (address === null || typeof address === 'string') return address ?? 'nowhere';
  const anywhere = address.address === '::' || address.address === '0.0.0.0';
  const host = anywhere ? 'localhost' : address.family === 'IPv6' ? `[${address.address}]` : address.address;
  return `${schemeOf(answers)}://${host}:${address.port}`;
}

/** Where to connect to, as net.connect() takes it. */
export type Where = { readonly host: string; readonly port: number } | { readonly path: string };

/**
 * Makes a server of ours listen for this process alone. It listens on loopback, because an app's listeners of
 * 'connection' expect a client with an address; on a unix socket where the service may not use the network.
 *
 * @throws the system's error where neither can be opened
 */
export async function listenForOurselves(server: Server): Promise<Where> {
  for (const host of ['127.0.0.1', '::1']) {
    try {
      await open(server, { port: 0, host });
      return { host, port: (server.address() as AddressInfo).port };
    } catch {}
  }
  const path = unixPath();
  await open(server, { path });
  return { path };
}

function schemeOf(server: Server): string {
  const isHttp = isAnyHttp(server);
  if (isTls(server)) return isHttp ? 'https' : 'tls';
  return isHttp ? 'http' : 'tcp';
}

interface ListenCall {
  readonly server: Server;
  readonly options: Readonly<ListenOptions>;
}

function onListenCalls(handlers: {
  start(call: ListenCall): void;
  end(call: Pick<ListenCall, 'server'>): void;
}): void {
  subscribe('tracing:net.server.listen:asyncStart', (call) => handlers.start(call as ListenCall));
  subscribe('tracing:net.server.listen:asyncEnd', (call) => handlers.end(call as ListenCall));
}

/** `exclusive`: the listener belongs to this process and not to the cluster. */
function open(server: Server, options: NetListenOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ ...options, exclusive: true }, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

/** On Linux an abstract name, which is no file (unix(7)). */
function unixPath(): string {
  const name = `rom-agent-${process.pid.toString(36)}-${Math.random().toString(36).slice(2)}`;
  return process.platform === 'linux' ? `\0${name}` : join(tmpdir(), name.slice(0, 20));
}
