import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';

export interface Holder {
  readonly pid: number;
  readonly name: string;
}

/** LISTEN in /proc/net/tcp, see proc(5). */
const listening = '0A';

/**
 * Who listens on a TCP port, as far as this user may look; null where it cannot be found (another user's process,
 * or no /proc as on macOS).
 */
export function portHolder(port: number, proc = '/proc'): Holder | null {
  try {
    const inodes = new Set(['tcp', 'tcp6'].flatMap((table) => listenerInodes(`${proc}/net/${table}`, port)));
    if (inodes.size === 0) return null;
    for (const pid of readdirSync(proc).filter((name) => /^\d+$/.test(name))) {
      if (holdsAny(`${proc}/${pid}/fd`, inodes)) {
        return { pid: Number(pid), name: readFileSync(`${proc}/${pid}/comm`, 'utf8').trim() };
      }
    }
  } catch {
    // Best effort: the error itself already names the port.
  }
  return null;
}

function listenerInodes(table: string, port: number): string[] {
  const hex = port.toString(16).toUpperCase().padStart(4, '0');
  // Where IPv6 is switched off there is no tcp6.
  if (!existsSync(table)) return [];
  const rows = readFileSync(table, 'utf8').split('\n').slice(1);
  return rows.flatMap((row) => {
    const [, local, , state, , , , , , inode] = row.trim().split(/\s+/);
    return state === listening && local?.endsWith(`:${hex}`) && inode !== undefined ? [inode] : [];
  });
}

function holdsAny(folder: string, inodes: ReadonlySet<string>): boolean {
  try {
    return readdirSync(folder).some((fd) => inodes.has(socketInode(`${folder}/${fd}`)));
  } catch {
    return false;
  }
}

function socketInode(link: string): string {
  try {
    return /^socket:\[(\d+)\]$/.exec(readlinkSync(link))?.[1] ?? '';
  } catch {
    return '';
  }
}
