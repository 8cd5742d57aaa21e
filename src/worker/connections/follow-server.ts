import type { Server as HttpServer, IncomingMessage } from 'node:http';
import type { Http2Session, IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import type { Server, Socket } from 'node:net';
import { followWebSocket, type WebSocketEnd } from './websocket.js';

/** A server that the app started, and its connections. */
export interface TrackedServer {
  readonly server: Server;
  /** Connections as the kernel knows them; behind TLS they are here before their handshake. */
  readonly accepted: SocketList;
  /** Connections as the app knows them: behind TLS the decrypted ones, else the same list. */
  readonly sockets: SocketList;
  /** Sessions of HTTP/2, with how many streams are open. */
  readonly sessions: Map<Http2Session, number>;
  /** Sockets that left HTTP. */
  readonly upgraded: Map<Socket, Upgrade>;
}

export interface Upgrade {
  /** In lower case, such as `websocket`. */
  readonly protocol: string;
  /** Of a WebSocket. */
  readonly end: WebSocketEnd | null;
}

export interface Follower {
  onStream(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void;
  /** A connection, as in `accepted`. */
  onAccepted(socket: Socket): void;
  onClosed(socket: Socket): void;
  /** It left HTTP. */
  onUpgraded(socket: Socket): void;
}

/** Notes the connections of a server from now on. */
export function followServer(
  server: Server,
  { onStream, onAccepted, onClosed, onUpgraded }: Follower,
): TrackedServer {
  const accepted = new SocketList();
  // Behind TLS the app, its requests and its upgrades know the decrypted socket only.
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

/** A listener for `upgrade` makes Node hand out upgrades at all, so that ours is there only while the app has one. */
function followUpgrades(
  event: string,
  { entry: { server, upgraded }, onUpgraded }: { entry: TrackedServer; onUpgraded: Follower['onUpgraded'] },
): void {
  const note = (request: IncomingMessage, socket: Socket): void => {
    const protocol = (request.headers.upgrade ?? event).toLowerCase();
    upgraded.set(socket, { protocol, end: protocol === 'websocket' ? followWebSocket(socket) : null });
    onUpgraded(socket);
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

/** The event that brings a connection as the app knows it. */
export function arrival(server: Server): string {
  return isTls(server) ? 'secureConnection' : 'connection';
}

/** HTTP/1, whose idle connections can be told from busy ones. */
export function isHttp(server: Server): server is HttpServer {
  return 'closeIdleConnections' in server;
}

export function isTls(server: Server): boolean {
  return 'setSecureContext' in server;
}

const own = new WeakSet<object>();

/** Marks a listener of ours on the app's servers and connections, so that it is not taken for one of the app's. */
export function ours<Listener extends object>(listener: Listener): Listener {
  own.add(listener);
  return listener;
}

export function isOurs(listener: object): boolean {
  return own.has(listener);
}

type Slotted = Socket & { [slot: symbol]: number | undefined };

/**
 * Sockets in no order. A Set would do, but one that is filled and emptied all the time leaves tables behind that keep
 * closed sockets from being collected young: measured, five times the promoted bytes under a connection per request.
 */
export class SocketList implements Iterable<Socket> {
  readonly #sockets: Slotted[] = [];
  /** Where the socket stands in this list: it may be in several. */
  readonly #slot = Symbol('slot');

  get size(): number {
    return this.#sockets.length;
  }

  /** False where it is in the list already. */
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

  /** Of those that are in the list now: it may change meanwhile. */
  [Symbol.iterator](): Iterator<Socket> {
    return this.#sockets.slice().values();
  }
}
