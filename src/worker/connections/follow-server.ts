import type { Server as HttpServer, IncomingMessage } from 'node:http';
import type { Http2Session, IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import type { Server, Socket } from 'node:net';
import { followWebSocket, type WebSocketEnd } from './websocket.js';

/** A server that the app started, and its connections. */
export interface TrackedServer {
  readonly server: Server;
  /** Connections as the kernel knows them; with TLS, also before their handshake. */
  readonly accepted: SocketList;
  /** Connections as the app knows them: with TLS the decrypted sockets, else the same list. */
  readonly sockets: SocketList;
  /** HTTP/2 sessions, with the number of their open streams. */
  readonly sessions: Map<Http2Session, number>;
  /** Sockets that were upgraded from HTTP. */
  readonly upgraded: Map<Socket, Upgrade>;
}

export interface Upgrade {
  /** The protocol, in lower case, such as `websocket`. */
  readonly protocol: string;
  /** Set for a WebSocket. */
  readonly end: WebSocketEnd | null;
}

export interface Follower {
  onStream(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void;
  /** A connection, as in `accepted`. */
  onAccepted(socket: Socket): void;
  onClosed(socket: Socket): void;
  /** A connection was upgraded from HTTP. */
  onUpgraded(socket: Socket, request?: IncomingMessage): void;
}

/** Keeps track of a server's connections from now on. */
export function followServer(
  server: Server,
  { onStream, onAccepted, onClosed, onUpgraded }: Follower,
): TrackedServer {
  const accepted = new SocketList();
  // With TLS the app, its requests and its upgrades know the decrypted socket only.
  const sockets = isTls(server) ? new SocketList() : accepted;
  const entry: TrackedServer = { server, accepted, sockets, sessions: new Map(), upgraded: new Map() };
  const { upgraded } = entry;
  const forget = ours(function (this: Socket): void {
    accepted.delete(this);
    if (upgraded.size > 0) upgraded.delete(this);
    onClosed(this);
  });
  const note = ours((socket: Socket): void => {
    if (!accepted.add(socket)) return;
    onAccepted(socket);
    socket.on('close', forget);
  });
  server.on('connection', note);
  if (sockets !== accepted) followDecrypted(entry);
  server.on('session', (session: Http2Session) => {
    const { sessions } = entry;
    sessions.set(session, 0);
    session.once('close', () => sessions.delete(session));
    const change = (by: number): void => {
      const open = sessions.get(session);
      if (open !== undefined) sessions.set(session, open + by);
    };
    session.on('stream', (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
      change(1);
      stream.once('close', () => change(-1));
      onStream(stream, headers);
    });
  });
  for (const event of ['upgrade', 'connect']) followUpgrades(event, { entry, onUpgraded });
  return entry;
}

function followDecrypted({ server, sockets, upgraded }: TrackedServer): void {
  server.on(arrival(server), (socket: Socket) => {
    sockets.add(socket);
    socket.on('close', () => {
      sockets.delete(socket);
      upgraded.delete(socket);
    });
  });
}

/** Node offers upgrades only where there is a listener for `upgrade`, so ours is there only while the app has one. */
function followUpgrades(
  event: string,
  { entry: { server, upgraded }, onUpgraded }: { entry: TrackedServer; onUpgraded: Follower['onUpgraded'] },
): void {
  const note = (request: IncomingMessage, socket: Socket): void => {
    const protocol = (request.headers.upgrade ?? event).toLowerCase();
    upgraded.set(socket, { protocol, end: protocol === 'websocket' ? followWebSocket(socket) : null });
    onUpgraded(socket, request);
  };
  const isOn = (): boolean => server.listeners(event).includes(note);
  if (server.listenerCount(event) > 0) server.prependListener(event, note);
  server.on('newListener', (name: string, listener: unknown) => {
    if (name === event && listener !== note && !isOn()) server.prependListener(event, note);
  });
  server.on('removeListener', (name: string) => {
    if (name === event && server.listenerCount(event) === 1 && isOn()) server.removeListener(event, note);
  });
}

/** The event with which a server announces a connection as the app knows it. */
export function arrival(server: Server): string {
  return isTls(server) ? 'secureConnection' : 'connection';
}

/** HTTP/1, of whose connections Node tells which are idle. */
export function isHttp(server: Server): server is HttpServer {
  return 'closeIdleConnections' in server;
}

/** HTTP servers of every kind have one of the two properties; HTTP/2 without TLS has only the second. */
export function isAnyHttp(server: Server): boolean {
  return 'requestTimeout' in server || 'updateSettings' in server;
}

export function isTls(server: Server): boolean {
  return 'setSecureContext' in server;
}

const own = new WeakSet<object>();

/** Marks a listener of ours on the app's servers and connections, so that we do not mistake it for one of the app's. */
export function ours<Listener extends object>(listener: Listener): Listener {
  own.add(listener);
  return listener;
}

export function isOurs(listener: object): boolean {
  return own.has(listener);
}

type Slotted = Socket & { [slot: symbol]: number | undefined };

/**
 * Sockets in no order. A Set that is filled and emptied all the time leaves tables behind that keep closed sockets
 * out of young collections: measured with a connection per request, V8 promotes five times the bytes.
 */
export class SocketList implements Iterable<Socket> {
  readonly #sockets: Slotted[] = [];
  /** Where the socket is in this list; a socket may be in several lists. */
  readonly #slot = Symbol('slot');

  get size(): number {
    return this.#sockets.length;
  }

  /** False where the socket is in the list already. */
  add(socket: Socket): boolean {
    const slotted = socket as Slotted;
    if (slotted[this.#slot] !== undefined) return false;
    slotted[this.#slot] = this.#sockets.length;
    this.#sockets.push(slotted);
    return true;
  }

  delete(socket: Socket): boolean {
    const slotted = socket as Slotted;
    const slot = slotted[this.#slot];
    const last = this.#sockets.at(-1);
    if (slot === undefined || last === undefined) return false;
    this.#sockets[slot] = last;
    last[this.#slot] = slot;
    this.#sockets.pop();
    slotted[this.#slot] = undefined;
    return true;
  }

  /** The sockets that are in the list now: it may change during the iteration. */
  [Symbol.iterator](): Iterator<Socket> {
    return this.#sockets.slice().values();
  }
}
