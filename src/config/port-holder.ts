import { readdirSync, readFileSync } from 'node:fs';
import { openSockets, tcpListeners } from './listeners.js';

export interface Holder {
  readonly pid: number;
  readonly name: string;
}

/**
 * Who listens on a TCP port, as far as this user may look; null where it cannot be found (another user's process,
 * or no /proc as on macOS).
 */
export function portHolder(port: number, proc = '/proc'): Holder | null {
  try {
    const listeners = [...tcpListeners(`${proc}/net`)].filter((listener) => listener.port === port);
    const inodes = new Set(listeners.map(({ inode }) => inode));
    if (inodes.size === 0) return null;
    for (const pid of readdirSync(proc).filter((name) => /^\d+$/.test(name))) {
      if ([...openSockets(`${proc}/${pid}`)].some((inode) => inodes.has(inode))) {
        return { pid: Number(pid), name: readFileSync(`${proc}/${pid}/comm`, 'utf8').trim() };
      }
    }
  } catch {
    // Best effort: the error itself already names the port.
  }
  return null;
}
