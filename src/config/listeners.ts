import { closeSync, openSync, readdirSync, readlinkSync, readSync } from 'node:fs';

/** A TCP socket that listens, as the kernel lists it: proc_net(5). */
export interface Listener {
  readonly family: 'tcp' | 'tcp6';
  /** As it stands there: hexadecimal, in the byte order of the machine. */
  readonly address: string;
  readonly port: number;
  readonly inode: string;
}

/**
 * The listeners of a network namespace. The kernel names them first. It takes half a second and more to name the
 * connections of a machine with room for many, during which a process would do nothing else: those are not read.
 *
 * @param net folder of the tables, such as /proc/net; where one is missing, as tcp6 without IPv6, it counts as empty
 */
export function* tcpListeners(net: string): Generator<Listener> {
  for (const family of ['tcp', 'tcp6'] as const) {
    for (const line of lines(`${net}/${family}`)) {
      const row = line.trim().split(/\s+/);
      if (row[0] === 'sl') continue;
      if (row[3] !== listening) break;
      const [address = '', port = ''] = (row[1] ?? '').split(':');
      yield { family, address, port: Number.parseInt(port, 16), inode: row[9] ?? '' };
    }
  }
}

/** The sockets that a process has open, by inode; none where it is gone or belongs to somebody else. */
export function openSockets(process: string): ReadonlySet<string> {
  const folder = `${process}/fd`;
  return new Set(entries(folder).flatMap((fd) => socketInode(`${folder}/${fd}`) ?? []));
}

/** Of a link such as /proc/self/fd/3; null where it is no socket. */
export function socketInode(link: string): string | null {
  try {
    return /^socket:\[(\d+)\]$/.exec(readlinkSync(link))?.[1] ?? null;
  } catch {
    return null;
  }
}

/** The state LISTEN. */
const listening = '0A';

function* lines(path: string): Generator<string> {
  const file = open(path);
  if (file === null) return;
  try {
    const chunk = Buffer.alloc(16_384);
    let rest = '';
    for (let size = readSync(file, chunk); size > 0; size = readSync(file, chunk)) {
      const complete = (rest + chunk.toString('latin1', 0, size)).split('\n');
      rest = complete.pop() ?? '';
      yield* complete;
    }
  } finally {
    closeSync(file);
  }
}

function open(path: string): number | null {
  try {
    return openSync(path, 'r');
  } catch {
    return null;
  }
}

function entries(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
