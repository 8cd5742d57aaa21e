import type { Server } from 'node:net';
import type { Millis } from '../../protocol/limits.js';
import { isHttp } from './follow-server.js';

/*
 * How long the app's servers keep idle connections. Whoever closes one first must be the client: a request that a balancer
 * sends just as the server closes is lost, and the balancer answers 502.
 */

/**
 * Sets the setting `keep_alive_timeout` on a server that has begun to listen: what the app has set before, or right after
 * listen(), does not count; what it sets later does. Node's `headersTimeout` begins with the first byte of a request, and
 * need not be longer (node_http_parser.cc of Node 20 to 26).
 *
 * @param timeout ms; 0: as the app has it
 */
export function keepAliveFor(server: Server, timeout: Millis): void {
  if (timeout > 0 && isHttp(server)) server.keepAliveTimeout = timeout;
}

/** The shortest of the servers' times, ms; undefined where none keeps connections for a time. */
export function shortestKeepAlive(servers: readonly Server[]): Millis | undefined {
  const times = servers.flatMap((server) => {
    const time: unknown = isHttp(server) ? server.keepAliveTimeout : 0;
    return typeof time === 'number' && time > 0 ? [time] : [];
  });
  return times.length === 0 ? undefined : Math.min(...times);
}
