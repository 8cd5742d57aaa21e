import { readFileSync, readlinkSync } from 'node:fs';
import { exitCodes, RomAgentError } from '../errors.js';
import { tcpListeners } from '../processes.js';
import type { PassedSocket } from './service-manager.js';

/** A passed socket and where it listens. Both are null where nobody says: no /proc, or another network namespace. */
export interface BoundSocket extends PassedSocket {
  readonly port: number | null;
  /** An abstract one begins with `@`. */
  readonly path: string | null;
}

export interface SortedSockets {
  readonly app: readonly BoundSocket[];
  /** The one that is named `control` (FileDescriptorName= of its socket unit), for the control API. */
  readonly control: BoundSocket | null;
}

/**
 * Finds out where each socket listens (proc_net(5)), and which of them is not for the app.
 *
 * @throws RomAgentError exit 78 where one is not a listening stream socket, or a control socket is open to the network
 */
export function sortSockets(sockets: readonly PassedSocket[], proc = '/proc'): SortedSockets {
  const bound = sockets.map((socket) => ({ ...socket, ...locate(socket, proc) }));
  const [control = null, ...more] = bound.filter(({ name }) => name === controlName);
  if (more.length > 0) {
    const fds = [control, ...more].map((socket) => socket?.fd).join(' and ');
    throw refusal(`descriptors ${fds} are both named "${controlName}"; expected one such socket`);
  }
  if (control !== null && control.port !== null) {
    const expected = 'expected a unix socket (ListenStream= with a path)';
    throw refusal(`${describe(control)} is on TCP port ${control.port}; ${expected}`);
  }
  return { app: bound.filter((socket) => socket !== control), control };
}

const controlName = 'control';

interface Place {
  readonly port: number | null;
  readonly path: string | null;
}

const unknown: Place = { port: null, path: null };

function locate(socket: PassedSocket, proc: string): Place {
  const link = linkOf(socket, proc);
  if (link === null) return unknown;
  const inode = /^socket:\[(\d+)\]$/.exec(link)?.[1];
  if (inode === undefined) throw notListening(socket, `is ${link}`);
  return tcpListener(inode, proc) ?? unixListener(socket, { inode, proc }) ?? other(socket, { inode, proc });
}

/** null where there is no /proc at all, as on macOS. */
function linkOf(socket: PassedSocket, proc: string): string | null {
  try {
    return readlinkSync(`${proc}/self/fd/${socket.fd}`);
  } catch (error) {
    if (text(`${proc}/self/stat`) === '') return null;
    const { code } = error as NodeJS.ErrnoException;
    throw notListening(socket, code === 'ENOENT' ? 'is not open' : `cannot be looked at (${code})`);
  }
}

function tcpListener(inode: string, proc: string): Place | null {
  for (const listener of tcpListeners(`${proc}/self/net`)) {
    if (listener.inode === inode) return { port: listener.port, path: null };
  }
  return null;
}

interface Sought {
  readonly inode: string;
  readonly proc: string;
}

const unixKinds: Readonly<Record<string, string>> = {
  '0002': 'a unix datagram socket',
  '0005': 'a unix socket of sequential packets',
};

/** Columns of /proc/net/unix: address, references, protocol, flags, type, state, inode, path. */
function unixListener(socket: PassedSocket, { inode, proc }: Sought): Place | null {
  const rows = text(`${proc}/self/net/unix`).matchAll(/^\S+: \S+ \S+ (\S+) (\S+) \S+ +(\d+)(?: (.*))?$/gm);
  for (const [, flags = '', type = '', own, path] of rows) {
    if (own !== inode) continue;
    if (unixKinds[type] !== undefined) throw notListening(socket, `is ${unixKinds[type]}`);
    if (!isAccepting(flags)) throw notListening(socket, 'is a unix socket that does not listen');
    return { port: null, path: path ?? null };
  }
  return null;
}

/** SO_ACCEPTCON in the flags. */
function isAccepting(flags: string): boolean {
  return (Number.parseInt(flags, 16) & 0x1_0000) !== 0;
}

/** What no table knows belongs to another network namespace, as with PrivateNetwork=: a worker will find out. */
function other(socket: PassedSocket, { inode, proc }: Sought): Place {
  const kinds = [
    ['a TCP connection', ['tcp', 'tcp6']],
    ['a UDP socket', ['udp', 'udp6']],
  ] as const;
  for (const [kind, tables] of kinds) {
    for (const table of tables) {
      const rows = text(`${proc}/self/net/${table}`).split('\n');
      if (rows.some((row) => row.trim().split(/\s+/)[9] === inode)) throw notListening(socket, `is ${kind}`);
    }
  }
  return unknown;
}

function text(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}

function notListening(socket: PassedSocket, what: string): RomAgentError {
  const expected = 'expected a listening stream socket (ListenStream= and Accept=no in its socket unit)';
  return refusal(`${describe(socket)} ${what}; ${expected}`);
}

function describe({ fd, name }: PassedSocket): string {
  return `descriptor ${fd}, named "${name}",`;
}

function refusal(message: string): RomAgentError {
  return new RomAgentError(`LISTEN_FDS: ${message}`, { exitCode: exitCodes.config });
}
