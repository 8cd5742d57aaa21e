import { readFileSync } from 'node:fs';
import { endianness } from 'node:os';
import { openSockets } from '../../processes.js';
import type { Ran } from '../world.js';

/** A TCP connection; its ends as ss(8) names them: `127.0.0.1:3000`, `[::1]:3000`. */
export interface Connection {
  readonly local: string;
  readonly remote: string;
}

/**
 * The connections to `ports` that PM2's daemon holds. In cluster mode node:cluster in the daemon accepts, and hands each to
 * a worker; the one that was on its way when its worker was killed stays open in the daemon, and nobody reads or ends it.
 * Once no worker listens any more, all that the daemon holds are such.
 *
 * @param pid of the daemon
 */
export function leftBehind(pid: number, ports: readonly number[], proc = '/proc'): readonly Connection[] {
  const inodes = openSockets(`${proc}/${pid}`);
  return ['tcp', 'tcp6'].flatMap((family) =>
    rows(`${proc}/${pid}/net/${family}`).flatMap(
      ([, local = '', remote = '', state, , , , , , inode = '']) =>
        state !== listening && ports.includes(portOf(local)) && inodes.has(inode)
          ? [{ local: nameOf(local), remote: nameOf(remote) }]
          : [],
    ),
  );
}

/**
 * Ends them with `ss -K`, so that their clients get an error at once instead of waiting for their own time limits.
 * Resolves to those that are still there: without iproute2, or on a kernel without CONFIG_INET_DIAG_DESTROY.
 */
export async function endLeftBehind(
  { pid, ports, proc }: { readonly pid: number; readonly ports: readonly number[]; readonly proc?: string },
  execute: (argv: readonly string[]) => Promise<Ran>,
): Promise<readonly Connection[]> {
  for (const { local, remote } of leftBehind(pid, ports, proc))
    await execute(['ss', '--kill', '--tcp', '--numeric', 'src', local, 'dst', remote]);
  return leftBehind(pid, ports, proc);
}

/** TCP_LISTEN: proc_net(5) */
const listening = '0A';

function rows(path: string): readonly string[][] {
  try {
    return readFileSync(path, 'utf8')
      .split('\n')
      .slice(1)
      .map((line) => line.trim().split(/\s+/));
  } catch {
    return [];
  }
}

function portOf(end: string): number {
  return Number.parseInt(end.slice(end.indexOf(':') + 1), 16);
}

/** `0100007F:0BB8` as `127.0.0.1:3000`: words of 32 bits, in the byte order of the machine. */
function nameOf(end: string): string {
  const words = (end.split(':')[0] ?? '').match(/.{8}/g) ?? [];
  const bytes = words.flatMap((word) => {
    const read = [...Buffer.from(word, 'hex')];
    return endianness() === 'LE' ? read.reverse() : read;
  });
  const port = portOf(end);
  if (bytes.length === 4) return `${bytes.join('.')}:${port}`;
  const groups = Array.from({ length: 8 }, (_, at) =>
    (((bytes[2 * at] ?? 0) << 8) | (bytes[2 * at + 1] ?? 0)).toString(16),
  );
  return `[${groups.join(':')}]:${port}`;
}
