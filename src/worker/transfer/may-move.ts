import type { EventEmitter } from 'node:events';
import type { Server as HttpServer, ServerResponse } from 'node:http';
import type { Server, Socket } from 'node:net';
import { isForwarderTo } from '../app/target.js';
import { isOurs } from '../connections/follow-server.js';
import { isNodesHttpListener, isNodesListener } from '../node-internals/http.js';
import { acceptorOf, serverOf } from '../node-internals/sockets.js';

/**
 * Whether a connection must stay where it is after this request, until the next one. An `Upgrade` that nobody takes
 * leaves the parser in a state to which no other parser can be brought; after `close` nothing may follow, even if the
 * app says otherwise.
 */
export function pins({ req, shouldKeepAlive }: ServerResponse): boolean {
  return !shouldKeepAlive || asksForUpgrade(req.rawHeaders);
}

/** Runs for every request, so it tells most names apart by their length. */
function asksForUpgrade(rawHeaders: readonly string[]): boolean {
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at];
    if (name?.length === 7 && name.toLowerCase() === 'upgrade') return true;
  }
  return false;
}

/** Whether Node counts the requests of each connection, in a field that we cannot read. */
export function countsRequests(server: Server): boolean {
  return Number((server as HttpServer).maxRequestsPerSocket) > 0;
}

/** Whether the app itself listens for a server's connections, or has put something between them and node:http. */
export function hasOwnConnections(server: Server): boolean {
  const listeners = foreign(server, 'connection');
  return listeners.length !== 1 || !listeners.every(isNodesHttpListener);
}

/** Whether something of the app takes the server's connections in place of node:http. */
export function isFronted(server: Server): boolean {
  return !server.listeners('connection').some(isNodesHttpListener);
}

/** Whether anybody besides Node and us listens for an event of a connection. */
export function hasForeignListeners(socket: Socket): boolean {
  return socket
    .eventNames()
    .some((event) => !foreign(socket, event).every((listener) => isNodesListener(event, listener)));
}

/** Whether the connection reached its server through another server of the app, which may have read from it. */
export function cameByDetour(socket: Socket): boolean {
  const [server, acceptor] = [serverOf(socket), acceptorOf(socket)];
  return server !== acceptor && !isForwarderTo(acceptor, server);
}

type Listener = ReturnType<EventEmitter['listeners']>[number];

function foreign(emitter: EventEmitter, event: string | symbol): Listener[] {
  return emitter.listeners(event).filter((listener) => !isOurs(listener));
}
