import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { waitFor } from './wait.js';

/** A socket such as systemd's in NOTIFY_SOCKET: see sd_notify(3). */
export interface NotifySocket {
  readonly path: string;
  /** Of the process that reads it. */
  readonly pid: number;
  /** Every datagram so far, in the order of arrival. */
  readonly datagrams: readonly Datagram[];
  close(): void;
}

export interface Datagram {
  readonly text: string;
  /** When it arrived, on the clock of performance.now(), ms. */
  readonly at: number;
}

/** The system's own: a shim in PATH, such as pyenv's, takes longer than all the rest. */
export const python = existsSync('/usr/bin/python3') ? '/usr/bin/python3' : 'python3';

/** Node has no unix datagram sockets. */
const listener = `
import json, socket, sys
sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
path = sys.argv[1]
sock.bind('\\0' + path[1:] if path[0] == '@' else path)
print('null', flush=True)
while True:
    print(json.dumps(sock.recv(8192).decode()), flush=True)
`;

/** Opens it at `path`, which must be free, or begins with `@`: abstract; needs python3. Rejects where it is not open after `timeout` ms. */
export async function openNotifySocket(path: string, timeout = 180_000): Promise<NotifySocket> {
  const child = spawn(python, ['-c', listener, path], { stdio: ['ignore', 'pipe', 'inherit'] });
  const lines: Datagram[] = [];
  createInterface({ input: child.stdout }).on('line', (text) => {
    lines.push({ text, at: performance.now() });
  });
  await waitFor('the notification socket', () => lines.length > 0, { timeout }).catch((error: Error) => {
    child.kill();
    throw error;
  });
  return {
    path,
    pid: child.pid ?? 0,
    get datagrams() {
      return lines.slice(1).map(({ text, at }) => ({ text: JSON.parse(text) as string, at }));
    },
    close: () => void child.kill(),
  };
}
