import type { Duplex } from 'node:stream';

/** An unmasked Close frame with status 1001, "going away" (RFC 6455, sections 5.5.1 and 7.4.1). */
const goingAway = Buffer.from([0x88, 0x02, 0x03, 0xe9]);

/**
 * Tells a WebSocket client that this server goes away, so that it reconnects, to another worker. Control frames
 * may stand between the fragments of a message (RFC 6455, section 5.4), and libraries write a frame within one turn
 * of the event loop, so that a frame of ours cannot land inside one of theirs.
 */
export function sendGoingAway(socket: Duplex): void {
  if (socket.writable) socket.write(goingAway);
}
