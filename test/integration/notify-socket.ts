import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { TestContext } from 'node:test';
import { waitFor } from '../support/wait.js';
import { hasCommand } from './run.js';
import { patience, temporaryDirectory } from './service.js';

/** A socket such as systemd's in NOTIFY_SOCKET: see sd_notify(3). */
export interface NotifySocket {
  readonly path: string;
  /** Every datagram so far, in the order of arrival. */
  readonly datagrams: readonly string[];
}

/** Node has no unix datagram sockets. */
const listener = `
import json, socket, sys
sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
sock.bind(sys.argv[1])
print('null', flush=True)
while True:
    print(json.dumps(sock.recv(8192).decode()), flush=True)
`;

/** For the options of a test. */
export const needsNotifySocket: { readonly skip?: string } = hasCommand('python3')
  ? {}
  : { skip: 'needs python3 for a datagram socket' };

export async function notifySocket(t: TestContext): Promise<NotifySocket> {
  const path = join(temporaryDirectory(t), 'notify');
  const child = spawn('python3', ['-c', listener, path], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(() => void child.kill());
  const lines: string[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => lines.push(line));
  await waitFor('the socket', () => lines.length > 0, { timeout: patience });
  return {
    path,
    get datagrams() {
      return lines.slice(1).map((line) => JSON.parse(line) as string);
    },
  };
}
