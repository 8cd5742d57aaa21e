import { getServerOf, type ListenQuery, setGetServer } from '../node-internals.js';

/**
 * Gives each worker a UDP port of its own where its app asks for any free one (`socket.bind()`). node:cluster has one
 * socket for all workers that ask alike, so that the answers to one worker's questions would reach another.
 *
 * It keeps a socket for each set of address, port, type and descriptor; a descriptor below 0 is none (Node 20 to 26),
 * which makes the set this worker's own.
 */
export function ownUdpPorts(pid: number = process.pid, giver?: object): void {
  const give = getServerOf(giver);
  if (give === undefined) return;
  setGetServer(function (asking, query, reply) {
    const asked = isUdp(query) && !query.port ? { ...query, fd: -1 - pid } : query;
    return give.call(this, asking, asked, reply);
  }, giver);
}

/** Of TCP it is 4 or 6, of a unix socket -1. */
function isUdp({ addressType }: ListenQuery): boolean {
  return addressType === 'udp4' || addressType === 'udp6';
}
