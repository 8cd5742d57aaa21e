import type { Socket } from 'node:net';
import { ours } from '../connections/own-listeners.js';
import { removeRequestReader } from '../node-internals.js';

/** Connections on which nothing more is read as a request, and those of them that wait for their clients to close. */
const deaf = new WeakSet<Socket>();
const lingering = new WeakSet<Socket>();

export function isLingering(socket: Socket): boolean {
  return lingering.has(socket);
}

/**
 * Has what the client sends from now on read and dropped. It was told `Connection: close`, so that it takes what it sent
 * behind that request for not executed (RFC 9112, section 9.6). False where this Node reads requests in another way.
 */
export function ignoreRequests(socket: Socket): boolean {
  if (deaf.has(socket)) return true;
  if (!removeRequestReader(socket, 'data')) return false;
  deaf.add(socket);
  // Node has its parser let go of a connection on which somebody else listens for data.
  socket.on('data', drop);
  return true;
}

/**
 * Closes a connection behind its last answer. To close it while its client goes on sending is to reset it, which may cost
 * the client that answer. So our half is closed, and what still comes is dropped until the client has closed its half
 * too, or until so many ms are over (RFC 9112, section 9.6).
 */
export function closeLingering(socket: Socket, limit: number): void {
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
