import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** LISTEN in /proc/net/tcp: proc(5). */
const listening = '0A';

/** Ports of 127.0.0.1 that a process listens on: a debugger that is open is one of them. */
export function listenersOf(pid: number): number[] {
  const inodes = new Set(
    readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
      try {
        return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1] ?? [];
      } catch {
        return [];
      }
    }),
  );
  const rows = readFileSync(`/proc/${pid}/net/tcp`, 'utf8').split('\n').slice(1);
  return rows.flatMap((row) => {
    const [, local = '', , state, , , , , , inode = ''] = row.trim().split(/\s+/);
    if (state !== listening || !inodes.has(inode) || !local.startsWith('0100007F:')) return [];
    const port = Number.parseInt(local.slice(9), 16);
    return isService(pid, port) ? [] : [port];
  });
}

/** The service itself may listen on the loopback, too. */
function isService(pid: number, port: number): boolean {
  return readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0').includes(`PORT=${port}`);
}
