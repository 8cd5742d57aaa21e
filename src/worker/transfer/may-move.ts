import type { EventEmitter } from 'node:events';
import type { Server as HttpServer, ServerResponse } from 'node:http';
import type { Server, Socket } from 'node:net';
import { isForwarderTo } from '../app/target.js';
import { isOurs } from '../connections/follow-server.js';
import { isNodesHttpListener, isNodesListener } from '../node-internals/http.js';
import { acceptorOf, serverOf } from '../node-internals/sockets.js';

/**
 * After such a request a connection stays where it is until the next one. `Upgrade` that nobody takes leaves the parser in
 * a state that no other parser can be brought to; after `close` nothing may follow, even if the app says otherwise.
 */
export function pins({ req, shouldKeepAlive }: ServerResponse): boolean {
  return !shouldKeepAlive || asksForUpgrade(req.rawHeaders);
}

/** With every request, so that most names are told apart by their length. */
function asksForUpgrade(rawHeaders: readonly string[]): boolean {
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at];
    if (name?.length === 7 && name.toLowerCase() === 'upgrade') return true;
  }
  return false;
}

/** Whether Node counts the requests of a connection, where nobody else can find the count out. */
export function countsRequests(server: Server): boolean {
  return Number((server as HttpServer).maxRequestsPerSocket) > 0;
}

/** Whether the app hears of a server's connections itself, or has put something between them and node:http. */
export function hasOwnConnections(server: Server): boolean {
  const listeners = foreign(server, 'connection');
  return listeners.length !== 1 || !listeners.every(isNodesHttpListener);
}

/** Whether node:http is not the one that the connections of its server come to: something of the app is before it. */
export function isFronted(server: Server): boolean {
  return !server.listeners('connection').some(isNodesHttpListener);
}

/** Whether somebody besides Node and us listens for anything that happens to a connection. */
export function hasForeignListeners(socket: Socket): boolean {
  return socket
    .eventNames()
    .some((event) => !foreign(socket, event).every((listener) => isNodesListener(event, listener)));
}

/** Whether the connection came to its server from another one, that of the app: who knows what that has read of it. */
export function cameByDetour(socket: Socket): boolean {
  const [server, acceptor] = [serverOf(socket), acceptorOf(socket)];
  return server !== acceptor && !isForwarderTo(acceptor, server);
}

type Listener = ReturnType<EventEmitter['listeners']>[number];

function foreign(emitter: EventEmitter, event: string | symbol): Listener[] {
  return emitter.listeners(event).filter((listener) => !isOurs(listener));
}
