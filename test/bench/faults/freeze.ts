import { readdir, readFile, readlink } from 'node:fs/promises';
import { signalPid } from '../../support/process.js';
import type { UnitProcess } from '../../system/systemd/booted-machine.js';
import type { Scene } from './scenario.js';

/**
 * Sends a signal after which a process accepts nothing more (SIGSTOP, SIGKILL), and notes which connections it had at
 * that moment. So it is stopped first, for as long as it takes to look: one or two ms.
 */
export async function freeze(
  { service, inside }: Pick<Scene, 'service' | 'inside'>,
  targets: readonly UnitProcess[],
  signal: 'SIGSTOP' | 'SIGKILL',
): Promise<void> {
  for (const { hostPid } of targets) signalPid(hostPid, 'SIGSTOP');
  const table = await connectionsTo(service.port);
  for (const { hostPid } of targets) {
    for (const inode of await socketsOf(hostPid)) {
      const port = table.get(inode);
      if (port !== undefined) inside.add(port);
    }
  }
  if (signal !== 'SIGSTOP') for (const { hostPid } of targets) signalPid(hostPid, signal);
}

/** The peer's port of each accepted connection to `port`, by the inode of its socket: proc_pid_net(5). */
async function connectionsTo(port: number): Promise<Map<string, number>> {
  const lines = (await readFile('/proc/self/net/tcp', 'utf8')).trim().split('\n').slice(1);
  return new Map(
    lines.flatMap((line) => {
      const fields = line.trim().split(/\s+/);
      const [, local = '', remote = ''] = fields;
      const inode = fields[9] ?? '0';
      return portOf(local) === port && inode !== '0' ? [[inode, portOf(remote)] as const] : [];
    }),
  );
}

async function socketsOf(pid: number): Promise<string[]> {
  const folder = `/proc/${pid}/fd`;
  const links = (await readdir(folder).catch(() => [])).map((fd) =>
    readlink(`${folder}/${fd}`).catch(() => ''),
  );
  return (await Promise.all(links)).flatMap((link) => /^socket:\[(\d+)\]$/.exec(link)?.[1] ?? []);
}

function portOf(address: string): number {
  return Number.parseInt(address.split(':')[1] ?? '', 16);
}
