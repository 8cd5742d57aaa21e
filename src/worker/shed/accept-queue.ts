import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import type { Server } from 'node:net';
import { listenHandleOf } from '../node-internals/listening.js';

/**
 * Bytes of one row. No more is asked for at a time: behind the listening sockets, which come first, the kernel would walk
 * through its whole table of connections to fill a larger buffer, which takes milliseconds.
 */
const chunk = 150;
/** So many sockets that listen no machine has. */
const mostRows = 1_000;
const buffer = Buffer.alloc(chunk);

/**
 * How many connections wait in the kernel to be accepted by these servers: rx_queue of the rows of their sockets
 * (proc_net(5)). 0 where the system does not say: unix sockets, and systems other than Linux.
 */
export function waitingFor(servers: readonly Server[]): number {
  return ['tcp', 'tcp6'].reduce((sum, file) => {
    const sockets = new Set(servers.filter((server) => fileOf(server) === file).flatMap(inodeOf));
    return sum + (sockets.size === 0 ? 0 : waitingAt(`/proc/net/${file}`, sockets));
  }, 0);
}

function waitingAt(path: string, sockets: ReadonlySet<number>): number {
  let [sum, found, text] = [0, 0, ''];
  let fd: number | null = null;
  try {
    fd = openSync(path, 'r');
    for (let rows = 0; rows < mostRows && found < sockets.size; ) {
      const length = readSync(fd, buffer, 0, chunk, null);
      if (length === 0) break;
      text += buffer.toString('latin1', 0, length);
      const end = text.indexOf('\n');
      if (end === -1) continue;
      const row = text.slice(0, end);
      text = text.slice(end + 1);
      rows++;
      const waiting = waitingIn(row, sockets);
      if (waiting === null) continue;
      found++;
      sum += waiting;
    }
    return sum;
  } catch {
    return 0;
  } finally {
    if (fd !== null) closeSync(fd);
  }
}

function fileOf(server: Server): string {
  const address = server.address();
  return typeof address === 'object' && address?.family === 'IPv6' ? 'tcp6' : 'tcp';
}

/** `0: 0100007F:0BB8 00000000:0000 0A tx:rx tr:when retrnsmt uid timeout inode`; null: of another socket. */
export function waitingIn(row: string, sockets: ReadonlySet<number>): number | null {
  const [, , , state, queues = '', , , , , inode] = row.trim().split(/\s+/);
  return state === listening && sockets.has(Number(inode)) ? Number.parseInt(queues.slice(9), 16) : null;
}

const listening = '0A';

function inodeOf(server: Server): number[] {
  const { fd = -1 } = (listenHandleOf(server) ?? {}) as { readonly fd?: number };
  try {
    return fd < 0 ? [] : [fstatSync(fd).ino];
  } catch {
    return [];
  }
}
