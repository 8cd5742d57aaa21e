import type { Config } from '../config/config.js';

export interface AdviceInput {
  readonly dispatch: Config['dispatch'];
  /** Whether the app is served on sockets that were passed in. */
  readonly passed: boolean;
  readonly readFile: (path: string) => string;
}

/** What is worth a warning about the machine, given the configuration; see tcp(7) and ip-sysctl of the kernel. */
export function adviceFor({ dispatch, passed, readFile }: AdviceInput): readonly string[] {
  if (dispatch !== 'shared' && passed)
    return [`dispatch "${dispatch}" has no effect on sockets that were passed in: all workers share them`];
  if (dispatch !== 'reuseport' || sysctl('net/ipv4/tcp_migrate_req', readFile) !== '0') return [];
  return [
    'dispatch "reuseport" loses the connections that wait for a worker which ends, since net.ipv4.tcp_migrate_req ' +
      'is 0: set it to 1 (sysctl -w net.ipv4.tcp_migrate_req=1), or use dispatch "shared"',
  ];
}

function sysctl(name: string, readFile: (path: string) => string): string | null {
  try {
    return readFile(`/proc/sys/${name}`).trim();
  } catch {
    return null;
  }
}
