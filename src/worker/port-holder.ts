import { closeSync, existsSync, openSync, readdirSync, readFileSync, readlinkSync, readSync } from 'node:fs';

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
  const local = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  return listenerRows(table).flatMap((row) => {
    const columns = row.trim().split(/\s+/);
    const inode = columns[9];
    return isListener(row) && columns[1]?.endsWith(local) && inode !== undefined ? [inode] : [];
  });
}

/**
 * The kernel names the listeners first. It takes half a second and more to name the connections of a machine with room
 * for many, during which a worker would do nothing else, so that those are not read.
 */
function listenerRows(table: string): string[] {
  // Where IPv6 is switched off there is no tcp6.
  if (!existsSync(table)) return [];
  const file = openSync(table, 'r');
  try {
    const chunk = Buffer.alloc(65_536);
    let text = '';
    let rows: string[] = [];
    for (let size = readSync(file, chunk); size > 0; size = readSync(file, chunk)) {
      text += chunk.toString('latin1', 0, size);
      rows = text.split('\n').slice(1, -1);
      const last = rows.at(-1);
      if (last !== undefined && !isListener(last)) break;
    }
    return rows;
  } finally {
    closeSync(file);
  }
}

function isListener(row: string): boolean {
  return row.trim().split(/\s+/, 4)[3] === listening;
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
