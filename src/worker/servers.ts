import { subscribe } from 'node:diagnostics_channel';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Http2Session } from 'node:http2';
import type { AddressInfo, Server, Socket } from 'node:net';

/** A server that the app started, and its connections. */
export interface TrackedServer {
  readonly server: Server;
  readonly sockets: Set<Socket>;
  readonly sessions: Set<Http2Session>;
  /** Sockets that left HTTP, with the protocol they were upgraded to, in lower case. */
  readonly upgraded: Map<Socket, string>;
}

/** Every server of this process with its requests, found without touching the app (diagnostics_channel). */
export interface Servers {
  readonly all: readonly TrackedServer[];
  /** Responses under way, oldest first. */
  readonly responses: ReadonlySet<ServerResponse>;
  counts(): { readonly requests: number; readonly inFlight: number; readonly connections: number };
  bytesWritten(): number;
  listening(): readonly Server[];
  /** Listeners that are being opened: the answer of the master is on its way. */
  pending(): number;
}

export interface ServerEvents {
  /** Before a server listens: the options may still be changed. */
  onListen(server: Server, options: ListenOptions): void;
  onListening(server: Server): void;
  onRequest(response: ServerResponse, socket: Socket): void;
  onResponseClosed(response: ServerResponse): void;
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
  const tracked = new Map<Server, TrackedServer>();
  const opening = new Set<Server>();
  const responses = new Set<ServerResponse>();
  let requests = 0;
  let streams = 0;
  let bytesOfClosed = 0;

  const onResponseClose = function (this: ServerResponse): void {
    responses.delete(this);
    events.onResponseClosed?.(this);
  };
  const track = (server: Server): void => {
    if (tracked.has(server)) return;
    const entry = follow(server, {
      onStream: (stream) => {
        requests++;
        streams++;
        stream.once('close', () => streams--);
      },
      onSocketClosed: (socket) => {
        bytesOfClosed += socket.bytesWritten;
      },
    });
    tracked.set(server, entry);
  };

  onListenCalls({
    start: ({ server, options }) => {
      track(server);
      opening.add(server);
      events.onListen?.(server, options);
    },
    end: ({ server }) => {
      opening.delete(server);
      events.onListening?.(server);
    },
    error: ({ server }) => void opening.delete(server),
  });

  subscribe('http.server.request.start', (message) => {
    const { response, socket, server } = message as RequestStart;
    // A server that never listens can still be given connections by another.
    if (!tracked.has(server)) track(server);
    requests++;
    responses.add(response);
    response.on('close', onResponseClose);
    events.onRequest?.(response, socket);
  });

  const all = () => [...tracked.values()];
  return {
    get all() {
      return all();
    },
    responses,
    counts: () => ({
      requests,
      inFlight: responses.size + streams,
      connections: all().reduce((sum, { sockets }) => sum + sockets.size, 0),
    }),
    bytesWritten: () =>
      bytesOfClosed + sum(all().flatMap(({ sockets }) => [...sockets].map((socket) => socket.bytesWritten))),
    listening: () => all().flatMap(({ server }) => (server.listening ? [server] : [])),
    pending: () => opening.size,
  };
}

/** Where a server listens, as a person would type it. */
export function urlOf(server: Server): string {
  const address = server.address() as AddressInfo | string | null;
  if (address === null || typeof address === 'string') return address ?? 'nowhere';
  const scheme = 'setSecureContext' in server ? 'https' : 'requestTimeout' in server ? 'http' : 'tcp';
  const anywhere = address.address === '::' || address.address === '0.0.0.0';
  const host = anywhere ? 'localhost' : address.family === 'IPv6' ? `[${address.address}]` : address.address;
  return `${scheme}://${host}:${address.port}`;
}

interface Follower {
  onStream(stream: NodeJS.EventEmitter): void;
  onSocketClosed(socket: Socket): void;
}

function follow(server: Server, { onStream, onSocketClosed }: Follower): TrackedServer {
  const entry: TrackedServer = { server, sockets: new Set(), sessions: new Set(), upgraded: new Map() };
  const forget = function (this: Socket): void {
    entry.sockets.delete(this);
    entry.upgraded.delete(this);
    onSocketClosed(this);
  };
  // Behind TLS the app, its requests and its upgrades know the decrypted socket only.
  server.on('setSecureContext' in server ? 'secureConnection' : 'connection', (socket: Socket) => {
    entry.sockets.add(socket);
    socket.on('close', forget);
  });
  server.on('session', (session: Http2Session) => {
    entry.sessions.add(session);
    session.once('close', () => entry.sessions.delete(session));
    session.on('stream', onStream);
  });
  followUpgrades(server, entry);
  return entry;
}

/** A listener for `upgrade` makes Node hand out upgrades at all, so that ours waits until the app has one. */
function followUpgrades(server: Server, { upgraded }: TrackedServer): void {
  for (const event of ['upgrade', 'connect']) {
    const note = (request: IncomingMessage, socket: Socket): void => {
      upgraded.set(socket, (request.headers.upgrade ?? event).toLowerCase());
    };
    if (server.listenerCount(event) > 0) server.on(event, note);
    else addAfterFirst(server, event, note);
  }
}

function addAfterFirst(
  server: Server,
  event: string,
  note: (request: IncomingMessage, socket: Socket) => void,
): void {
  const watch = (name: string): void => {
    if (name !== event) return;
    server.removeListener('newListener', watch);
    server.on(event, note);
  };
  server.on('newListener', watch);
}

interface ListenCall {
  readonly server: Server;
  readonly options: ListenOptions;
}

function onListenCalls(handlers: {
  start(call: ListenCall): void;
  end(call: Pick<ListenCall, 'server'>): void;
  error(call: Pick<ListenCall, 'server'>): void;
}): void {
  subscribe('tracing:net.server.listen:asyncStart', (call) => handlers.start(call as ListenCall));
  subscribe('tracing:net.server.listen:asyncEnd', (call) => handlers.end(call as ListenCall));
  subscribe('tracing:net.server.listen:error', (call) => handlers.error(call as ListenCall));
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
