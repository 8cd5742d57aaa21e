import { subscribe } from 'node:diagnostics_channel';
import { errorMonitor } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo, Server, Socket } from 'node:net';
import { type AnswerCounts, createAnswerCounter } from './answer-counter.js';
import { followServer, isTls, type TrackedServer } from './follow-server.js';

export type { TrackedServer } from './follow-server.js';

/** Every server of this process with its requests, found without touching the app (diagnostics_channel). */
export interface Servers {
  readonly all: readonly TrackedServer[];
  /** Responses under way with their connections, oldest first for each: one that is pipelined has no socket yet. */
  underWay(): readonly (readonly [ServerResponse, Socket])[];
  counts(): Counts;
  bytesWritten(): number;
  listening(): readonly Server[];
  /** Listeners that are being opened: the answer of the master is on its way. */
  pending(): number;
  /** Why the latest `listen()` failed, which an app may have kept to itself; null where none has. */
  listenError(): Error | null;
}

/** Those without a remark are totals since the start of the process. */
export interface Counts extends AnswerCounts {
  readonly requests: number;
  readonly accepted: number;
  /** Now. */
  readonly inFlight: number;
  readonly connections: number;
}

/** Servers of our own, which are none of the app's. */
export const untracked = new WeakSet<Server>();

export interface ServerEvents {
  /** Before a server listens: the options may still be changed. */
  onListen(server: Server, options: ListenOptions): void;
  onListening(server: Server): void;
  onRequest(response: ServerResponse, socket: Socket): void;
  onResponseClosed(response: ServerResponse): void;
  /** A connection left HTTP. */
  onUpgraded(socket: Socket): void;
}

/** What `server.listen()` works with; the diagnostics channel hands out the very object. */
export interface ListenOptions {
  port?: number | string | null;
  host?: string;
  path?: string;
  fd?: number;
  exclusive?: boolean;
  reusePort?: boolean;
}

interface RequestStart {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly socket: Socket;
  readonly server: Server;
}

export function trackServers(events: Partial<ServerEvents>): Servers {
  const known = new WeakSet<Server>();
  const tracked = new Set<TrackedServer>();
  const opening = new Set<Server>();
  let listenError: Error | null = null;
  let latest: Server | null = null;
  let requests = 0;
  let streams = 0;
  let answers = 0;
  const connections = openConnections(() => all());
  const counter = createAnswerCounter();

  const finish = (socket: Busy, response: ServerResponse): void => {
    const own = socket[answering];
    const place = own?.indexOf(response) ?? -1;
    if (place === -1) return;
    // All but always there is one.
    if (own?.length === 1) own.pop();
    else own?.splice(place, 1);
    answers--;
    events.onResponseClosed?.(response);
  };
  const onResponseClose = function (this: ServerResponse): void {
    counter.end(this);
    finish(this.req.socket, this);
  };
  // A pipelined response that waits for its turn never says 'close' when the client goes: its connection does.
  const onSocketClose = function (this: Busy): void {
    for (const response of [...(this[answering] ?? [])]) finish(this, response);
  };
  const begin = (socket: Busy, response: ServerResponse): void => {
    answers++;
    if (socket[answering] !== undefined) return void socket[answering].push(response);
    socket[answering] = [response];
    socket.on('close', onSocketClose);
  };
  const track = (server: Server): void => {
    if (known.has(server)) return;
    known.add(server);
    const entry = followServer(server, {
      onStream: (stream) => {
        requests++;
        streams++;
        stream.once('close', () => streams--);
      },
      onAccepted: connections.add,
      onClosed: connections.delete,
      onUpgraded: (socket) => events.onUpgraded?.(socket),
    });
    tracked.add(entry);
    server.on('listening', () => tracked.add(entry));
    server.on('close', () => tracked.delete(entry));
    // Of a failure in the cluster the diagnostics channel does not tell.
    (server as NodeJS.EventEmitter).on(errorMonitor, (error: Error) => {
      if (opening.delete(server)) listenError = error;
    });
  };

  onListenCalls({
    start: ({ server, options }) => {
      if (untracked.has(server)) return;
      track(server);
      opening.add(server);
      events.onListen?.(server, options);
    },
    end: ({ server }) => {
      if (untracked.has(server)) return;
      opening.delete(server);
      events.onListening?.(server);
    },
  });

  subscribe('http.server.request.start', (message) => {
    const { response, socket, server } = message as RequestStart;
    // A server that never listens can still be given connections by another.
    if (server !== latest) track(server);
    latest = server;
    requests++;
    counter.begin(response);
    begin(socket, response);
    response.on('close', onResponseClose);
    events.onRequest?.(response, socket);
  });

  const all = () => [...tracked];
  return {
    get all() {
      return all();
    },
    underWay: () => all().flatMap(({ sockets }) => [...sockets].flatMap(answersOf)),
    counts: () => ({
      requests,
      inFlight: answers + streams,
      ...connections.counts(),
      ...counter.counts(),
    }),
    bytesWritten: connections.bytesWritten,
    listening: () => all().flatMap(({ server }) => (server.listening ? [server] : [])),
    pending: () => opening.size,
    listenError: () => listenError,
  };
}

interface OpenConnections {
  add(socket: Socket): void;
  delete(socket: Socket): void;
  counts(): { readonly accepted: number; readonly connections: number };
  /** Those that are closed count too. */
  bytesWritten(): number;
}

/** Each connection once, also where one server hands its connections to another. */
function openConnections(all: () => readonly TrackedServer[]): OpenConnections {
  let accepted = 0;
  let connections = 0;
  let bytesOfClosed = 0;
  return {
    add: (socket: Counted) => {
      if (socket[isOpen] === true) return;
      socket[isOpen] = true;
      if (socket[handedOver] !== true) accepted++;
      connections++;
    },
    delete: (socket: Counted) => {
      if (socket[isOpen] !== true) return;
      socket[isOpen] = false;
      connections--;
      bytesOfClosed += socket.bytesWritten;
    },
    counts: () => ({ accepted, connections }),
    bytesWritten: () => {
      const open = new Set(all().flatMap((entry) => [...entry.accepted]));
      return [...open].reduce((sum, socket) => sum + socket.bytesWritten, bytesOfClosed);
    },
  };
}

type Counted = Socket & { [isOpen]?: boolean; [handedOver]?: boolean };
const isOpen = Symbol('open');
/** On a connection that another worker has accepted, and counted. */
export const handedOver: unique symbol = Symbol('handed over');

/** Whether a response is under way on this connection. */
export function isAnswering(socket: Socket): boolean {
  return ((socket as Busy)[answering]?.length ?? 0) > 0;
}

function answersOf(socket: Busy): (readonly [ServerResponse, Socket])[] {
  return (socket[answering] ?? []).map((response) => [response, socket] as const);
}

type Busy = Socket & { [answering]?: ServerResponse[] };

/** The responses of a connection that are under way, oldest first: more than one are pipelined. */
const answering = Symbol('answering');

/** Where a server listens, as a person would type it. `answers`: the server that gets its connections, if another. */
export function urlOf(server: Server, answers: Server = server): string {
  const address = server.address() as AddressInfo | string | null;
  if (address === null || typeof address === 'string') return address ?? 'nowhere';
  const anywhere = address.address === '::' || address.address === '0.0.0.0';
  const host = anywhere ? 'localhost' : address.family === 'IPv6' ? `[${address.address}]` : address.address;
  return `${schemeOf(answers)}://${host}:${address.port}`;
}

function schemeOf(server: Server): string {
  // Every kind of HTTP server has one of the two, HTTP/2 over plain text the second alone.
  const isHttp = 'requestTimeout' in server || 'updateSettings' in server;
  if (isTls(server)) return isHttp ? 'https' : 'tls';
  return isHttp ? 'http' : 'tcp';
}

interface ListenCall {
  readonly server: Server;
  readonly options: ListenOptions;
}

function onListenCalls(handlers: {
  start(call: ListenCall): void;
  end(call: Pick<ListenCall, 'server'>): void;
}): void {
  subscribe('tracing:net.server.listen:asyncStart', (call) => handlers.start(call as ListenCall));
  subscribe('tracing:net.server.listen:asyncEnd', (call) => handlers.end(call as ListenCall));
}
