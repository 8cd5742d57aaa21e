import { type FileHandle, open, readFile } from 'node:fs/promises';
import type { ListenQueue } from '../protocol/metrics.js';

export interface ListenQueueSeam {
  /** The beginning of a file, as long as `goesOn` wants more of it. Rejects where it cannot be read. */
  readonly readWhile: (path: string, goesOn: (text: string) => boolean) => Promise<string>;
  readonly readFile: (path: string) => Promise<string>;
}

const system: ListenQueueSeam = { readWhile, readFile: (path) => readFile(path, 'utf8') };

/**
 * How many connections wait on the listening sockets of these ports: rx_queue of their rows in /proc/net/tcp (proc_net(5)), and
 * what the kernel has dropped. Unix sockets have no such row. Never rejects.
 */
export async function readListenQueue(
  ports: ReadonlySet<number>,
  { readWhile, readFile }: ListenQueueSeam = system,
): Promise<ListenQueue> {
  const [tcp, tcp6, netstat] = await Promise.all([
    readWhile('/proc/net/tcp', hasOnlyListeners).catch(() => null),
    readWhile('/proc/net/tcp6', hasOnlyListeners).catch(() => null),
    readFile('/proc/net/netstat').catch(() => ''),
  ]);
  const rows = [tcp, tcp6].flatMap((text) => (text === null ? [] : listenersIn(text)));
  const ours = rows.filter(({ port }) => ports.has(port));
  return {
    waiting: ours.length === 0 ? null : ours.reduce((sum, { waiting }) => sum + waiting, 0),
    overflows: counterIn(netstat, 'ListenOverflows'),
    drops: counterIn(netstat, 'ListenDrops'),
  };
}

/** Local address and port, remote ones, the state (0A: LISTEN), and tx_queue:rx_queue, in hexadecimal. */
const row = /^\s*\d+: [0-9A-F]+:([0-9A-F]{4}) [0-9A-F]+:[0-9A-F]{4} ([0-9A-F]{2}) [0-9A-F]{8}:([0-9A-F]{8})/;

/** Of URLs; a unix socket has none. */
export function portsIn(urls: readonly string[]): ReadonlySet<number> {
  return new Set(urls.flatMap((url) => /:(\d+)$/.exec(url)?.[1] ?? []).map(Number));
}

function listenersIn(text: string): readonly { readonly port: number; readonly waiting: number }[] {
  return text.split('\n').flatMap((line) => {
    const [, port = '', state, waiting = ''] = row.exec(line) ?? [];
    return state === '0A' ? [{ port: Number.parseInt(port, 16), waiting: Number.parseInt(waiting, 16) }] : [];
  });
}

/** The kernel lists listening sockets first, and then every connection of the machine, of which nothing is wanted. */
function hasOnlyListeners(text: string): boolean {
  return text.split('\n').every((line) => (row.exec(line)?.[2] ?? '0A') === '0A');
}

/** A counter of the lines `TcpExt:`, the first of which has the names. */
function counterIn(netstat: string, name: string): number | null {
  const [names = [], values = []] = netstat
    .split('\n')
    .filter((line) => line.startsWith('TcpExt:'))
    .map((line) => line.split(' '));
  const value = values[names.indexOf(name)];
  return value === undefined ? null : Number(value);
}

/** Bytes: so many listening sockets no machine has. */
const longest = 1024 * 1024;
const chunk = 16 * 1024;

async function readWhile(path: string, goesOn: (text: string) => boolean): Promise<string> {
  const file: FileHandle = await open(path);
  try {
    const buffer = Buffer.alloc(chunk);
    let text = '';
    while (text.length < longest) {
      const { bytesRead } = await file.read(buffer, 0, chunk, null);
      if (bytesRead === 0) break;
      text += buffer.toString('latin1', 0, bytesRead);
      if (!goesOn(text)) break;
    }
    return text;
  } finally {
    await file.close();
  }
}
